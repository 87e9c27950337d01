#include "pipeline/engine/rebuild.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "pipeline/engine/batch_file.h"
#include "pipeline/engine/image_stage.h"
#include "pipeline/engine/schedule.h"

#include <unistd.h>

enum { PROJECT_LIMIT = 1024 * 1024, RESULT_LIMIT = 8 << 20 };

/* One image on its way. */
struct rebuild {
	const struct rebuild_options *options;
	struct repository *repository;
	struct commit commit;
	struct snapshot *snapshot;
	struct project *project;
	const struct project_service *service;
	struct strings env; /* of the stages */
	struct digest digest;
};

static void rebuild_free(struct rebuild *rebuild)
{
	project_free(&rebuild->project);
	snapshot_free(&rebuild->snapshot);
	commit_free(&rebuild->commit);
	repository_free(&rebuild->repository);
	strings_free(&rebuild->env);
}

static bool find_commit(struct rebuild *r, struct error *err)
{
	const struct rebuild_options *o = r->options;
	struct error none = {0};

	if (!repository_open(o->repository, &r->repository, err))
		return false;
	if (repository_resolve(r->repository, o->commit, &r->commit, &none))
		return snapshot_open(r->repository, r->commit.id, &r->snapshot, err);
	if (none.kind != ERROR_NOT_FOUND) {
		error_move(err, &none);
		return false;
	}
	error_ignore(&none, "said better below");
	error_raise(err, ERROR_NOT_FOUND,
		"the repository \"%s\" has no commit %s, from which the image is said to be",
		o->repository, o->commit);
	return error_next(err,
		"it is said to be in %s: fetch it from there, or name another clone "
		"with --repository",
		o->origin ? o->origin : "another repository");
}

static bool find_service(struct rebuild *r, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	if (!snapshot_read(r->snapshot, PROJECT_FILE, PROJECT_LIMIT, &text, err) ||
		!project_parse(buf_str(&text), PROJECT_FILE, NULL, &r->project, err))
		return error_while(err, "reading " PROJECT_FILE " of commit %.12s", r->commit.id);
	r->service = project_service(r->project, r->options->service);
	return r->service ||
	       error_raise(err, ERROR_NOT_FOUND,
		       "commit %.12s has no service \"%s\", of which the image is said to be",
		       r->commit.id, r->options->service);
}

/* Our environment, but nothing of it that would change, sign or record what is made. */
static void make_environment(struct rebuild *r)
{
	static const char *const left_out[] = {"DOGSHORE_SIGNING_KEY=", "DOGSHORE_STATE=",
		"DOGSHORE_LEDGER=", "DOGSHORE_STORE_LIMIT=", "SOURCE_DATE_EPOCH="};

	for (char **at = environ; *at; at++) {
		bool leave = false;

		for (size_t i = 0; i < countof(left_out); i++)
			leave = leave || text_starts_with(*at, left_out[i]);
		if (!leave)
			strings_add(&r->env, *at);
	}
	strings_printf(&r->env, "DOGSHORE_STATE=%s/state", r->options->folder);
	/* What comes from elsewhere proves nothing, and nobody restores what is made here. */
	strings_add(&r->env, "DOGSHORE_STORE_LIMIT=0");
	if (r->options->epoch)
		strings_printf(&r->env, "SOURCE_DATE_EPOCH=%s", r->options->epoch);
}

/* Runs one stage as a run would; its log goes to stderr as it comes. */
static bool run_stage(struct rebuild *r, const struct strings *argv, const char *what,
	struct json **out_result, struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options how = {.argv = (const char *const *)argv->items,
		.env = (const char *const *)r->env.items,
		.stderr_fd = -1,
		.die_with_parent = true};

	if (!process_run(&how, (struct str){0}, 0, RESULT_LIMIT, &result, err) ||
		!json_parse(buf_str(&result.output), what, NULL, out_result, err))
		return error_while(err, "starting %s again", what);
	if (result.exit.exited && result.exit.status == 0)
		return true;
	error_raise(err, ERROR_FAILED, "%s does not succeed here: %s", what,
		json_get_text(json_get(*out_result, "error"), "message",
			json_get_text(*out_result, "reason", "see above")));
	return error_next(err, "try it alone: dogshore build %s --commit %.12s", r->service->name,
		r->commit.id);
}

/* flag and value: what of a batch; NULL for a service that is none. */
static bool build_again(struct rebuild *r, const char *output, const char *flag, const char *value,
	struct error *err)
{
	scoped(strings_free) struct strings argv = {0};
	scoped(json_free) struct json *result = NULL;
	const struct project_service *service = r->service;

	strings_add(&argv, "/proc/self/exe");
	strings_add(&argv, "build");
	strings_add(&argv, service->name);
	strings_add(&argv, "--commit");
	strings_add(&argv, r->commit.id);
	strings_add(&argv, "--repository");
	strings_add(&argv, r->options->repository);
	strings_add(&argv, "--output");
	strings_add(&argv, output);
	strings_add(&argv, "--no-cache");
	if (flag) {
		strings_add(&argv, flag);
		strings_add(&argv, value);
	} else {
		project_pairs_add(&service->env, "--env", &argv);
	}
	if (r->options->network)
		strings_add(&argv, "--network");
	if (r->options->no_sandbox)
		strings_add(&argv, "--no-sandbox");
	strings_add(&argv, "--json");
	return run_stage(r, &argv, "the build", &result, err);
}

/* Its tasks one after the other, in the order of the plan. */
static bool build_batch(struct rebuild *r, const char *output, struct error *err)
{
	scoped(batch_file_free) struct batch_file batch = {0};

	if (!batch_file_read(r->service, r->snapshot, &batch, err))
		return false;
	for (size_t i = 0; i < batch.plan.count; i++) {
		const struct batch_plan_task *task = &batch.plan.tasks[i];
		scoped(error_free) struct error wrong = {0};
		scoped(text_free) char *folder = memory_format("%s/" STEP_TASK_PREFIX "%s",
			r->options->folder, task->identifier);

		if (build_again(r, folder, "--task", task->identifier, &wrong))
			continue;
		if (wrong.kind != ERROR_FAILED || !task->ignore_failure) {
			error_move(err, &wrong);
			return error_while(err, "building task \"%s\"", task->identifier);
		}
		error_ignore(&wrong, "as in the run, what it left is left out");
	}
	return build_again(r, output, "--merge", r->options->folder, err);
}

static bool make_image(struct rebuild *r, const char *output, struct error *err)
{
	scoped(strings_free) struct strings argv = {0};
	scoped(json_free) struct json *result = NULL;
	scoped(text_free) char *files = path_join(r->options->folder, "files");
	const struct image_stage stage = {.service = r->service,
		.snapshot = r->snapshot,
		.output = output,
		.files = files};

	strings_add(&argv, "/proc/self/exe");
	if (!image_stage_arguments(&stage, &argv, err))
		return false;
	strings_add(&argv, "--no-cache");
	strings_add(&argv, "--output");
	strings_add(&argv, r->options->output);
	strings_add(&argv, "--json");
	return run_stage(r, &argv, "the image build", &result, err) &&
	       (digest_parse(json_str(json_get(result, "digest")), &r->digest) ||
		       error_raise(err, ERROR_UNKNOWN, "the image build named no digest"));
}

bool rebuild_image(const struct rebuild_options *options, struct rebuilt *out_rebuilt,
	struct error *err)
{
	scoped(rebuild_free) struct rebuild r = {.options = options};
	scoped(text_free) char *output = path_join(options->folder, "build");

	if (!find_commit(&r, err) || !find_service(&r, err))
		return false;
	make_environment(&r);
	bool built = r.service->build.batch ? build_batch(&r, output, err)
					    : build_again(&r, output, NULL, NULL, err);

	if (!built || !make_image(&r, output, err))
		return false;
	memcpy(out_rebuilt->commit, r.commit.id, sizeof(out_rebuilt->commit));
	out_rebuilt->digest = r.digest;
	return true;
}
