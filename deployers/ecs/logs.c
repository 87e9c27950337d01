#include "base/memory.h"
#include "base/path.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/tasks.h"

#include <stdlib.h>

enum { STOPPED_TASKS = 10 };

struct line {
	int64_t time_ms;
	const struct json *message; /* borrowed from the page */
	size_t page, place;         /* to keep the order within one millisecond */
};

struct page {
	char *task, *container; /* owned */
	struct json *events;    /* owned */
};

struct pages {
	struct page *rows;
	size_t count;
};

static void pages_free(struct pages *pages)
{
	for (size_t i = 0; i < pages->count; i++) {
		free(pages->rows[i].task);
		free(pages->rows[i].container);
		json_free(&pages->rows[i].events);
	}
	free(pages->rows);
}

static bool read_page(const struct deploy_place *place, const struct json *definition,
	const struct json *task, const char *container, int64_t lines, struct pages *pages,
	struct error *err)
{
	scoped(log_place_free) struct log_place log = {0};
	const char *arn = json_get_text(task, "taskArn", "");
	struct json *events = NULL;

	if (!log_place_of(definition, container, arn, &log))
		return true;
	if (!call_log_events(place, log.group, log.stream, lines, &events, err))
		return false;
	pages->rows = memory_resize(pages->rows, (pages->count + 1) * sizeof(*pages->rows));
	pages->rows[pages->count++] = (struct page){memory_copy_text(path_base(arn)),
		memory_copy_text(container), events};
	return true;
}

static bool read_task(const struct deploy_place *place, const struct json *task, int64_t lines,
	struct pages *pages, struct error *err)
{
	scoped(json_free) struct json *answer = NULL;
	const struct json *containers = json_get(task, "containers");

	if (!call_describe_definition(place, json_get_text(task, "taskDefinitionArn", ""), &answer,
		    err))
		return false;
	for (size_t i = 0; i < json_count(containers); i++)
		if (!read_page(place, json_get(answer, "taskDefinition"), task,
			    json_get_text(json_at(containers, i), "name", ""), lines, pages, err))
			return false;
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void tell_lines(const struct pages *pages, int64_t limit,
	void (*each)(void *context, const struct deploy_log_line *line), void *context)
{
	size_t count = 0, total = 0, first;
	struct line *lines;

	for (size_t i = 0; i < pages->count; i++)
		total += json_count(pages->rows[i].events);
	lines = memory_new_array(total, sizeof(*lines));
	for (size_t i = 0; i < pages->count; i++)
		for (size_t j = 0; j < json_count(pages->rows[i].events); j++) {
			const struct json *event = json_at(pages->rows[i].events, j);

			lines[count++] = (struct line){json_get_int(event, "timestamp", 0),
				json_get(event, "message"), i, j};
		}
	qsort(lines, count, sizeof(*lines), by_time);
	first = count > (size_t)limit ? count - (size_t)limit : 0;
	for (size_t i = first; i < count; i++)
		each(context,
			&(struct deploy_log_line){lines[i].time_ms, pages->rows[lines[i].page].task,
				pages->rows[lines[i].page].container,
				json_text(lines[i].message, "")});
	free(lines);
}

/* The tasks whose lines are wanted: by id, or those that run and the last ones that stopped. */
struct chosen {
	const char *task;   /* how its id begins; NULL: any */
	struct json *tasks; /* owned; the last that stopped stand last */
	size_t limit;       /* 0: none */
};

static void chosen_free(struct chosen *chosen)
{
	json_free(&chosen->tasks);
}

static double stopped_at(const struct json *task)
{
	return json_real(json_get(task, "stoppedAt"), 0);
}

/* Lets go of the one that stopped first: a failing service has thousands. */
static void drop_oldest(struct json *tasks)
{
	size_t oldest = 0;

	for (size_t i = 1; i < json_count(tasks); i++)
		if (stopped_at(json_at(tasks, i)) < stopped_at(json_at(tasks, oldest)))
			oldest = i;
	json_remove_at(tasks, oldest);
}

static bool choose(void *context, const struct json *task)
{
	struct chosen *chosen = context;
	const char *id = path_base(json_get_text(task, "taskArn", ""));

	if (chosen->task && !text_starts_with(id, chosen->task))
		return true;
	json_append(chosen->tasks, json_copy(task));
	if (chosen->limit && json_count(chosen->tasks) > chosen->limit)
		drop_oldest(chosen->tasks);
	return true;
}

static bool read_tasks(const struct deploy_place *place, const char *status, struct chosen *chosen,
	int64_t lines, struct pages *pages, struct error *err)
{
	chosen->tasks = json_array_new();
	if (!call_new_tasks(place, status, NULL, choose, chosen, err))
		return false;
	for (size_t i = 0; i < json_count(chosen->tasks); i++)
		if (!read_task(place, json_at(chosen->tasks, i), lines, pages, err))
			return false;
	return true;
}

bool ecs_logs(const struct deploy_place *place, const char *task, int64_t lines,
	void (*each)(void *context, const struct deploy_log_line *line), void *context,
	struct error *err)
{
	scoped(json_free) struct json *service = NULL;
	scoped(pages_free) struct pages pages = {0};
	scoped(chosen_free) struct chosen running = {.task = task},
					  stopped = {.task = task, .limit = STOPPED_TASKS};

	if (!call_need_service(place, &service, err) ||
		!read_tasks(place, "RUNNING", &running, lines, &pages, err) ||
		!read_tasks(place, "STOPPED", &stopped, lines, &pages, err))
		return false;
	if (task && json_count(running.tasks) + json_count(stopped.tasks) == 0)
		return error_raise(err, ERROR_NOT_FOUND,
			"%s has no task %s, running or just stopped", place->service, task);
	tell_lines(&pages, lines, each, context);
	return true;
}
