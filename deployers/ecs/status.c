#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"

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

bool ecs_status(const struct deploy_place *place, struct json **out_status, struct error *err)
{
	scoped(json_free) struct json *service = NULL, *list = NULL, *tasks = NULL, *answer = NULL;
	struct json *rows;

	if (!call_need_service(place, &service, err) || !call_list_deployments(place, &list, err) ||
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
