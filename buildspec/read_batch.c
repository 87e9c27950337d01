#include "buildspec/batch.h"
#include "buildspec/reader.h"

#include <stdlib.h>

/* Only batch builds read this section; a plain run checks it. */

static struct batch_env read_task_env(struct reader *r, const struct yaml *parent, const char *path)
{
	static const char *const keys[] = {"compute-type", "fleet", "image", "privileged-mode",
		"type", "variables", NULL};
	const struct yaml *node = read_mapping(r, parent, "env", path);
	const char *at = read_path(r, path, str_of("env"));

	read_check_keys(r, node, at, keys);
	struct batch_env env = {.compute_type = read_text(r, node, "compute-type", at),
		.fleet = read_text(r, node, "fleet", at),
		.image = read_text(r, node, "image", at),
		.type = read_text(r, node, "type", at),
		.privileged = read_switch(r, node, "privileged-mode", at),
		.variables = read_variables(r, node, "variables", at)};

	if (env.compute_type && env.fleet)
		read_error(r, place_of(yaml_get_pair(node, "fleet")),
			read_path(r, at, str_of("fleet")),
			"A task has a compute-type or a fleet, not both");
	return env;
}

struct tasks {
	struct reader *r;
	const char *path; /* "batch.build-graph" */
	const struct yaml **nodes;
	struct batch_task *items;
	size_t count;
};

static const struct batch_task *find(const struct tasks *tasks, const char *identifier)
{
	for (size_t i = 0; i < tasks->count; i++)
		if (text_equal(tasks->items[i].identifier, identifier))
			return &tasks->items[i];
	return NULL;
}

/* It becomes part of names. */
static void check_identifier(const struct tasks *tasks, const struct yaml *node, const char *at,
	const char *identifier)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-.";

	if (find(tasks, identifier))
		read_error(tasks->r, place_of(node), at, "There is another task \"%s\"",
			identifier);
	else if (!identifier[0] || identifier[strspn(identifier, safe)] || identifier[0] == '.')
		read_error(tasks->r, place_of(node), at,
			"A task's identifier is made of letters, digits and \"_\"");
	else if (strpbrk(identifier, "-."))
		read_warning(tasks->r, place_of(node), at,
			"CodeBuild may refuse an identifier with other characters than letters, "
			"digits and \"_\"");
}

/* There is room for it. */
static void note_reference(struct reader *r, const struct yaml *value, const char *path)
{
	struct batch_spec *out = &r->out->batch;

	if (value && value->kind == YAML_SCALAR && !value->is_null)
		out->references[out->reference_count++] = (struct batch_reference){value->text.data,
			path, value->line, value->column};
}

/* For so many more. */
static void make_room(struct reader *r, size_t count)
{
	struct batch_spec *out = &r->out->batch;
	struct batch_reference *old = out->references;

	out->references =
		arena_new(r->arena, (out->reference_count + count + 1) * sizeof(*out->references));
	for (size_t i = 0; i < out->reference_count; i++)
		out->references[i] = old[i];
}

static void note_references(struct reader *r, const struct yaml *list, const char *path)
{
	size_t count = list && list->kind == YAML_SEQUENCE ? list->count : 0;

	make_room(r, count + 1);
	note_reference(r, list, path);
	for (size_t i = 0; i < count; i++)
		note_reference(r, list->items[i], arena_format(r->arena, "%s[%zu]", path, i));
}

static void read_task(struct tasks *tasks, const struct yaml *node, const char *at, bool is_graph)
{
	static const char *const keys[] = {"identifier", "buildspec", "env", "debug-session",
		"ignore-failure", "depend-on", NULL};
	static const char *const list_keys[] = {"identifier", "buildspec", "env", "debug-session",
		"ignore-failure", NULL};
	struct reader *r = tasks->r;
	const char *identifier_at = read_path(r, at, str_of("identifier"));

	if (node->kind != YAML_MAPPING) {
		read_error(r, place_of(node), at,
			"Expected the task to be a mapping of keys and values");
		return;
	}
	read_check_keys(r, node, at, is_graph ? keys : list_keys);
	struct batch_task task = {.identifier = read_text(r, node, "identifier", at),
		.buildspec = read_text(r, node, "buildspec", at),
		.env = read_task_env(r, node, at),
		.ignore_failure = read_switch(r, node, "ignore-failure", at),
		.debug_session = read_switch(r, node, "debug-session", at)};

	if (is_graph)
		task.depend_on = read_texts(r, node, "depend-on", at);
	if (!task.identifier) {
		read_error(r, place_of(node), identifier_at, "The task's identifier is missing");
		return;
	}
	check_identifier(tasks, yaml_get(node, "identifier"), identifier_at, task.identifier);
	note_reference(r, yaml_get(node, "buildspec"), read_path(r, at, str_of("buildspec")));
	tasks->nodes[tasks->count] = node;
	tasks->items[tasks->count++] = task;
}

static struct tasks read_tasks(struct reader *r, const struct yaml *list, const char *path,
	bool is_graph)
{
	struct tasks tasks = {.r = r, .path = path};

	/* What is checked below takes time by the square of this. */
	if (list->count > BATCH_TASKS_MAX) {
		read_error(r, place_of(list), path, "More than %d tasks are not accepted",
			BATCH_TASKS_MAX);
		return tasks;
	}
	if (!list->count)
		read_error(r, place_of(list), path, "There are no tasks here");
	tasks.nodes = arena_new(r->arena, (list->count + 1) * sizeof(struct yaml *));
	tasks.items = arena_new(r->arena, (list->count + 1) * sizeof(*tasks.items));
	make_room(r, list->count);
	for (size_t i = 0; i < list->count; i++)
		read_task(&tasks, list->items[i], arena_format(r->arena, "%s[%zu]", path, i),
			is_graph);
	return tasks;
}

/* The value in "depend-on" that holds name. */
static const struct yaml *find_value(const struct yaml *list, const char *name, size_t *out_index)
{
	*out_index = 0;
	for (size_t i = 0; list->kind == YAML_SEQUENCE && i < list->count; i++)
		if (list->items[i]->kind == YAML_SCALAR &&
			str_equal_text(list->items[i]->text, name)) {
			*out_index = i;
			return list->items[i];
		}
	return list;
}

static void check_name(const struct tasks *tasks, size_t index, const char *name)
{
	struct reader *r = tasks->r;
	const char **known = arena_new(r->arena, (tasks->count + 1) * sizeof(char *));
	size_t at;

	if (find(tasks, name))
		return;
	const struct yaml *node = find_value(yaml_get(tasks->nodes[index], "depend-on"), name, &at);

	for (size_t i = 0; i < tasks->count; i++)
		known[i] = tasks->items[i].identifier;
	read_error(r, place_of(node),
		arena_format(r->arena, "%s[%zu].depend-on[%zu]", tasks->path, index, at),
		"There is no task \"%s\"%s", name, read_advice(r, name, known, tasks->count));
}

static bool waits_for_clear_ones(const struct tasks *tasks, const bool *clear, size_t index)
{
	const struct texts *names = &tasks->items[index].depend_on;

	for (size_t i = 0; i < names->count; i++) {
		const struct batch_task *other = find(tasks, names->items[i]);

		if (other && !clear[other - tasks->items])
			return false;
	}
	return true;
}

/* Clears tasks until nothing changes; what is left waits for itself. */
static void check_order(const struct tasks *tasks)
{
	struct reader *r = tasks->r;
	bool *clear = arena_new(r->arena, tasks->count + 1), changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < tasks->count; i++)
			if (!clear[i] && waits_for_clear_ones(tasks, clear, i))
				changed = clear[i] = true;
	}
	for (size_t i = 0; i < tasks->count; i++)
		if (!clear[i]) {
			read_error(r, place_of(tasks->nodes[i]),
				arena_format(r->arena, "%s[%zu].depend-on", tasks->path, i),
				"The task \"%s\" waits for itself", tasks->items[i].identifier);
			return;
		}
}

static void keep_tasks(struct reader *r, const struct tasks *tasks)
{
	r->out->batch.tasks = tasks->items;
	r->out->batch.task_count = tasks->count;
}

static const struct yaml *expect_list(struct reader *r, const struct yaml_pair *pair,
	const char *path)
{
	if (pair->value->kind == YAML_SEQUENCE)
		return pair->value;
	read_error(r, place_of(pair->value), path, "Expected %s to be a list", pair->key.data);
	return NULL;
}

static void read_list(struct reader *r, const struct yaml_pair *pair, const char *path)
{
	const struct yaml *list = expect_list(r, pair, path);

	if (!list)
		return;
	const struct tasks tasks = read_tasks(r, list, path, false);

	keep_tasks(r, &tasks);
}

static void read_graph(struct reader *r, const struct yaml_pair *pair, const char *path)
{
	const struct yaml *list = expect_list(r, pair, path);

	if (!list)
		return;
	const struct tasks tasks = read_tasks(r, list, path, true);

	for (size_t i = 0; i < tasks.count; i++)
		for (size_t n = 0; n < tasks.items[i].depend_on.count; n++)
			check_name(&tasks, i, tasks.items[i].depend_on.items[n]);
	check_order(&tasks);
	keep_tasks(r, &tasks);
}

static void read_axes(struct reader *r, const struct yaml *env, const char *path)
{
	struct batch_matrix *matrix = &r->out->batch.matrix;
	const struct yaml *node = read_mapping(r, env, "variables", path);
	const char *at = read_path(r, path, str_of("variables"));

	if (!node)
		return;
	matrix->variables = arena_new(r->arena, (node->count + 1) * sizeof(*matrix->variables));
	for (size_t i = 0; i < node->count; i++)
		if (!node->pairs[i].duplicate)
			matrix->variables[matrix->variable_count++] =
				(struct matrix_axis){node->pairs[i].key.data,
					read_texts(r, node, node->pairs[i].key.data, at)};
}

/* Without overflow, whatever the lists hold. */
static bool has_too_many(const struct batch_matrix *matrix)
{
	const size_t counts[] = {matrix->buildspecs.count, matrix->compute_types.count,
		matrix->images.count};
	size_t product = 1;

	for (size_t i = 0; i < countof(counts) + matrix->variable_count; i++) {
		size_t count = i < countof(counts)
				       ? counts[i]
				       : matrix->variables[i - countof(counts)].values.count;

		product *= count ? count : 1;
		if (count > BATCH_TASKS_MAX || product > BATCH_TASKS_MAX)
			return true;
	}
	return false;
}

static void read_dynamic(struct reader *r, const struct yaml *node, const char *path)
{
	static const char *const keys[] = {"buildspec", "env", NULL},
				 *const env_keys[] = {"compute-type", "image", "variables", NULL};
	struct batch_matrix *matrix = &r->out->batch.matrix;
	const struct yaml *env = read_mapping(r, node, "env", path);
	const char *env_at = read_path(r, path, str_of("env"));

	read_check_keys(r, node, path, keys);
	read_check_keys(r, env, env_at, env_keys);
	matrix->buildspecs = read_texts(r, node, "buildspec", path);
	note_references(r, yaml_get(node, "buildspec"), read_path(r, path, str_of("buildspec")));
	matrix->compute_types = read_texts(r, env, "compute-type", env_at);
	matrix->images = read_texts(r, env, "image", env_at);
	read_axes(r, env, env_at);
}

static const struct yaml *expect_mapping(struct reader *r, const struct yaml_pair *pair,
	const char *path)
{
	if (pair->value->kind == YAML_MAPPING)
		return pair->value;
	read_error(r, place_of(pair->value), path, "Expected %s to be a mapping of keys and values",
		pair->key.data);
	return NULL;
}

static void read_matrix(struct reader *r, const struct yaml_pair *pair, const char *path)
{
	static const char *const keys[] = {"static", "dynamic", NULL},
				 *const fixed_keys[] = {"ignore-failure", "debug-session", "env",
					 NULL};
	struct batch_matrix *matrix = &r->out->batch.matrix;
	const struct yaml *node = expect_mapping(r, pair, path);
	const struct yaml *fixed = read_mapping(r, node, "static", path);
	const char *fixed_at = read_path(r, path, str_of("static"));

	read_check_keys(r, node, path, keys);
	read_check_keys(r, fixed, fixed_at, fixed_keys);
	matrix->ignore_failure = read_switch(r, fixed, "ignore-failure", fixed_at);
	matrix->debug_session = read_switch(r, fixed, "debug-session", fixed_at);
	matrix->env = read_task_env(r, fixed, fixed_at);
	if (matrix->env.variables.count) {
		read_warning(r, place_of(yaml_get_pair(yaml_get(fixed, "env"), "variables")),
			read_path(r, fixed_at, str_of("env.variables")),
			"A matrix has its variables under dynamic; these are ignored");
		matrix->env.variables = (struct variables){0};
	}
	read_dynamic(r, read_mapping(r, node, "dynamic", path),
		read_path(r, path, str_of("dynamic")));
	if (has_too_many(matrix))
		read_error(r, place_of(pair), path, "More than %d combinations are not accepted",
			BATCH_TASKS_MAX);
}

static void read_fanout(struct reader *r, const struct yaml_pair *pair, const char *path)
{
	static const char *const keys[] = {"parallelism", "ignore-failure", NULL};
	const struct yaml *node = expect_mapping(r, pair, path);
	const char *at = read_path(r, path, str_of("parallelism"));
	const char *text = read_text(r, node, "parallelism", path);
	int64_t count = 0;

	read_check_keys(r, node, path, keys);
	r->out->batch.ignore_failure = read_switch(r, node, "ignore-failure", path);
	if (text && str_to_int(str_of(text), &count) && count >= 1 && count <= BATCH_TASKS_MAX)
		r->out->batch.parallelism = (int)count;
	else if (text)
		read_error(r, place_of(yaml_get(node, "parallelism")), at,
			"The parallelism must be a number from 1 to %d, not \"%s\"",
			BATCH_TASKS_MAX, text);
	else if (node)
		read_error(r, place_of(pair), at, "The parallelism is missing");
}

static const struct {
	const char *key;
	enum batch_kind kind;
	void (*read)(struct reader *r, const struct yaml_pair *pair, const char *path);
} kinds[] = {
	{"build-list", BATCH_LIST, read_list},
	{"build-graph", BATCH_GRAPH, read_graph},
	{"build-matrix", BATCH_MATRIX, read_matrix},
	{"build-fanout", BATCH_FANOUT, read_fanout},
};

void read_batch(struct reader *r, const struct yaml *root)
{
	static const char *const keys[] = {"fast-fail", "build-list", "build-graph", "build-matrix",
		"build-fanout", NULL};
	struct yaml *batch = read_mapping(r, root, "batch", "");
	struct batch_spec *out = &r->out->batch;

	if (!batch)
		return;
	read_check_keys(r, batch, "batch", keys);
	out->fast_fail = read_switch(r, batch, "fast-fail", "batch");
	for (size_t i = 0; i < countof(kinds); i++) {
		const struct yaml_pair *pair = yaml_get_pair(batch, kinds[i].key);

		if (!pair)
			continue;
		if (out->kind)
			read_error(r, place_of(pair), read_path(r, "batch", pair->key),
				"A batch has one of build-list, build-graph, build-matrix and "
				"build-fanout; %s is there, too",
				batch_kind_name(out->kind));
		else
			out->kind = kinds[i].kind;
		kinds[i].read(r, pair, read_path(r, "batch", pair->key));
	}
	if (!out->kind)
		read_warning(r, place_of(yaml_get_pair(root, "batch")), "batch",
			"The batch has no build-list, build-graph, build-matrix or build-fanout");
}
