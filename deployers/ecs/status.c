#include "base/memory.h"
#include "base/path.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/task_definition.h"
#include "deployers/ecs/tasks.h"

#include <stdlib.h>

enum { STATUS_EVENTS = 10 };

static struct json *time_text(const struct json *seconds)
{
	char text[TIME_TEXT_SIZE];

	if (!seconds)
		return NULL;
	time_to_rfc3339((int64_t)(json_real(seconds, 0) * 1000), text);
	return json_text_new(text);
}

static struct json *deployment_summary(const struct json *row)
{
	if (!row)
		return NULL;
	return json_object_of("id", json_copy(json_get(row, "serviceDeploymentArn")), "status",
		json_copy(json_get(row, "status")), "reason",
		json_copy(json_get(row, "statusReason")), "created_at",
		time_text(json_get(row, "createdAt")), "finished_at",
		time_text(json_get(row, "finishedAt")), NULL);
}

static struct json *event_list(const struct json *service)
{
	const struct json *events = json_get(service, "events");
	struct json *list = json_array_new();

	for (size_t i = 0; i < json_count(events) && i < STATUS_EVENTS; i++)
		json_append(list,
			json_object_of("at", time_text(json_get(json_at(events, i), "createdAt")),
				"message", json_copy(json_get(json_at(events, i), "message")),
				NULL));
	return list;
}

static struct json *image_list(const struct json *answer)
{
	const struct json *containers =
		json_get(json_get(answer, "taskDefinition"), "containerDefinitions");
	struct json *list = json_array_new();

	for (size_t i = 0; i < json_count(containers); i++)
		json_append(list, json_copy(json_get(json_at(containers, i), "image")));
	return list;
}

static bool need_service(const struct deploy_place *place, struct json **out_service,
	struct error *err)
{
	if (!call_describe_service(place, out_service, err))
		return false;
	return *out_service ||
	       error_raise(err, ERROR_NOT_FOUND, "there is no service %s in the cluster %s",
		       place_service(place), place->cluster);
}

bool ecs_status(const struct deploy_place *place, struct json **out_status, struct error *err)
{
	scoped(json_free) struct json *service = NULL, *list = NULL, *tasks = NULL, *answer = NULL;
	struct json *rows;

	if (!need_service(place, &service, err) || !call_list_deployments(place, &list, err) ||
		!call_tasks(place, "RUNNING", &tasks, err) ||
		!call_describe_definition(place, json_get_text(service, "taskDefinition", ""),
			&answer, err))
		return false;
	rows = json_array_new();
	for (size_t i = 0; i < json_count(tasks); i++)
		json_append(rows, diagnosis_summary(json_at(tasks, i)));
	*out_status = json_object_of("service", json_text_new(place->service), "environment",
		json_text_new(place->environment), "cluster", json_text_new(place->cluster),
		"status", json_copy(json_get(service, "status")), "desired",
		json_copy(json_get(service, "desiredCount")), "running",
		json_copy(json_get(service, "runningCount")), "pending",
		json_copy(json_get(service, "pendingCount")), "task_definition",
		json_copy(json_get(service, "taskDefinition")), "images", image_list(answer),
		"deployment", deployment_summary(json_at(list, 0)), "tasks", rows, "events",
		event_list(service), NULL);
	return true;
}

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

bool ecs_logs(const struct deploy_place *place, const char *task, int64_t lines,
	void (*each)(void *context, const struct deploy_log_line *line), void *context,
	struct error *err)
{
	static const char *const statuses[] = {"RUNNING", "STOPPED"};
	scoped(json_free) struct json *service = NULL;
	scoped(pages_free) struct pages pages = {0};
	bool found = false;

	if (!need_service(place, &service, err))
		return false;
	for (size_t s = 0; s < countof(statuses); s++) {
		scoped(json_free) struct json *tasks = NULL;

		if (!call_tasks(place, statuses[s], &tasks, err))
			return false;
		for (size_t i = 0; i < json_count(tasks); i++) {
			const struct json *row = json_at(tasks, i);

			if (task && !text_starts_with(path_base(json_get_text(row, "taskArn", "")),
					    task))
				continue;
			found = true;
			if (!read_task(place, row, lines, &pages, err))
				return false;
		}
	}
	if (task && !found)
		return error_raise(err, ERROR_NOT_FOUND,
			"%s has no task %s, running or just stopped", place->service, task);
	tell_lines(&pages, lines, each, context);
	return true;
}
