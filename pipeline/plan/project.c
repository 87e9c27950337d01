#include "pipeline/plan/project.h"

#include "base/file.h"
#include "base/path.h"
#include "pipeline/plan/project_keys.h"
#include "pipeline/plan/shape_cache.h"

#include <stdlib.h>
#include <string.h>

enum { PROJECT_BYTES_MAX = 1024 * 1024 };

struct indexed {
	const char *name;
	size_t at;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct indexed *)a)->name, ((const struct indexed *)b)->name);
}

/* The services by name, so that thousands of `after` do not search thousands of services. */
struct name_index {
	struct indexed *rows; /* owned */
	size_t count;
};

static struct name_index index_services(const struct project *project)
{
	struct name_index index = {memory_new_array(project->services.count, sizeof(*index.rows)),
		project->services.count};

	for (size_t i = 0; i < index.count; i++)
		index.rows[i] = (struct indexed){project->services.items[i].name, i};
	qsort(index.rows, index.count, sizeof(*index.rows), compare_names);
	return index;
}

static bool index_find(const struct name_index *index, const char *name, size_t *out_at)
{
	struct indexed wanted = {name, 0};
	const struct indexed *found = index->count ? bsearch(&wanted, index->rows, index->count,
							     sizeof(wanted), compare_names)
						   : NULL;

	if (found)
		*out_at = found->at;
	return found != NULL;
}

static void index_free(struct name_index *index)
{
	free(index->rows);
	*index = (struct name_index){0};
}

static const struct yaml *service_node(const struct project *project, size_t at)
{
	return yaml_get(yaml_get(project->root, "services"), project->services.items[at].name);
}

static void names_of_services(const struct project *project, const char ***out_names)
{
	*out_names = memory_new_array(project->services.count, sizeof(**out_names));
	for (size_t i = 0; i < project->services.count; i++)
		(*out_names)[i] = project->services.items[i].name;
}

static const char *nearest_service(const struct project *project, const char *name)
{
	const char **names = NULL;

	names_of_services(project, &names);
	const char *nearest = text_nearest(name, names, project->services.count);

	free(names);
	return nearest;
}

static void check_after_names(const struct project *project, const struct name_index *index,
	struct findings *findings)
{
	size_t at = 0;

	for (size_t i = 0; i < project->services.count; i++) {
		const struct project_texts *after = &project->services.items[i].deploy.after;

		for (size_t j = 0; j < after->count; j++) {
			if (index_find(index, after->items[j], &at))
				continue;
			const struct yaml *list =
				yaml_get(yaml_get(service_node(project, i), "deploy"), "after");
			const struct yaml *node = list->kind == YAML_SEQUENCE && j < list->count
							  ? list->items[j]
							  : list;

			finding_suggest(findings_add(findings, project->file, node->line,
						node->column,
						"\"after\" names the service \"%s\", which "
						"there is not",
						after->items[j]),
				nearest_service(project, after->items[j]));
		}
	}
}

/* Depth-first search over `after`: white, grey (on the stack), black. */
struct cycle_search {
	const struct project *project;
	const struct name_index *index;
	unsigned char *colour; /* owned */
	size_t *stack;         /* owned: services under way */
	size_t *edge;          /* owned: the next `after` of each of them */
};

static void report_cycle(const struct cycle_search *search, size_t depth, size_t entry,
	struct findings *findings)
{
	const struct project *project = search->project;
	scoped(buf_free) struct buf path = {0};
	size_t from = depth;

	while (from > 0 && search->stack[from] != entry)
		from--;
	for (size_t i = from; i <= depth; i++)
		buf_printf(&path, "%s after ", project->services.items[search->stack[i]].name);
	const struct yaml *node =
		yaml_get(yaml_get(service_node(project, search->stack[depth]), "deploy"), "after");

	findings_add(findings, project->file, node->line, node->column,
		"\"after\" goes in a circle: %s%s", buf_text(&path),
		project->services.items[entry].name);
}

enum { WHITE, GREY, BLACK };

/* Iterative, because the depth comes from outside. */
static void search_from(struct cycle_search *search, size_t start, struct findings *findings)
{
	size_t depth = 0;

	search->stack[0] = start;
	search->edge[0] = 0;
	search->colour[start] = GREY;
	for (;;) {
		size_t here = search->stack[depth], to = 0;
		const struct project_texts *after =
			&search->project->services.items[here].deploy.after;

		if (search->edge[depth] == after->count) {
			search->colour[here] = BLACK;
			if (depth-- == 0)
				return;
			continue;
		}
		if (!index_find(search->index, after->items[search->edge[depth]++], &to))
			continue;
		if (search->colour[to] == GREY) {
			report_cycle(search, depth, to, findings);
		} else if (search->colour[to] == WHITE) {
			search->colour[to] = GREY;
			search->stack[++depth] = to;
			search->edge[depth] = 0;
		}
	}
}

static void check_cycles(const struct project *project, const struct name_index *index,
	struct findings *findings)
{
	size_t count = project->services.count;
	struct cycle_search search = {project, index, memory_new(count),
		memory_new_array(count + 1, sizeof(size_t)),
		memory_new_array(count + 1, sizeof(size_t))};

	for (size_t i = 0; i < count; i++)
		if (search.colour[i] == WHITE)
			search_from(&search, i, findings);
	free(search.colour);
	free(search.stack);
	free(search.edge);
}

static bool is_branch(const struct project *project, const char *name)
{
	const struct project_texts *branches = &project->source.branches;

	for (size_t i = 0; i < branches->count; i++)
		if (text_matches(name, branches->items[i]))
			return true;
	return branches->count == 0;
}

static void check_environment(const struct project *project, size_t at, struct findings *findings)
{
	const struct project_environment *environment = &project->environments.items[at];
	const struct yaml *node =
		yaml_get(yaml_get(project->root, "environments"), environment->name);
	const struct yaml *from = environment->from ? yaml_get(node, "from") : NULL;

	if (from && text_equal(environment->from, environment->name))
		findings_add(findings, project->file, from->line, from->column,
			"the environment \"%s\" cannot take releases from itself",
			environment->name);
	else if (from && !project_environment(project, environment->from) &&
		 !is_branch(project, environment->from)) {
		const char *names[32] = {0};
		size_t count = 0;

		for (; count < project->environments.count && count < countof(names); count++)
			names[count] = project->environments.items[count].name;
		finding_suggest(findings_add(findings, project->file, from->line, from->column,
					"\"from\" names \"%s\", which is neither an environment "
					"nor one of "
					"source.branches",
					environment->from),
			text_nearest(environment->from, names, count));
	}
}

static void check_services(const struct project *project, struct findings *findings)
{
	bool any_after = false;

	for (size_t i = 0; i < project->services.count; i++) {
		const struct project_service *service = &project->services.items[i];

		any_after |= service->deploy.after.count > 0;
		if (service->deploy.given && !service->image.given) {
			const struct yaml *node = yaml_get(service_node(project, i), "deploy");

			findings_add(findings, project->file, node->line, node->column,
				"\"%s\" has \"deploy\" but no \"image\" that could be deployed",
				service->name);
		}
	}
	if (!any_after)
		return;
	scoped(index_free) struct name_index index = index_services(project);

	check_after_names(project, &index, findings);
	check_cycles(project, &index, findings);
}

static void set_defaults(struct project *project)
{
	for (size_t i = 0; i < project->services.count; i++)
		if (!project->services.items[i].buildspec)
			project->services.items[i].buildspec = "buildspec.yml";
}

bool project_parse(struct str text, const char *file, struct findings *out_findings,
	struct project **out_project, struct error *err)
{
	scoped(project_free) struct project *project = memory_new(sizeof(*project));
	scoped(findings_free) struct findings own = {0};
	struct findings *findings = out_findings ? out_findings : &own;
	size_t before = findings->count;
	struct yaml *root = NULL;

	if (!yaml_parse(text, file, &project->arena, &root, err)) {
		if (out_findings && err)
			findings_add_error(out_findings, file, err);
		return false;
	}
	project->root = root;
	project->file = arena_copy_text(&project->arena, file);
	struct shape_reader reader = {project->file, &project->arena, findings};

	shape_read(&reader, &project_shape, root, file, project);
	if (findings->count == before) {
		set_defaults(project);
		check_services(project, findings);
		for (size_t i = 0; i < project->environments.count; i++)
			check_environment(project, i, findings);
	}
	if (findings->count > before) {
		findings_sort(findings);
		return findings_raise(findings, err);
	}
	*out_project = project;
	project = NULL;
	return true;
}

bool project_read(const char *folder, struct findings *out_findings, struct project **out_project,
	struct error *err)
{
	scoped(text_free) char *path = path_join(folder, PROJECT_FILE);
	scoped(buf_free) struct buf text = {0};

	if (!file_read(path, PROJECT_BYTES_MAX, &text, err))
		return error_next(err, "\"dogshore init\" writes a first " PROJECT_FILE);
	return project_parse(buf_str(&text), PROJECT_FILE, out_findings, out_project, err);
}

void project_free(struct project **project)
{
	if (*project)
		arena_free(&(*project)->arena);
	free(*project);
	*project = NULL;
}

void project_save(const struct project *project, struct buf *out)
{
	shape_save(&project_shape, project, out);
}

bool project_load(struct str bytes, struct project **out_project)
{
	scoped(project_free) struct project *project = memory_new(sizeof(*project));
	struct str kept = {arena_copy(&project->arena, bytes.data, bytes.size), bytes.size};

	if (!shape_load(&project_shape, kept, &project->arena, project))
		return false;
	project->file = PROJECT_FILE;
	*out_project = project;
	project = NULL;
	return true;
}

const struct project_service *project_service(const struct project *project, const char *name)
{
	for (size_t i = 0; i < project->services.count; i++)
		if (strcmp(project->services.items[i].name, name) == 0)
			return &project->services.items[i];
	return NULL;
}

const struct project_environment *project_environment(const struct project *project,
	const char *name)
{
	for (size_t i = 0; i < project->environments.count; i++)
		if (strcmp(project->environments.items[i].name, name) == 0)
			return &project->environments.items[i];
	return NULL;
}

const struct project_service *project_need_service(const struct project *project, const char *name,
	struct error *err)
{
	const struct project_service *service = project_service(project, name);

	if (service)
		return service;
	const char *nearest = nearest_service(project, name);

	error_raise(err, ERROR_USAGE, "%s has no service \"%s\"", project->file, name);
	if (nearest)
		error_next(err, "did you mean \"%s\"?", nearest);
	return NULL;
}

const struct project_environment *project_need_environment(const struct project *project,
	const char *name, struct error *err)
{
	const struct project_environment *environment = project_environment(project, name);
	const char *names[32] = {0};
	size_t count = 0;
	scoped(buf_free) struct buf list = {0};

	if (environment)
		return environment;
	for (; count < project->environments.count && count < countof(names); count++) {
		names[count] = project->environments.items[count].name;
		buf_printf(&list, "%s%s", count ? ", " : "", names[count]);
	}
	const char *nearest = text_nearest(name, names, count);

	error_raise(err, ERROR_USAGE, "%s has no environment \"%s\"", project->file, name);
	if (nearest)
		error_next(err, "did you mean \"%s\"?", nearest);
	else if (count)
		error_next(err, "there are: %s", buf_text(&list));
	return NULL;
}

void project_pairs_add(const struct project_pairs *pairs, const char *flag, struct strings *out)
{
	for (size_t i = 0; i < pairs->count; i++) {
		if (flag)
			strings_add(out, flag);
		strings_printf(out, "%s=%s", pairs->items[i].name, pairs->items[i].value);
	}
}

char *project_service_file(const struct project_service *service, const char *name)
{
	scoped(text_free) char *joined = path_join(service->path, name);

	return path_normalise(joined);
}

void project_schema(struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
	json_put_text(&w, "title", PROJECT_FILE);
	shape_schema(&project_shape, &w);
	json_object_end(&w);
}
