#include "base/json_writer.h"
#include "base/memory.h"
#include "pipeline/cli/check_buildspecs.h"
#include "pipeline/cli/command.h"

static struct {
	bool schema;
} given;

static const struct option_row rows[] = {
	{"schema", OPTION_SWITCH, &given.schema, NULL, "print the JSON Schema of " PROJECT_FILE,
		NULL},
};

static const struct option_set options = {
	.usage = "check [DIR] [--schema]",
	.about = "check " PROJECT_FILE " and every file it names",
	.rows = rows,
	.count = countof(rows),
	.word_max = 1,
};

static bool check_all(const char *folder, struct findings *findings, struct error *err)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error wrong = {0};

	if (!project_read(folder, findings, &project, &wrong)) {
		/* With findings the error only repeats the first of them. */
		if (findings->count)
			return true;
		error_move(err, &wrong);
		return false;
	}
	struct project_tree tree = project_tree_of_folder(folder);

	if (!project_check(project, &tree, findings, err))
		return false;
	check_buildspecs(project, folder, findings);
	findings_sort(findings);
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	const char *folder = context->words.count ? context->words.items[0] : ".";
	scoped(findings_free) struct findings findings = {0};

	if (given.schema) {
		scoped(buf_free) struct buf schema = {0};

		project_schema(context->json ? &context->result : &schema);
		if (!context->json)
			printf("%s\n", buf_text(&schema));
		return true;
	}
	if (!check_all(folder, &findings, err))
		return false;
	size_t errors = findings_errors(&findings);

	context->exit_status = errors ? 2 : 0;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_put_text(&w, "status", errors ? "failed" : "passed");
		json_key(&w, "findings");
		findings_write(&w, &findings);
		json_object_end(&w);
		return true;
	}
	findings_print(stdout, &findings);
	if (!findings.count)
		printf("%s/" PROJECT_FILE " and all files it names are valid\n", folder);
	return true;
}

const struct command check_command = {"check", &options, run, false};
