#include "pipeline/cli/command.h"

#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/buildspec.h"
#include "pipeline/plan/project.h"

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

/* Services may share a buildspec: it is checked once. */
static bool is_first(const struct project *project, size_t at, const char *path)
{
	for (size_t i = 0; i < at; i++) {
		scoped(text_free) char *other = project_service_file(&project->services.items[i],
			project->services.items[i].buildspec);

		if (strcmp(other, path) == 0)
			return false;
	}
	return true;
}

static void check_buildspec(const char *folder, const char *path, struct findings *findings)
{
	scoped(text_free) char *whole = path_join(folder, path);
	scoped(arena_free) struct arena arena = {0};
	scoped(buildspec_findings_free) struct buildspec_findings found = {0};
	struct buildspec buildspec;

	/* That it is missing was found already, at the place that names it. */
	if (!file_exists(whole))
		return;
	buildspec_load(whole, &arena, &buildspec, &found);
	for (size_t i = 0; i < found.count; i++) {
		const struct buildspec_finding *one = &found.items[i];
		struct finding *finding = findings_add(findings, path, one->line, 0, "%s%s%s",
			one->path ? one->path : "", one->path && *one->path ? ": " : "",
			one->message);

		if (finding)
			finding->warning = one->warning;
	}
}

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
	for (size_t i = 0; i < project->services.count; i++) {
		scoped(text_free) char *path = project_service_file(&project->services.items[i],
			project->services.items[i].buildspec);

		if (is_first(project, i, path))
			check_buildspec(folder, path, findings);
	}
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
