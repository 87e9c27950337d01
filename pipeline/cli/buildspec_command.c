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

static struct build_flags flags;
static struct {
	const char *source, *file, *artifacts, *reports, *cache;
	struct strings secondary;
	bool breaks;
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

/* In a copy, so that a run leaves the source as it is. */
static bool run_in(const char *work, const struct build_input *input,
	const struct secondary_sources *secondary, struct build_result *result, struct error *err)
{
	scoped(secondary_sources_free) struct secondary_sources copies = {0};
	scoped(text_free) char *source = path_join(work, "src");
	scoped(text_free) char *output =
		given.artifacts ? memory_copy_text(given.artifacts) : path_join(work, "artifacts");
	scoped(text_free) char *reports =
		given.reports ? memory_copy_text(given.reports) : path_join(work, "reports");
	struct build_options options = {.source = source,
		.buildspec = given.file,
		.secondary = &copies,
		.output = output,
		.reports = reports,
		.work = work,
		.cache = given.cache,
		.primary_folder = "primary",
		.secondary_folder = ".",
		.env = &input->env,
		.secrets = input->secrets,
		.sandbox = !flags.no_sandbox,
		.network = build_input_network(&flags, false),
		.limits = flags.limits,
		.log_limit_bytes = flags.log_bytes,
		.timeout_ms = flags.timeout_ms,
		.log = live_log_take};

	scoped(breakpoint_end) struct breakpoint breakpoint = {0};

	if (given.breaks && !breakpoint_begin(&breakpoint, err))
		return false;
	options.break_fds[0] = breakpoint.terminal_fd;
	options.break_fds[1] = breakpoint.notify_fd;
	if (!folder_copy(given.source, source, err) ||
		!secondary_sources_copy(secondary, work, options.sandbox, &copies, err) ||
		!folder_make(output, 0755, err) || !folder_make(reports, 0755, err) ||
		!cancel_watch(&options.cancel_fd, err))
		return false;
	live_log_begin(!breakpoint.relay);
	bool done = build_run(&options, result, err);

	live_log_end();
	return done;
}

static void report(struct command_context *context, const struct build_result *result)
{
	context->exit_status = result->problem.given ? EXIT_INVALID
			       : result->succeeded   ? 0
						     : EXIT_FAILED;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		build_result_write(result, &w);
		return;
	}
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

static bool run(struct command_context *context, struct error *err)
{
	scoped(work_folder_remove) struct work_folder work = {0};
	scoped(build_result_free) struct build_result result = {0};
	scoped(build_input_free) struct build_input input = {0};
	scoped(secondary_sources_free) struct secondary_sources secondary = {0};

	if (!build_input_read(&flags, &input, err) ||
		!secondary_sources_parse(&given.secondary, !flags.no_sandbox, &secondary, err) ||
		!work_folder_make(&work, err) ||
		!run_in(work.path, &input, &secondary, &result, err))
		return false;
	report(context, &result);
	return true;
}

const struct command buildspec_run_command = {"buildspec run", &run_options, run, false};

static const struct option_set check_options = {
	.usage = "buildspec check [FILE…]",
	.about = "check buildspecs and say everything that is wrong",
	.word_max = -1,
};

static void write_finding(struct json_writer *w, const char *file,
	const struct buildspec_finding *finding)
{
	json_object_begin(w);
	json_put_text(w, "file", file);
	json_put_text(w, "severity", finding->warning ? "warning" : "error");
	json_put_int(w, "line", finding->line);
	json_put_int(w, "column", finding->column);
	json_put_text(w, "path", finding->path);
	json_put_text(w, "message", finding->message);
	json_object_end(w);
}

static bool check_one(const char *file, struct json_writer *w)
{
	scoped(arena_free) struct arena arena = {0};
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	struct buildspec spec;

	buildspec_load(file, &arena, &spec, &findings);
	for (size_t i = 0; i < findings.count; i++) {
		const struct buildspec_finding *finding = &findings.items[i];

		if (w)
			write_finding(w, file, finding);
		else
			printf("%s:%d:%d: %s: %s%s%s\n", file, finding->line, finding->column,
				finding->warning ? "warning" : "error", finding->path,
				finding->path[0] ? ": " : "", finding->message);
	}
	return !buildspec_first_error(&findings);
}

static bool check(struct command_context *context, struct error *err)
{
	static char standard[] = "buildspec.yml", *only = standard;
	char *const *files = context->words.count ? context->words.items : &only;
	size_t count = context->words.count ? context->words.count : 1;
	struct json_writer w = json_writer_start(&context->result);
	bool good = true;

	(void)err;
	if (context->json) {
		json_object_begin(&w);
		json_key(&w, "findings");
		json_array_begin(&w);
	}
	for (size_t i = 0; i < count; i++)
		good = check_one(files[i], context->json ? &w : NULL) && good;
	if (context->json) {
		json_array_end(&w);
		json_put_text(&w, "status", good ? "passed" : "failed");
		json_object_end(&w);
	}
	context->exit_status = good ? 0 : EXIT_INVALID;
	return true;
}

const struct command buildspec_check_command = {"buildspec check", &check_options, check, false};
