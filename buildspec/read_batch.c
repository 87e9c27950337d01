#include "buildspec/reader.h"

/* Only batch builds read this section; a plain run checks what would make CodeBuild refuse it. */

struct task {
	const char *identifier;
	const struct yaml *node;
	struct texts after; /* identifiers of the tasks it waits for */
	bool clear;         /* everything it waits for, directly or not, is known to end */
};

struct tasks {
	struct task *items;
	size_t count;
};

static struct task *find(const struct tasks *tasks, const char *identifier)
{
	for (size_t i = 0; i < tasks->count; i++)
		if (text_equal(tasks->items[i].identifier, identifier))
			return &tasks->items[i];
	return NULL;
}

/* What is checked below takes time by the square of this. */
enum { TASKS_MAX = 256 };

static struct tasks read_tasks(struct reader *r, const struct yaml *list, const char *path)
{
	struct tasks tasks = {arena_new(r->arena, TASKS_MAX * sizeof(*tasks.items)), 0};

	if (list->count > TASKS_MAX) {
		read_error(r, list->line, path, "More than %d tasks are not accepted", TASKS_MAX);
		return tasks;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml *node = list->items[i];
		const char *at = arena_format(r->arena, "%s[%zu]", path, i);
		const char *identifier = read_text(r, node, "identifier", at);

		if (!identifier)
			read_error(r, node->line, read_path(r, at, str_of("identifier")),
				"The task's identifier is missing");
		else if (find(&tasks, identifier))
			read_error(r, node->line, read_path(r, at, str_of("identifier")),
				"There is another task \"%s\"", identifier);
		else
			tasks.items[tasks.count++] = (struct task){identifier, node,
				read_texts(r, node, "depend-on", at), false};
	}
	return tasks;
}

static void check_names(struct reader *r, const struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->count; i++) {
		const struct task *task = &tasks->items[i];

		for (size_t n = 0; n < task->after.count; n++)
			if (!find(tasks, task->after.items[n]))
				read_error(r, yaml_get(task->node, "depend-on")->line,
					arena_format(r->arena,
						"batch.build-graph[%zu].depend-on[%zu]", i, n),
					"There is no task \"%s\"", task->after.items[n]);
	}
}

static bool waits_for_clear_ones(const struct tasks *tasks, const struct task *task)
{
	for (size_t i = 0; i < task->after.count; i++) {
		const struct task *other = find(tasks, task->after.items[i]);

		if (other && !other->clear)
			return false;
	}
	return true;
}

/* Clears tasks until nothing changes; what is left waits for itself. */
static void check_order(struct reader *r, const struct tasks *tasks)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < tasks->count; i++)
			if (!tasks->items[i].clear && waits_for_clear_ones(tasks, &tasks->items[i]))
				changed = tasks->items[i].clear = true;
	}
	for (size_t i = 0; i < tasks->count; i++)
		if (!tasks->items[i].clear) {
			read_error(r, tasks->items[i].node->line,
				arena_format(r->arena, "batch.build-graph[%zu].depend-on", i),
				"The task \"%s\" waits for itself", tasks->items[i].identifier);
			return;
		}
}

static const struct yaml *read_list(struct reader *r, const struct yaml *batch, const char *key)
{
	struct yaml *node = yaml_get(batch, key);

	if (!node || node->kind == YAML_SEQUENCE)
		return node;
	read_error(r, node->line, read_path(r, "batch", str_of(key)), "Expected %s to be a list",
		key);
	return NULL;
}

void read_batch(struct reader *r, const struct yaml *root)
{
	struct yaml *batch = read_mapping(r, root, "batch", "");

	if (!batch)
		return;
	read_switch(r, batch, "fast-fail", "batch");
	const struct yaml *list = read_list(r, batch, "build-list");
	const struct yaml *graph = read_list(r, batch, "build-graph");

	if (list)
		read_tasks(r, list, "batch.build-list");
	if (graph) {
		struct tasks tasks = read_tasks(r, graph, "batch.build-graph");

		check_names(r, &tasks);
		check_order(r, &tasks);
	}
	read_mapping(r, batch, "build-matrix", "batch");
	read_mapping(r, batch, "build-fanout", "batch");
}
