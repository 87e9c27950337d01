#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/work_folder.h"
#include "buildspec/build.h"
#include "pipeline/cli/breakpoint.h"
#include "pipeline/cli/build_input.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/live_log.h"
#include "pipeline/engine/batch_run.h"

#include <stdlib.h>

static struct build_flags flags;
static struct {
	const char *source, *file, *artifacts, *reports, *cache;
	const char *task;
	struct strings secondary;
	bool breaks, batch;
} given = {.source = ".", .file = "buildspec.yml"};

static const struct option_row run_rows[] = {
	{"source", OPTION_TEXT, &given.source, "DIR", "what to build (default: here)", NULL},
	{"secondary-source", OPTION_LIST, &given.secondary, "ID=DIR",
		"another source, which the build finds at CODEBUILD_SRC_DIR_ID", NULL},
	{"buildspec", OPTION_TEXT, &given.file, "FILE",
		"relative to the source (default: buildspec.yml)", NULL},
	{"artifacts", OPTION_TEXT, &given.artifacts, "DIR", "where artifacts go", NULL},
	{"reports", OPTION_TEXT, &given.reports, "DIR", "where test and coverage reports go", NULL},
	{"cache", OPTION_TEXT, &given.cache, "DIR",
		"keeps what the buildspec's cache names (default: nothing is kept)", NULL},
	{"batch", OPTION_SWITCH, &given.batch, NULL,
		"the tasks of the buildspec's batch section, one after the other", NULL},
	{"task", OPTION_TEXT, &given.task, "ID", "only this task of the batch section", NULL},
	{"break", OPTION_SWITCH, &given.breaks, NULL,
		"on a terminal: a shell in the build at each codebuild-breakpoint", NULL},
	BUILD_FLAG_ROWS(flags),
};

static const struct option_set run_options = {
	.usage = "buildspec run [--source DIR] [--artifacts DIR] [flags]",
	.about = "run a buildspec over a copy of a folder",
	.rows = run_rows,
	.count = countof(run_rows),
};

enum { EXIT_FAILED = 1, EXIT_INVALID = 2 };

/* What is built, and with what. */
struct running {
	struct build_input input;
	struct secondary_sources secondary;
	struct batch_file batch; /* no kind: this is no batch */
	int cancel_fd;           /* 0: not watched yet */
};

static void running_free(struct running *running)
{
	build_input_free(&running->input);
	secondary_sources_free(&running->secondary);
	batch_file_free(&running->batch);
}

/* One build: of the file itself, or of a task. */
struct one {
	const char *work;                                                  /* borrowed */
	char *buildspec, *source, *output, *reports, *primary, *secondary; /* owned */
	struct strings env;
	struct secondary_sources copies;
};

static void one_free(struct one *one)
{
	free(one->buildspec);
	free(one->source);
	free(one->output);
	free(one->reports);
	free(one->primary);
	free(one->secondary);
	strings_free(&one->env);
	secondary_sources_free(&one->copies);
}

/* The tasks of a batch have a folder each. */
static char *folder_of(const char *wanted, const char *work, const char *otherwise,
	const char *task)
{
	scoped(text_free) char *folder =
		wanted ? memory_copy_text(wanted) : path_join(work, otherwise);

	return task ? path_join(folder, task) : memory_copy_text(folder);
}

static bool choose(const struct running *running, size_t task, struct one *one, struct error *err)
{
	const struct batch_file *batch = &running->batch;
	const char *apart = given.batch ? batch->plan.tasks[task].identifier : NULL;

	if (!batch->kind)
		one->buildspec = memory_copy_text(given.file);
	else if (!batch_file_buildspec(batch, task, &one->buildspec, err))
		return false;
	else
		batch_file_variables(batch, task, &one->env);
	for (size_t i = 0; i < running->input.env.count; i++)
		strings_add(&one->env, running->input.env.items[i]);
	one->source = path_join(one->work, "src");
	one->output = folder_of(given.artifacts, one->work, "artifacts", NULL);
	one->reports = folder_of(given.reports, one->work, "reports", apart);
	one->primary = apart ? path_join(apart, "primary") : memory_copy_text("primary");
	one->secondary = memory_copy_text(apart ? apart : ".");
	return true;
}

/* In copies, so that a run leaves the sources as they are. */
static bool copy(struct running *running, struct one *one, struct error *err)
{
	if (!folder_copy(given.source, one->source, err) ||
		!secondary_sources_copy(&running->secondary, one->work, !flags.no_sandbox,
			&one->copies, err) ||
		!folder_make(one->output, 0755, err) || !folder_make(one->reports, 0755, err))
		return false;
	return running->cancel_fd || cancel_watch(&running->cancel_fd, err);
}

static struct build_options options_of(const struct running *running, const struct one *one)
{
	return (struct build_options){.source = one->source,
		.buildspec = one->buildspec,
		.secondary = &one->copies,
		.output = one->output,
		.reports = one->reports,
		.work = one->work,
		.cache = given.cache,
		.primary_folder = one->primary,
		.secondary_folder = one->secondary,
		.env = &one->env,
		.secrets = running->input.secrets,
		.sandbox = !flags.no_sandbox,
		.network = build_input_network(&flags, false),
		.limits = flags.limits,
		.log_limit_bytes = flags.log_bytes,
		.timeout_ms = flags.timeout_ms,
		.cancel_fd = running->cancel_fd,
		.log = live_log_take};
}

static void say_task(const struct running *running, size_t task)
{
	const struct batch_plan *plan = &running->batch.plan;
	scoped(text_free) char *line = memory_format("[build] Running task %s, %zu of %zu\n",
		plan->tasks[task].identifier, task + 1, plan->count);

	live_log_take(NULL, str_of(line));
}

static bool build(void *self, size_t task, struct build_result *out_result, struct error *err)
{
	struct running *running = self;
	scoped(breakpoint_end) struct breakpoint breakpoint = {0};
	scoped(work_folder_remove) struct work_folder work = {0};
	scoped(one_free) struct one one = {0};

	if (given.breaks && !breakpoint_begin(&breakpoint, err))
		return false;
	if (!work_folder_make(&work, err))
		return false;
	one.work = work.path;
	if (!choose(running, task, &one, err) || !copy(running, &one, err))
		return false;
	struct build_options options = options_of(running, &one);

	options.break_fds[0] = breakpoint.terminal_fd;
	options.break_fds[1] = breakpoint.notify_fd;
	live_log_begin(!breakpoint.relay);
	if (given.batch)
		say_task(running, task);
	bool done = build_run(&options, out_result, err);

	live_log_end();
	return done;
}

static int exit_status_of(const struct build_result *result)
{
	return result->problem.given ? EXIT_INVALID : result->succeeded ? 0 : EXIT_FAILED;
}

static void print_result(const struct build_result *result)
{
	printf("%s in %lld ms\n", result->succeeded ? "succeeded" : "failed",
		(long long)result->duration_ms);
	for (size_t i = 0; i < result->reports.count; i++) {
		const struct report_group *group = &result->reports.groups[i];
		scoped(text_free) char *summary = report_group_summary(group);

		printf("%s: %s\n", group->name, summary);
	}
	for (size_t i = 0; given.artifacts && i < result->artifact_count; i++)
		printf("%zu artifacts in %s/%s\n", result->artifacts[i].files.count,
			given.artifacts, result->artifacts[i].folder);
}

static bool run_one(struct command_context *context, struct running *running, size_t task,
	struct error *err)
{
	scoped(build_result_free) struct build_result result = {0};

	if (!build(running, task, &result, err))
		return false;
	context->exit_status = exit_status_of(&result);
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		build_result_write(&result, &w);
	} else {
		print_result(&result);
	}
	return true;
}

static void print_batch(const struct batch_file *file, const struct batch_run *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct batch_run_task *task = &batch->tasks[i];

		printf("%s: ", file->plan.tasks[i].identifier);
		if (task->built)
			print_result(&task->result);
		else
			printf("%s\n", outcome_name(task->status));
		if (task->reason)
			printf("  %s\n", task->reason);
	}
	printf("batch %s in %lld ms\n", outcome_name(batch->status), (long long)batch->duration_ms);
}

static bool run_batch(struct command_context *context, struct running *running, struct error *err)
{
	scoped(batch_run_free) struct batch_run batch = {0};

	batch_run(&running->batch, build, running, &batch);
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		batch_run_write(&running->batch, &batch, &w);
	} else {
		print_batch(&running->batch, &batch);
	}
	if (batch.telling == SIZE_MAX)
		return true;
	struct batch_run_task *task = &batch.tasks[batch.telling];
	const char *identifier = running->batch.plan.tasks[batch.telling].identifier;

	if (task->built)
		return error_raise(err, task->result.problem.given ? ERROR_INVALID : ERROR_FAILED,
			"task \"%s\" failed: %s", identifier, task->reason);
	error_move(err, &task->failure);
	return error_while(err, "running task \"%s\" of the batch", identifier);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(running_free) struct running running = {0};
	size_t task = 0;

	if (given.batch && given.task)
		return error_raise(err, ERROR_USAGE, "--batch and --task exclude each other");
	if (!build_input_read(&flags, &running.input, err) ||
		!secondary_sources_parse(&given.secondary, !flags.no_sandbox, &running.secondary,
			err))
		return false;
	if ((given.batch || given.task) &&
		!batch_file_load(given.source, given.file, &running.batch, err))
		return false;
	if (given.task && !batch_file_need(&running.batch, given.task, &task, err))
		return false;
	return given.batch ? run_batch(context, &running, err)
			   : run_one(context, &running, task, err);
}

const struct command buildspec_run_command = {"buildspec run", &run_options, run, false};
