/*
 * engine_fixture.h - an engine over a real repository, with a program in place of dogshore's stages.
 */
#ifndef TESTS_UNIT_PIPELINE_ENGINE_ENGINE_FIXTURE_H
#define TESTS_UNIT_PIPELINE_ENGINE_ENGINE_FIXTURE_H

#include "tests/unit/pipeline/git_fixture.h"

#include "base/loop.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/report.h"
#include "pipeline/plan/project.h"

#include <sys/stat.h>

/*
 * A repository with two services and a program in place of dogshore's stages: it notes its command
 * line in calls, fails when a file "fail-SERVICE-STEP" lies beside it, waits while there is
 * "wait-SERVICE", makes an image that the file "digest-SERVICE" tells from others. What it does to
 * the outside world are folders in effects, one for a service's push, one for each token of a
 * deployment: making one is a single act, however and whenever the program is killed.
 */
static const char program[] =
	"#!/bin/bash\n"
	"here=$(dirname \"$0\")\n"
	"case \"$1\" in image) step=$2;; *) step=$1;; esac\n"
	"service=$2\n"
	"if [ \"$1\" = image ]; then\n"
	"	for a in \"$@\"; do case \"$a\" in */images/*:k-*) service=${a%%:k-*}; "
	"service=${service##*/};; esac; done\n"
	"fi\n"
	"[ \"$step\" != build ] || [ \"$1\" != image ] || step=image\n"
	"echo \"$step $service\" >>\"$here/calls\"\n"
	"echo \"$*\" >>\"$here/lines\"\n"
	"if [ -e \"$here/wait-$service\" ]; then\n"
	"	trap 'exit 5' TERM\n"
	"	: >\"$here/waiting-$service\"\n"
	"	while [ -e \"$here/wait-$service\" ]; do read -r -t 0.01 <> <(:); done\n"
	"fi\n"
	"if [ -e \"$here/fail-$service-$step\" ]; then\n"
	"	echo 'a line of the log' >&2\n"
	"	echo '{\"status\":\"failed\",\"error\":{\"message\":\"the test x failed\"}}'\n"
	"	exit $(cat \"$here/fail-$service-$step\")\n"
	"fi\n"
	"case $step in\n"
	"registry) echo '{\"registry\":\"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"}';;\n"
	"build)\n"
	"	while [ $# -gt 0 ]; do\n"
	"		if [ \"$1\" = --output ]; then mkdir -p \"$2/artifacts\"; "
	": >\"$2/artifacts/$service\"; fi\n"
	"		shift\n"
	"	done\n"
	"	echo '{}';;\n"
	"image)\n"
	"	while [ $# -gt 0 ]; do [ \"$1\" != --output ] || out=${2%:*} tag=${2##*:}; shift; "
	"done\n"
	"	manifest=\"{\\\"n\\\":$(cat \"$here/digest-$service\" 2>/dev/null || echo 0)}\"\n"
	"	hex=$(printf %s \"$manifest\" | sha256sum)\n"
	"	hex=${hex%% *}\n"
	"	mkdir -p \"$out/blobs/sha256\"\n"
	"	echo '{\"imageLayoutVersion\":\"1.0.0\"}' >\"$out/oci-layout\"\n"
	"	printf %s \"$manifest\" >\"$out/blobs/sha256/$hex\"\n"
	"	others=$(grep -o '{\"digest[^}]*}}' \"$out/index.json\" 2>/dev/null | grep -v "
	"\"\\\"$tag\\\"\" |\n"
	"		sed 's/$/,/')\n"
	"	printf "
	"'{\"schemaVersion\":2,\"manifests\":[%s{\"digest\":\"sha256:%s\",\"size\":%d,"
	"\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}}]}' "
	"\"$others\" \"$hex\" ${#manifest} \"$tag\" >\"$out/.index\"\n"
	"	mv \"$out/.index\" \"$out/index.json\"\n"
	"	printf '{\"digest\":\"sha256:%s\"}\\n' \"$hex\";;\n"
	"push) mkdir -p \"$here/effects/push-$service-once\"\n"
	"	echo '{}';;\n"
	"deploy)\n"
	"	while [ $# -gt 0 ]; do [ \"$1\" != --client-token ] || token=$2; shift; done\n"
	"	mkdir -p \"$here/effects/deploy-$service-$token\"\n"
	"	echo '{\"verdict\":\"deployed\",\"deployment_id\":\"d1\"}';;\n"
	"esac\n";

static const char file[] =
	"app: test\n"
	"services:\n"
	"  one: {path: one, uses: [kit], image: {binary: one}, deploy: {task: t.json, service: "
	"s.json}}\n"
	"  two: {path: two, uses: [kit], image: {binary: two}, deploy: {task: t.json, service: "
	"s.json}}\n"
	"environments:\n"
	"  local: {target: local}\n"
	"  cloud: {target: aws, region: eu-central-1}\n";

static const char credentials[] =
	"{\"endpoint\":\"http://127.0.0.1:4566\",\"region\":\"us-east-1\","
	"\"access_key_id\":\"AKIATEST\",\"secret_access_key\":\"secret\"}";

struct world {
	struct git_fixture git;
	char *state, *program, *url; /* owned */
	struct loop *loop;
	struct ledger *ledger;
	struct repository *repository;
	struct engine *engine;
	int64_t ended;           /* the run that ended last */
	enum outcome ended_as;   /* as it was told */
	int wanted;              /* how many more must end */
	const char *environment; /* NULL: local */
	bool stays;              /* the engine does */
};

__attribute__((unused)) static void world_free(struct world *world)
{
	engine_free(&world->engine);
	repository_free(&world->repository);
	ledger_close(&world->ledger);
	loop_free(&world->loop);
	git_fixture_free(&world->git);
	free(world->state);
	free(world->program);
	free(world->url);
}

static void over(void *context, const struct ledger_run *run, const struct error *err)
{
	struct world *world = context;

	(void)err;
	world->ended = run->id;
	world->ended_as = run->status;
	if (--world->wanted == 0)
		loop_stop(world->loop);
}

__attribute__((unused)) static void open_engine(struct world *world)
{
	struct engine_options options = {
		.loop = world->loop,
		.ledger = world->ledger,
		.repository = world->repository,
		.ledger_url = world->url,
		.state = world->state,
		.program = world->program,
		.stays = world->stays,
		.jobs = 4,
		.ended = over,
		.context = world,
	};

	world->engine = engine_new(&options);
}

__attribute__((unused)) static void put_beside(struct world *world, const char *name,
	const char *content)
{
	scoped(text_free) char *path = path_join(world->git.folder, name);

	if (!file_write(path, str_of(content), 0644, false, NULL))
		TEST_FAIL("cannot write %s", path);
}

static void put_services(struct world *world)
{
	static const char *const names[] = {"one", "two"};

	for (size_t i = 0; i < 2; i++) {
		scoped(text_free) char *main = path_join(names[i], "main.c");
		scoped(text_free) char *buildspec = path_join(names[i], "buildspec.yml");
		scoped(text_free) char *task = path_join(names[i], "t.json");
		scoped(text_free) char *service = path_join(names[i], "s.json");

		git_put(&world->git, main, "int main;\n");
		git_put(&world->git, buildspec, "version: 0.2\n");
		git_put(&world->git, task, "{}");
		git_put(&world->git, service, "{}");
	}
	git_put(&world->git, "kit/kit.c", "int kit;\n");
	git_put(&world->git, PROJECT_FILE, file);
}

__attribute__((unused)) static bool world_start(struct world *world, struct error *err)
{
	if (!git_fixture_init(&world->git))
		return false;
	world->state = path_join(world->git.folder, "state");
	world->program = path_join(world->git.folder, "stages");
	world->url = memory_format("sqlite:%s/ledger.db", world->state);
	scoped(text_free) char *local = path_join(world->state, "local");

	put_beside(world, "stages", program);
	put_services(world);
	if (chmod(world->program, 0755) != 0 || !folder_make(local, 0700, err))
		return false;
	put_beside(world, "state/local/credentials.json", credentials);
	if (!git_commit_all(&world->git, "first") || !loop_new(&world->loop, err) ||
		!ledger_open(world->url, LEDGER_WRITE, &world->ledger, err) ||
		!repository_open(world->git.work, &world->repository, err))
		return false;
	open_engine(world);
	return true;
}

__attribute__((unused)) static int64_t submit(struct world *world, const char *rev,
	const char *force, struct error *err)
{
	scoped(commit_free) struct commit commit = {0};
	int64_t run = 0;
	struct engine_request request = {.commit = &commit,
		.branch = "main",
		.environment = world->environment ? world->environment : "local",
		.force = force};

	world->wanted++;
	if (!repository_resolve(world->repository, rev, &commit, err) ||
		!engine_submit(world->engine, &request, &run, err))
		printf("# %s\n", err->message);
	return run;
}

__attribute__((unused)) static void wait_for_end(struct world *world, struct error *err)
{
	if (world->wanted > 0 && !loop_run(world->loop, err))
		printf("# %s\n", err->message);
}

/* Submits, waits, and gives the run as its steps: "one/build=passed one/image=passed …". */
__attribute__((unused)) static char *outcome(struct world *world, int64_t run)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	scoped(ledger_run_free) struct ledger_run row = {0};
	scoped(error_free) struct error err = {0};
	struct buf text = {0};

	if (!ledger_run_get(world->ledger, run, &row, &err) ||
		!ledger_steps_find(world->ledger, run, &steps, &err))
		return memory_copy_text(err.message);
	buf_append_text(&text, outcome_name(row.status));
	for (size_t i = 0; i < steps.count; i++)
		buf_printf(&text, " %s/%s=%s", steps.items[i].service, steps.items[i].name,
			outcome_name(steps.items[i].status));
	return buf_take(&text);
}

#define ALL_PASSED                                                                                 \
	"passed one/build=passed one/image=passed one/push=passed one/deploy=passed "              \
	"two/build=passed two/image=passed two/push=passed two/deploy=passed"

#endif
