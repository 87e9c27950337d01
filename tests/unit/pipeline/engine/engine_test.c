#include "tests/unit/pipeline/git_fixture.h"

#include "base/loop.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/report.h"
#include "pipeline/plan/project.h"

#include <sys/stat.h>

/*
 * A repository with two services and a program in place of dogshore's stages: it notes its command
 * line in calls, fails when a file "fail-SERVICE-STEP" lies beside it, waits while there is
 * "wait-SERVICE", and gives an image the digest of the file "digest-SERVICE", else of the commit.
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
	"build)\n"
	"	while [ $# -gt 0 ]; do [ \"$1\" != --output ] || mkdir -p \"$2/artifacts\"; shift; "
	"done\n"
	"	echo '{}';;\n"
	"image)\n"
	"	while [ $# -gt 0 ]; do [ \"$1\" != --output ] || out=${2%:*}; shift; done\n"
	"	mkdir -p \"$out\"; echo '{}' >\"$out/index.json\"\n"
	"	d=$(cat \"$here/digest-$service\" 2>/dev/null || echo 0)\n"
	"	printf '{\"digest\":\"sha256:%064d\"}\\n' \"$d\";;\n"
	"push) echo '{}';;\n"
	"deploy) echo '{\"verdict\":\"deployed\",\"deployment_id\":\"d1\"}';;\n"
	"esac\n";

static const char file[] =
	"app: test\n"
	"services:\n"
	"  one: {path: one, uses: [kit], image: {binary: one}, deploy: {task: t.json, service: "
	"s.json}}\n"
	"  two: {path: two, uses: [kit], image: {binary: two}, deploy: {task: t.json, service: "
	"s.json}}\n"
	"environments:\n"
	"  local: {target: local}\n";

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
	int64_t ended; /* the run that ended last */
	int wanted;    /* how many more must end */
	bool stop_at_start;
};

static void world_free(struct world *world)
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
	if (--world->wanted == 0)
		loop_stop(world->loop);
}

static bool open_engine(struct world *world, struct error *err)
{
	struct engine_options options = {
		.loop = world->loop,
		.ledger = world->ledger,
		.repository = world->repository,
		.ledger_url = world->url,
		.state = world->state,
		.program = world->program,
		.jobs = 4,
		.ended = over,
		.context = world,
	};

	return engine_new(&options, &world->engine, err);
}

static void put_beside(struct world *world, const char *name, const char *content)
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
		scoped(text_free) char *task = path_join(names[i], "t.json");
		scoped(text_free) char *service = path_join(names[i], "s.json");

		git_put(&world->git, main, "int main;\n");
		git_put(&world->git, task, "{}");
		git_put(&world->git, service, "{}");
	}
	git_put(&world->git, "kit/kit.c", "int kit;\n");
	git_put(&world->git, PROJECT_FILE, file);
}

static bool world_start(struct world *world, struct error *err)
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
	return git_commit_all(&world->git, "first") && loop_new(&world->loop, err) &&
	       ledger_open(world->url, LEDGER_WRITE, &world->ledger, err) &&
	       repository_open(world->git.work, &world->repository, err) && open_engine(world, err);
}

static int64_t submit(struct world *world, const char *rev, const char *force, struct error *err)
{
	scoped(commit_free) struct commit commit = {0};
	int64_t run = 0;
	struct engine_request request = {.commit = &commit,
		.branch = "main",
		.environment = "local",
		.force = force};

	world->wanted++;
	if (!repository_resolve(world->repository, rev, &commit, err) ||
		!engine_submit(world->engine, &request, &run, err))
		printf("# %s\n", err->message);
	return run;
}

static void wait_for_end(struct world *world, struct error *err)
{
	if (world->wanted > 0 && !loop_run(world->loop, err))
		printf("# %s\n", err->message);
}

/* Submits, waits, and gives the run as its steps: "one/build=passed one/image=passed …". */
static char *outcome(struct world *world, int64_t run)
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

static void check_run(struct world *world, const char *rev, const char *force, const char *expected)
{
	scoped(error_free) struct error err = {0};
	int64_t run = submit(world, rev, force, &err);

	wait_for_end(world, &err);
	scoped(text_free) char *got = outcome(world, run);

	CHECK_TEXT(got, expected);
}

static char *calls(struct world *world)
{
	scoped(text_free) char *path = path_join(world->git.folder, "calls");
	struct buf text = {0};

	if (!file_read(path, 1 << 20, &text, NULL))
		buf_append_text(&text, "");
	if (!file_remove(path, NULL))
		TEST_FAIL("cannot remove %s", path);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\n')
			text.data[i] = ';';
	return buf_take(&text);
}

#define ALL_PASSED                                                                                 \
	"passed one/build=passed one/image=passed one/push=passed one/deploy=passed "              \
	"two/build=passed two/image=passed two/push=passed two/deploy=passed"

TEST(a_commit_goes_the_whole_way_and_then_there_is_nothing_to_do)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	REQUIRE_OK(ledger_currents_find(world.ledger, "test", "local", &currents, &err));
	CHECK_INT(currents.count, 2);
	scoped(text_free) char *first = calls(&world);

	CHECK_INT(strlen(first) > 0, 1);
	check_run(&world, "HEAD", NULL, "passed");
	scoped(text_free) char *second = calls(&world);

	CHECK_TEXT(second, "");
}

TEST(a_change_in_one_service_builds_and_deploys_that_one)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/main.c", "int changed;\n");
	put_beside(&world, "digest-one", "7");
	REQUIRE(git_commit_all(&world.git, "one"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(the_same_image_is_neither_pushed_nor_deployed_again)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/main.c", "int main; /* a comment */\n");
	REQUIRE(git_commit_all(&world.git, "comment"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=skipped");
	/* and the new key is known from now on */
	check_run(&world, "HEAD", NULL, "passed");
	/* back to what was built before: nothing is built, and what is there is right */
	check_run(&world, "HEAD~1", NULL,
		"passed one/build=skipped one/image=skipped one/push=skipped one/deploy=skipped");
}

TEST(a_change_of_the_task_file_deploys_the_same_image)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/t.json", "{\"cpu\":\"256\"}");
	REQUIRE(git_commit_all(&world.git, "task"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=passed");
}

TEST(another_cloud_gets_everything_without_a_build)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	put_beside(&world, "state/local/credentials.json",
		"{\"endpoint\":\"http://127.0.0.1:4566\",\"region\":\"us-east-1\","
		"\"access_key_id\":\"AKIAOTHER\",\"secret_access_key\":\"secret\"}");
	check_run(&world, "HEAD", NULL,
		"passed one/build=skipped one/image=skipped one/push=passed one/deploy=passed "
		"two/build=skipped two/image=skipped two/push=passed two/deploy=passed");
}

TEST(a_failing_test_stops_its_service_before_the_image)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "fail-one-build", "1");
	check_run(&world, "HEAD", NULL,
		"failed one/build=failed one/image=skipped one/push=skipped one/deploy=skipped "
		"two/build=passed two/image=passed two/push=passed two/deploy=passed");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_TEXT(run.reason, "build of one: the test x failed");
	/* what failed is tried again, what passed is not */
	scoped(text_free) char *fail = path_join(world.git.folder, "fail-one-build");

	REQUIRE_OK(file_remove(fail, &err));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(a_rolled_back_deployment_is_the_runs_outcome)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "fail-one-deploy", "4");
	check_run(&world, "HEAD", NULL,
		"rolled_back one/build=passed one/image=passed one/push=passed "
		"one/deploy=rolled_back two/build=passed two/image=passed two/push=passed "
		"two/deploy=passed");
	REQUIRE_OK(ledger_currents_find(world.ledger, "test", "local", &currents, &err));
	REQUIRE(currents.count == 1);
	CHECK_TEXT(currents.items[0].service, "two");
}

TEST(a_step_can_be_asked_for_again)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	check_run(&world, "HEAD", "two/deploy",
		"passed two/build=skipped two/image=skipped two/push=skipped two/deploy=passed");
	check_run(&world, "HEAD", "one/build",
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(a_bad_project_file_ends_the_run_with_its_place)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	git_put(&world.git, PROJECT_FILE, "app: test\nservices: 3\n");
	REQUIRE(git_commit_all(&world.git, "bad"));
	check_run(&world, "HEAD", NULL, "error");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_CONTAINS(run.reason, "dogshore.yml:2:11");
}

TEST(a_local_cloud_that_was_never_started_is_named)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	scoped(text_free) char *path = path_join(world.state, "local/credentials.json");

	REQUIRE_OK(file_remove(path, &err));
	check_run(&world, "HEAD", NULL, "error");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_CONTAINS(run.reason, "dogshore local up");
}

TEST(a_newer_commit_supersedes_the_one_that_waits)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t first = submit(&world, "HEAD", NULL, &err);

	git_put(&world.git, "readme", "1");
	REQUIRE(git_commit_all(&world.git, "second"));
	int64_t second = submit(&world, "HEAD", NULL, &err);

	git_put(&world.git, "readme", "2");
	REQUIRE(git_commit_all(&world.git, "third"));
	int64_t third = submit(&world, "HEAD", NULL, &err);
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");

	/* the superseded one does not run, so it does not end through the loop */
	world.wanted--;
	REQUIRE_OK(file_remove(wait, &err));
	wait_for_end(&world, &err);
	scoped(text_free) char *one = outcome(&world, first), *two = outcome(&world, second);
	scoped(text_free) char *three = outcome(&world, third);

	CHECK_TEXT(one, ALL_PASSED);
	CHECK_TEXT(two, "superseded");
	CHECK_TEXT(three, "passed");
}

static void stop_when_waiting(void *context)
{
	struct world *world = context;
	scoped(text_free) char *path = path_join(world->git.folder, "waiting-one");

	if (file_exists(path))
		loop_stop(world->loop);
}

/* Turns the loop until the program waits for service one. */
static void run_until_waiting(struct world *world, struct error *err)
{
	scoped(text_free) char *path = path_join(world->git.folder, "waiting-one");

	while (!file_exists(path))
		if (!loop_turn(world->loop, 5, err))
			return;
	stop_when_waiting(world);
}

TEST(a_cancelled_run_ends_its_children)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	bool asked = false;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	/* as another process would */
	REQUIRE_OK(engine_ask_cancel(world.ledger, run, &asked, &err));
	CHECK(asked);
	wait_for_end(&world, &err);
	scoped(ledger_run_free) struct ledger_run row = {0};

	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_INT(row.status, OUTCOME_CANCELLED);
	CHECK_FAILS(engine_ask_cancel(world.ledger, run, &asked, &err), ERROR_CONFLICT);
}

TEST(what_an_engine_left_behind_is_taken_over)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	int64_t resumed = 0;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	/* freed in the middle: the ledger still says that it runs */
	engine_free(&world.engine);
	scoped(ledger_run_free) struct ledger_run row = {0};

	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_INT(row.status, OUTCOME_RUNNING);
	CHECK_TEXT(report_status(&row), "interrupted");
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");

	REQUIRE_OK(file_remove(wait, &err));
	REQUIRE_OK(open_engine(&world, &err));
	REQUIRE_OK(engine_resume(world.engine, NULL, NULL, &resumed, &err));
	CHECK_INT(resumed, run);
	wait_for_end(&world, &err);
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_TEXT(got, ALL_PASSED);
}

TEST(a_run_that_nobody_works_on_is_cancelled_in_the_ledger)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	bool asked = true;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	engine_free(&world.engine);
	REQUIRE_OK(engine_ask_cancel(world.ledger, run, &asked, &err));
	CHECK(!asked);
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_CONTAINS(got, "cancelled one/build=cancelled");
}

TEST_MAIN()
