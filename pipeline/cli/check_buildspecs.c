#include "pipeline/cli/check_buildspecs.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/batch.h"
#include "pipeline/plan/plan.h"

struct checking {
	const struct project *project;
	const char *folder;
	struct findings *findings;
	struct strings checked; /* paths of buildspecs */
};

/* Services, and tasks, may share a buildspec: it is checked once. */
static bool is_new(struct checking *checking, const char *path)
{
	for (size_t i = 0; i < checking->checked.count; i++)
		if (text_equal(checking->checked.items[i], path))
			return false;
	strings_add(&checking->checked, path);
	return true;
}

static void add_all(struct checking *checking, const char *path,
	const struct buildspec_findings *found)
{
	for (size_t i = 0; i < found->count; i++) {
		const struct buildspec_finding *one = &found->items[i];
		struct finding *finding = findings_add(checking->findings, path, one->line,
			one->column, "%s%s%s", one->path, *one->path ? ": " : "", one->message);

		if (finding)
			finding->warning = one->warning;
	}
}

/* False: it cannot be run. */
static bool check_file(struct checking *checking, const char *path, struct arena *arena,
	struct buildspec *out)
{
	scoped(text_free) char *whole = path_join(checking->folder, path);
	scoped(buildspec_findings_free) struct buildspec_findings found = {0};

	buildspec_load(whole, arena, out, &found);
	if (is_new(checking, path))
		add_all(checking, path, &found);
	return !buildspec_first_error(&found);
}

/* Why a task's build would not find its buildspec; owned, NULL: it would. */
static char *find_fault(const struct checking *checking, const struct project_service *service,
	const char *buildspec)
{
	scoped(text_free) char *path = path_normalise(buildspec);
	scoped(text_free) char *whole = path_join(checking->folder, path);

	if (!*buildspec || !path_is_inside(buildspec))
		return memory_format("\"%s\" is outside of the source", buildspec);
	if (file_is_folder(whole))
		return memory_format("\"%s\" is a folder, but must be a file", buildspec);
	if (!file_exists(whole))
		return memory_format("there is no \"%s\" in the repository", buildspec);
	if (!plan_service_reads(service, path))
		return memory_format("\"%s\" lies neither in the path of \"%s\" nor in what it "
				     "uses: its builds do not have it",
			buildspec, service->name);
	return NULL;
}

/* Another service may have the same section. */
static void add_once(struct findings *findings, const char *file,
	const struct batch_reference *reference, const char *fault)
{
	scoped(text_free) char *message = memory_format("%s: %s", reference->path, fault);

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->items[i];

		if (one->line == reference->line && one->column == reference->column &&
			text_equal(one->file, file) && text_equal(one->message, message))
			return;
	}
	findings_add(findings, file, reference->line, reference->column, "%s", message);
}

static void check_task(struct checking *checking, const struct project_service *service,
	const char *file, const struct batch_reference *reference)
{
	scoped(text_free) char *fault = find_fault(checking, service, reference->buildspec);
	scoped(text_free) char *path = path_normalise(reference->buildspec);
	scoped(arena_free) struct arena arena = {0};
	struct buildspec spec;

	if (fault)
		add_once(checking->findings, file, reference, fault);
	else if (!check_file(checking, path, &arena, &spec))
		return; /* it is told there */
}

static void check_batch(struct checking *checking, const struct project_service *service,
	const char *file, const struct batch_spec *batch)
{
	const struct project *project = checking->project;
	const struct yaml *node = yaml_get(yaml_get(project->root, "services"), service->name);
	const struct yaml *at = yaml_get(yaml_get(node, "build"), "batch");

	if (!batch->kind)
		findings_add(checking->findings, project->file, at->line, at->column,
			"\"%s\" has no batch section", file);
	for (size_t i = 0; i < batch->reference_count; i++)
		check_task(checking, service, file, &batch->references[i]);
}

/* Its build would pass, and do nothing. */
static void check_plain(struct checking *checking, const struct project_service *service,
	const char *file, const struct buildspec *spec)
{
	const struct project *project = checking->project;
	const struct yaml_pair *at =
		yaml_get_pair(yaml_get(project->root, "services"), service->name);
	struct finding *finding =
		batch_is_all(spec)
			? findings_add(checking->findings, project->file, at->line, at->column,
				  "\"%s\" has no commands but a batch section, and \"%s\" is not "
				  "built as a batch (build: {batch: true})",
				  file, service->name)
			: NULL;

	if (finding)
		finding->warning = true;
}

void check_buildspecs(const struct project *project, const char *folder, struct findings *findings)
{
	struct checking checking = {project, folder, findings, {0}};

	for (size_t i = 0; i < project->services.count; i++) {
		const struct project_service *service = &project->services.items[i];
		scoped(text_free) char *path = project_service_file(service, service->buildspec);
		scoped(text_free) char *whole = path_join(folder, path);
		scoped(arena_free) struct arena arena = {0};
		struct buildspec spec;

		if (!file_exists(whole) || !check_file(&checking, path, &arena, &spec))
			continue;
		if (service->build.batch)
			check_batch(&checking, service, path, &spec.batch);
		else
			check_plain(&checking, service, path, &spec);
	}
	strings_free(&checking.checked);
}
