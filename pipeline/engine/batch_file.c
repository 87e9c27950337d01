#include "pipeline/engine/batch_file.h"

#include "base/path.h"

#include <stdlib.h>

enum { BUILDSPEC_LIMIT = 1 << 20 };

void batch_file_free(struct batch_file *file)
{
	free(file->path);
	arena_free(&file->arena);
	*file = (struct batch_file){0};
}

/* *out_given: it has a batch section, which is planned then. */
static bool take_spec(struct batch_file *file, const struct buildspec *spec,
	const struct buildspec_findings *findings, bool *out_given, struct error *err)
{
	const struct buildspec_finding *wrong = buildspec_first_error(findings);

	if (wrong && !wrong->line)
		return error_raise(err, ERROR_INVALID, "%s: %s", file->path, wrong->message);
	if (wrong)
		return error_raise(err, ERROR_INVALID, "%s:%d:%d: %s%s%s", file->path, wrong->line,
			wrong->column, wrong->path, *wrong->path ? ": " : "", wrong->message);
	file->kind = spec->batch.kind;
	*out_given = file->kind != BATCH_NONE;
	if (*out_given)
		batch_make_plan(&spec->batch, &file->arena, &file->plan);
	return true;
}

static bool read_text(struct batch_file *file, struct str text, struct error *err)
{
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	struct buildspec *spec = arena_new(&file->arena, sizeof(*spec));
	bool given;

	/* The spec borrows from its text. */
	text.data = arena_copy(&file->arena, text.data, text.size);
	buildspec_parse(text, &file->arena, spec, &findings);
	if (!take_spec(file, spec, &findings, &given, err))
		return false;
	if (given)
		return true;
	error_raise(err, ERROR_INVALID,
		"%s has no batch section, and the service is built as a batch", file->path);
	return error_next(err, "add one, or remove \"batch: true\" below build: in %s",
		PROJECT_FILE);
}

bool batch_file_read(const struct project_service *service, struct snapshot *snapshot,
	struct batch_file *out, struct error *err)
{
	scoped(batch_file_free) struct batch_file file = {0};
	scoped(buf_free) struct buf text = {0};

	file.path = project_service_file(service, service->buildspec);
	if (!snapshot_read(snapshot, file.path, BUILDSPEC_LIMIT, &text, err) ||
		!read_text(&file, buf_str(&text), err))
		return error_while(err, "planning the batch of %s", service->name);
	*out = file;
	file = (struct batch_file){0};
	return true;
}

bool batch_file_load(const char *source, const char *buildspec, struct batch_file *out,
	struct error *err)
{
	scoped(batch_file_free) struct batch_file file = {.path = memory_copy_text(buildspec)};
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	scoped(text_free) char *path = path_join(source, buildspec);
	struct buildspec *spec = arena_new(&file.arena, sizeof(*spec));
	bool given;

	buildspec_load(path, &file.arena, spec, &findings);
	if (!take_spec(&file, spec, &findings, &given, err))
		return error_while(err, "planning the batch");
	if (!given)
		return error_raise(err, ERROR_INVALID, "%s has no batch section", file.path);
	*out = file;
	file = (struct batch_file){0};
	return true;
}

size_t batch_file_find(const struct batch_file *file, const char *identifier)
{
	for (size_t i = 0; i < file->plan.count; i++)
		if (text_equal(file->plan.tasks[i].identifier, identifier))
			return i;
	return SIZE_MAX;
}

bool batch_file_need(const struct batch_file *file, const char *identifier, size_t *out_task,
	struct error *err)
{
	const char *known[BATCH_TASKS_MAX];

	*out_task = batch_file_find(file, identifier);
	if (*out_task != SIZE_MAX)
		return true;
	for (size_t i = 0; i < file->plan.count; i++)
		known[i] = file->plan.tasks[i].identifier;
	const char *nearest = text_nearest(identifier, known, file->plan.count);

	error_raise(err, ERROR_USAGE, "there is no task \"%s\" in the batch of %s", identifier,
		file->path);
	if (nearest)
		error_next(err, "did you mean \"%s\"?", nearest);
	return error_next(err, "\"dogshore buildspec explain %s\" lists them", file->path);
}

bool batch_file_buildspec(const struct batch_file *file, size_t task, char **out_path,
	struct error *err)
{
	const char *given = file->plan.tasks[task].buildspec;

	if (given && (!*given || !path_is_inside(given)))
		return error_raise(err, ERROR_INVALID,
			"the buildspec \"%s\" of task \"%s\" in %s is outside of the source", given,
			file->plan.tasks[task].identifier, file->path);
	*out_path = given ? path_normalise(given) : memory_copy_text(file->path);
	return true;
}

void batch_file_variables(const struct batch_file *file, size_t task, struct strings *env)
{
	const struct batch_plan_task *of = &file->plan.tasks[task];

	for (size_t i = 0; i < of->env.variables.count; i++)
		strings_printf(env, "%s=%s", of->env.variables.items[i].name,
			of->env.variables.items[i].value);
	strings_printf(env, "CODEBUILD_BATCH_BUILD_IDENTIFIER=%s", of->identifier);
	if (file->kind == BATCH_FANOUT)
		strings_printf(env, BATCH_SHARD_VARIABLE "=%zu/%zu", task + 1, file->plan.count);
}
