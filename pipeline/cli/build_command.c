#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"
#include "builders/executor/work_folder.h"
#include "pipeline/cli/build_merge.h"
#include "pipeline/cli/build_store.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/live_log.h"
#include "pipeline/engine/build_key.h"
#include "pipeline/source/repository.h"

#include <stdlib.h>

static struct build_flags flags;
static struct {
	const char *commit, *repository, *output, *cache, *log, *task, *merge, *executor;
	bool no_cache, no_restore;
} given = {"HEAD", ".", NULL, NULL, "plain", NULL, NULL, NULL, false, false};

static const struct option_row rows[] = {
	{"commit", OPTION_TEXT, &given.commit, "REV", "what to build (default: HEAD)", NULL},
	{"repository", OPTION_TEXT, &given.repository, "DIR", "the repository (default: here)",
		NULL},
	{"output", OPTION_TEXT, &given.output, "DIR",
		"where log, result and artifacts go (default: in the state folder)", NULL},
	{"cache", OPTION_TEXT, &given.cache, "DIR",
		"keeps what the buildspec's cache names (default: in the state folder)", NULL},
	{"no-cache", OPTION_SWITCH, &given.no_cache, NULL, "keep and use no cache, restore nothing",
		NULL},
	{"no-restore", OPTION_SWITCH, &given.no_restore, NULL,
		"build, although the same was built before", NULL},
	{"log", OPTION_CHOICE, &given.log, "FORM",
		"plain: shown, and kept as build.log, too; stored: only kept as build.log.zst",
		"plain|stored"},
	{"executor", OPTION_CHOICE, &given.executor, "NAME", "where the build runs",
		EXECUTOR_NAMES},
	{"task", OPTION_TEXT, &given.task, "ID", "only this task of the buildspec's batch", NULL},
	{"merge", OPTION_TEXT, &given.merge, "DIR",
		"put together what the tasks of the batch left in DIR/build:ID", NULL},
	BUILD_FLAG_ROWS(flags),
};

static const struct option_set options = {
	.usage = "build SERVICE [--commit REV] [--output DIR] [--task ID] [flags]",
	.about = "build and test one service of a commit in a sandbox",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

enum {
	PROJECT_LIMIT = 1024 * 1024,
	DEFAULT_TIMEOUT_MS = 60 * 60 * 1000,
	EXIT_FAILED = 1,
	EXIT_INVALID = 2,
};

/* One service of one commit, and what it takes to build it. */
struct order {
	struct repository *repository;
	struct commit commit;
	struct snapshot *snapshot;
	struct project *project;
	const struct project_service *service; /* in project */
	struct batch_file batch;               /* no kind: this is no task of one */
	struct build_input input;
	struct build_store store;
	struct work_folder work;
	char *toolchain;                           /* owned */
	char *source, *output, *buildspec, *cache; /* owned */
};

static void order_free(struct order *order)
{
	work_folder_remove(&order->work);
	build_store_free(&order->store);
	build_input_free(&order->input);
	batch_file_free(&order->batch);
	project_free(&order->project);
	snapshot_free(&order->snapshot);
	commit_free(&order->commit);
	repository_free(&order->repository);
	free(order->toolchain);
	free(order->source);
	free(order->output);
	free(order->buildspec);
	free(order->cache);
}

static bool find_service(struct order *order, const char *name, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	if (!repository_open(given.repository, &order->repository, err) ||
		!repository_resolve(order->repository, given.commit, &order->commit, err) ||
		!snapshot_open(order->repository, order->commit.id, &order->snapshot, err))
		return false;
	if (!snapshot_read(order->snapshot, PROJECT_FILE, PROJECT_LIMIT, &text, err) ||
		!project_parse(buf_str(&text), PROJECT_FILE, NULL, &order->project, err))
		return error_while(err, "reading %s of commit %.12s", PROJECT_FILE,
			order->commit.id);
	order->service = project_need_service(order->project, name, err);
	return order->service != NULL;
}

/* Only what the service says it reads: what it forgets to say fails here, not in production. */
static bool check_out(struct order *order, struct error *err)
{
	const struct project_service *service = order->service;
	const char **paths = memory_new_array(service->uses.count + 1, sizeof(*paths));

	paths[0] = service->path;
	for (size_t i = 0; i < service->uses.count; i++)
		paths[i + 1] = service->uses.items[i];
	order->source = path_join(order->work.path, "src");
	bool done = snapshot_checkout(order->snapshot, paths, service->uses.count + 1,
		order->source, NULL, err);

	free(paths);
	return done ||
	       error_while(err, "checking out %s of commit %.12s", service->name, order->commit.id);
}

static bool choose_task(struct order *order, struct error *err)
{
	const struct project_service *service = order->service;
	size_t task;

	if (!given.task && !given.merge) {
		if (!service->build.batch)
			return true;
		error_raise(err, ERROR_USAGE,
			"\"%s\" is built as a batch: its tasks, each for itself", service->name);
		return error_next(err, "dogshore run builds them all, --task ID one of them, and "
				       "\"dogshore buildspec explain\" lists them");
	}
	if (!batch_file_read(service, order->snapshot, &order->batch, err))
		return false;
	if (!given.task)
		return true;
	if (!batch_file_need(&order->batch, given.task, &task, err) ||
		!batch_file_buildspec(&order->batch, task, &order->buildspec, err))
		return false;
	batch_file_variables(&order->batch, task, &order->input.env);
	return true;
}

static bool prepare(struct order *order, const char *state, struct error *err)
{
	const struct project_service *service = order->service;

	project_pairs_add(&service->env, NULL, &order->input.env);
	if (!choose_task(order, err))
		return false;
	if (!order->buildspec)
		order->buildspec = project_service_file(service, service->buildspec);
	order->output = given.output ? memory_copy_text(given.output)
				     : memory_format("%s/builds/%s%s%s", state, service->name,
					       given.task ? ":" : "", given.task ? given.task : "");
	if (!given.no_cache)
		order->cache = given.cache ? memory_copy_text(given.cache)
					   : memory_format("%s/cache/%s/%s", state,
						     order->project->app, service->name);
	return build_input_read(&flags, &order->input, err) &&
	       folder_make(order->output, 0700, err);
}

static bool find_store(struct order *order, const char *state, struct error *err)
{
	order->toolchain = key_toolchain();
	const struct build_key_options how = {.app = order->project->app,
		.service = order->service,
		.toolchain = order->toolchain,
		.env = &order->input.env,
		.network = build_input_network(&flags, order->service->build.no_network),
		.no_sandbox = flags.no_sandbox};

	return build_key_store(state, &order->store.store, err) &&
	       (order->input.secrets || build_key_of(&how, order->snapshot, order->store.key, err));
}

static struct limits limits_of(const struct project_service *service)
{
	const struct project_build *build = &service->build;

	return (struct limits){build->memory_bytes, build->disk_bytes, build->processes,
		build->cpus};
}

static bool is_plain(void)
{
	return text_equal(given.log, "plain");
}

/* The flag wins. Both are among the names that there are. */
static const char *executor_of(const struct project_service *service)
{
	const char *wanted = given.executor ? given.executor : service->build.executor;

	return wanted ? wanted : EXECUTOR_DEFAULT;
}

/* What a build reads besides its service's own folder says when that must be built again. */
static bool has_reads(const struct project_service *service)
{
	return service->uses.count && !text_equal(service->path, ".");
}

static struct executor_request request_of(const struct order *order)
{
	int64_t timeout_ms = flags.timeout_ms ? flags.timeout_ms : order->service->timeout_ms;

	return (struct executor_request){.executor = executor_of(order->service),
		.service = order->service->name,
		.commit = order->commit.id,
		.toolchain = order->toolchain,
		.source = order->source,
		.work = order->work.path,
		.path = has_reads(order->service) ? order->service->path : NULL,
		.buildspec = order->buildspec,
		.output = order->output,
		.cache = order->cache,
		.env = &order->input.env,
		.secrets = order->input.secrets,
		.sandbox = !flags.no_sandbox,
		.network = build_input_network(&flags, order->service->build.no_network),
		.limits = build_input_limits(&flags, limits_of(order->service)),
		.log_limit_bytes =
			flags.log_bytes ? flags.log_bytes : order->service->build.log_bytes,
		.timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS,
		.plain_log = is_plain(),
		.log = is_plain() ? live_log_take : NULL};
}

static bool report(struct command_context *context, const struct executor_request *request,
	const struct build_result *result, struct error *err)
{
	context->exit_status = result->problem.given ? EXIT_INVALID
			       : result->succeeded   ? 0
						     : EXIT_FAILED;
	if (context->json)
		return executor_write_result(request, result, &context->result, err);
	printf("%s %.12s %s in %lld ms, see %s\n", request->service, request->commit,
		result->succeeded ? "passed" : "failed", (long long)result->duration_ms,
		request->output);
	for (size_t i = 0; i < result->reports.count; i++) {
		scoped(text_free) char *summary = report_group_summary(&result->reports.groups[i]);

		printf("  %s: %s\n", result->reports.groups[i].name, summary);
	}
	return true;
}

/* The same was built before. */
static bool restore(struct command_context *context, struct order *order, bool *out_restored,
	struct error *err)
{
	scoped(store_origin_free) struct store_origin origin = {0};
	int64_t start_ms = clock_elapsed(&system_clock);

	*out_restored = false;
	if (given.no_restore || given.no_cache)
		return true;
	if (!build_store_restore(&order->store, order->output, &origin, out_restored, err))
		return false;
	if (!*out_restored)
		return true;
	if (!build_store_show(&origin, order->output, is_plain(), err))
		return false;
	if (context->json)
		return build_store_write_result(&origin, order->commit.id, order->output,
			&context->result, err);
	scoped(text_free) char *from = store_origin_text(&origin);

	printf("%s %.12s restored from %s in %lld ms, see %s\n", order->service->name,
		order->commit.id, from, (long long)(clock_elapsed(&system_clock) - start_ms),
		order->output);
	return true;
}

static bool build(struct command_context *context, struct order *order, int cancel_fd,
	struct error *err)
{
	scoped(build_result_free) struct build_result result = {0};

	if (!work_folder_make(&order->work, err) || !check_out(order, err))
		return false;
	struct executor_request request = request_of(order);

	request.cancel_fd = cancel_fd;
	live_log_begin(is_plain());
	bool done = executor_find(request.executor)->build(&request, &result, err);

	live_log_end();
	if (!done)
		return false;
	if (result.succeeded)
		build_store_keep(&order->store, order->commit.id, order->output);
	return report(context, &request, &result, err);
}

static bool merge(struct command_context *context, const struct order *order, struct error *err)
{
	const struct build_merge how = {.batch = &order->batch,
		.service = order->service->name,
		.commit = order->commit.id,
		.tasks = given.merge,
		.output = order->output,
		.reads = has_reads(order->service)};
	scoped(buf_free) struct buf result = {0};

	if (!build_merge(&how, &result, err))
		return false;
	if (context->json)
		buf_append_str(&context->result, buf_str(&result));
	else
		printf("%s %.12s merged, see %s\n", how.service, how.commit, how.output);
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(order_free) struct order order = {0};
	bool restored = false;
	int cancel_fd;

	if (given.task && given.merge)
		return error_raise(err, ERROR_USAGE, "--task and --merge exclude each other");
	/* First of all: from here on there is something to clean up. */
	if (!cancel_watch(&cancel_fd, err) || !find_service(&order, context->words.items[0], err) ||
		!prepare(&order, context->state, err))
		return false;
	if (given.merge)
		return merge(context, &order, err);
	if (!find_store(&order, context->state, err) || !restore(context, &order, &restored, err))
		return false;
	return restored || build(context, &order, cancel_fd, err);
}

const struct command build_command = {"build", &options, run, false};
