#include "base/memory.h"
#include "base/path.h"
#include "buildspec/explain.h"
#include "buildspec/shell.h"
#include "buildspec/tools.h"
#include "pipeline/cli/build_input.h"
#include "pipeline/cli/command.h"

#include <stdio.h>

static struct build_flags flags;
static struct {
	const char *source, *file;
	struct strings secondary;
} given = {.source = ".", .file = "buildspec.yml"};

static const struct option_row rows[] = {
	{"source", OPTION_TEXT, &given.source, "DIR", "what would be built (default: here)", NULL},
	{"secondary-source", OPTION_LIST, &given.secondary, "ID=DIR",
		"another source, which the build would find at CODEBUILD_SRC_DIR_ID", NULL},
	{"buildspec", OPTION_TEXT, &given.file, "FILE",
		"relative to the source (default: buildspec.yml)", NULL},
	{"env", OPTION_LIST, &flags.env, "NAME=VALUE", "a variable; wins over the buildspec's",
		NULL},
	{"env-file", OPTION_TEXT, &flags.env_file, "FILE", "the same, one NAME=VALUE a line", NULL},
	{"no-sandbox", OPTION_SWITCH, &flags.no_sandbox, NULL, "as a run without it would have it",
		NULL},
};

static const struct option_set options = {
	.usage = "buildspec explain [--source DIR] [--buildspec FILE] [flags]",
	.about = "say what a buildspec would run, with what, without running it",
	.rows = rows,
	.count = countof(rows),
};

enum { EXIT_INVALID = 2 };

static void show_findings(const struct buildspec_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct buildspec_finding *finding = &findings->items[i];

		fprintf(stderr, "%s:%d:%d: %s: %s%s%s\n", given.file, finding->line,
			finding->column, finding->warning ? "warning" : "error", finding->path,
			finding->path[0] ? ": " : "", finding->message);
	}
}

static bool explain_spec(struct command_context *context, const struct buildspec *spec,
	struct error *err)
{
	scoped(environment_free) struct environment environment = {0};
	scoped(build_input_free) struct build_input input = {0};
	scoped(secondary_sources_free) struct secondary_sources secondary = {0};
	scoped(buf_free) struct buf text = {0};

	if (!build_input_read(&flags, &input, err) ||
		!secondary_sources_parse(&given.secondary, !flags.no_sandbox, &secondary, err))
		return false;
	const struct build_options build = {.source = given.source,
		.env = &input.env,
		.secondary = &secondary,
		.sandbox = !flags.no_sandbox};
	const struct explanation explanation = {given.file, spec, &environment};

	/* Without the sandbox the tools lie in a folder that is made for each run. */
	const struct environment_places places = {flags.no_sandbox ? given.source
								   : SHELL_SOURCE_INSIDE,
		flags.no_sandbox ? NULL : "/codebuild/control/" TOOLS_FOLDER};

	if (!environment_build(&build, spec, &places, NULL, &environment, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		explanation_write(&explanation, &w);
		return true;
	}
	explanation_print(&explanation, &text);
	fputs(buf_text(&text), stdout);
	return true;
}

static bool explain(struct command_context *context, struct error *err)
{
	scoped(arena_free) struct arena arena = {0};
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	scoped(text_free) char *path = path_join(given.source, given.file);
	struct buildspec spec;

	buildspec_load(path, &arena, &spec, &findings);
	const struct buildspec_finding *first = buildspec_first_error(&findings);

	show_findings(&findings);
	if (!first)
		return explain_spec(context, &spec, err);
	context->exit_status = EXIT_INVALID;
	return error_raise(err, ERROR_USAGE, "%s:%d:%d: %s%s%s", given.file, first->line,
		first->column, first->path, first->path[0] ? ": " : "", first->message);
}

const struct command buildspec_explain_command = {"buildspec explain", &options, explain, false};
