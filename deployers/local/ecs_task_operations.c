#include "deployers/local/ecs_internal.h"

static const char invalid[] = "InvalidParameterException";

enum { RUN_AT_ONCE = 10, DESCRIBE_AT_ONCE = 100 };

static struct json *task_answer(const struct task *task, bool tags)
{
	return ecs_public(task->document, tags);
}

/* RunTask again with a token that was used: the tasks it made then. */
static bool answer_again(struct cloud *cloud, const char *token, struct json **out_output)
{
	const struct json *made = store_get(cloud->store, "ecs.token", token);
	const struct json *arns = json_get(made, "tasks");
	struct json *tasks;

	if (!made)
		return false;
	tasks = json_array_new();
	for (size_t i = 0; i < json_count(arns); i++) {
		const struct task *task =
			tasks_find(cloud->ecs->tasks, json_text(json_at(arns, i), ""));

		if (task)
			json_append(tasks, task_answer(task, true));
	}
	*out_output = json_object_of("tasks", tasks, "failures", json_array_new(), NULL);
	return true;
}

static bool run(struct cloud *cloud, const struct task_request *request, int64_t count,
	const char *token, struct json **out_output, struct refusal *refusal)
{
	struct json *tasks = json_array_new(), *arns = json_array_new();
	struct error err = {0};

	for (int64_t i = 0; i < count; i++) {
		struct task *task = NULL;

		if (!task_start(cloud->ecs->tasks, request, &task, &err)) {
			json_free(&tasks);
			json_free(&arns);
			return refuse_error(refusal, &err);
		}
		json_append(tasks, task_answer(task, true));
		json_append(arns, json_text_new(task->arn));
	}
	*out_output = json_object_of("tasks", tasks, "failures", json_array_new(), NULL);
	if (token)
		return ecs_put(cloud, "ecs.token", token, json_object_of("tasks", arns, NULL),
			refusal);
	json_free(&arns);
	return true;
}

bool ecs_run_task(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *name = input_text(input, "taskDefinition", invalid, refusal);
	const struct json *cluster = name ? cluster_of(cloud, input, refusal) : NULL;
	const struct json *definition = cluster ? task_definition_of(cloud, name, refusal) : NULL;
	const char *client_token = json_get_text(input, "clientToken", NULL);
	int64_t count;

	if (!definition || !input_int(input, "count", 1, RUN_AT_ONCE, 1, invalid, &count, refusal))
		return false;
	if (!text_equal(json_get_text(definition, "status", ""), "ACTIVE"))
		return refuse(refusal, 400, "ClientException", "TaskDefinition is inactive");
	const char *cluster_arn = json_get_text(cluster, "clusterArn", "");
	scoped(text_free) char *group =
		memory_format("family:%s", json_get_text(definition, "family", ""));
	scoped(text_free) char *token =
		client_token ? memory_format("RunTask %s %s", cluster_arn, client_token) : NULL;
	const struct task_request request = {
		.cluster_arn = cluster_arn,
		.group = json_get_text(input, "group", group),
		.started_by = json_get_text(input, "startedBy", NULL),
		.launch_type = json_get_text(input, "launchType", "FARGATE"),
		.definition = definition,
		.overrides = json_get(input, "overrides"),
		.tags = text_equal(json_get_text(input, "propagateTags", ""), "TASK_DEFINITION")
				? json_get(definition, "tags")
				: json_get(input, "tags"),
		.network = json_get(input, "networkConfiguration"),
	};

	if (token && answer_again(cloud, token, out_output))
		return true;
	return run(cloud, &request, count, token, out_output, refusal);
}

static struct task *find_task(struct cloud *cloud, const char *cluster_arn, const char *name)
{
	struct task *task = tasks_find(cloud->ecs->tasks, name);

	if (task && text_equal(json_get_text(task->document, "clusterArn", ""), cluster_arn))
		return task;
	return NULL;
}

bool ecs_stop_task(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *name = input_text(input, "task", invalid, refusal);
	const struct json *cluster = name ? cluster_of(cloud, input, refusal) : NULL;

	if (!cluster)
		return false;
	struct task *task = find_task(cloud, json_get_text(cluster, "clusterArn", ""), name);

	if (!task)
		return refuse(refusal, 400, invalid, "The referenced task was not found.");
	task_stop(task, "UserInitiated", json_get_text(input, "reason", "Task stopped by user"));
	ecs_wake(cloud->ecs);
	*out_output = json_object_of("task", task_answer(task, false), NULL);
	return true;
}

bool ecs_describe_tasks(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *names = json_get(input, "tasks");
	const struct json *cluster = cluster_of(cloud, input, refusal);

	if (!cluster)
		return false;
	if (!json_count(names))
		return refuse(refusal, 400, invalid, "Tasks cannot be empty.");
	if (json_count(names) > DESCRIBE_AT_ONCE)
		return refuse(refusal, 400, invalid, "Tasks cannot have more than %d elements.",
			DESCRIBE_AT_ONCE);
	const char *cluster_arn = json_get_text(cluster, "clusterArn", "");
	struct json *tasks = json_array_new(), *failures = json_array_new();

	for (size_t i = 0; i < json_count(names); i++) {
		const char *name = json_text(json_at(names, i), "");
		const struct task *task = find_task(cloud, cluster_arn, name);

		if (task) {
			json_append(tasks, task_answer(task, ecs_includes(input, "TAGS")));
			continue;
		}
		scoped(text_free) char *arn = text_starts_with(name, "arn:")
						      ? memory_copy_text(name)
						      : cloud_arn(cloud, "ecs", "task/%s/%s",
								arn_name(cluster_arn), name);

		json_append(failures, ecs_failure(arn, "MISSING"));
	}
	*out_output = json_object_of("tasks", tasks, "failures", failures, NULL);
	return true;
}

/* "…:task-definition/family:3" -> is it that family? */
static bool is_family(const struct task *task, const char *family)
{
	const char *name = arn_name(json_get_text(task->document, "taskDefinitionArn", ""));
	size_t size = strlen(family);

	return strncmp(name, family, size) == 0 && name[size] == ':';
}

static bool matches(const struct task *task, const struct json *input, const char *service_arn)
{
	const struct json *document = task->document;
	const char *family = json_get_text(input, "family", NULL);
	const char *by = json_get_text(input, "startedBy", NULL);
	const char *launch_type = json_get_text(input, "launchType", NULL);

	return text_equal(json_get_text(document, "desiredStatus", ""),
		       json_get_text(input, "desiredStatus", "RUNNING")) &&
	       (!service_arn ||
		       text_equal(json_get_text(document, "_service", NULL), service_arn)) &&
	       (!family || is_family(task, family)) &&
	       (!by || text_equal(json_get_text(document, "startedBy", NULL), by)) &&
	       (!launch_type ||
		       text_equal(json_get_text(document, "launchType", NULL), launch_type));
}

bool ecs_list_tasks(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *cluster = cluster_of(cloud, input, refusal);
	const char *service_name = json_get_text(input, "serviceName", NULL);
	int64_t limit;
	size_t from;

	if (!cluster || !input_int(input, "maxResults", 1, 100, 100, invalid, &limit, refusal) ||
		!input_page(input, "nextToken", invalid, &from, refusal))
		return false;
	const char *cluster_arn = json_get_text(cluster, "clusterArn", "");
	scoped(text_free) char *service_arn =
		service_name ? service_arn_of(cloud, cluster_arn, service_name) : NULL;

	if (service_arn && !store_get(cloud->store, "ecs.service", service_arn))
		return refuse(refusal, 400, "ServiceNotFoundException", "Service not found.");
	struct json *arns = json_array_new();

	for (struct task *task = tasks_first(cloud->ecs->tasks); task; task = task->following)
		if (text_equal(json_get_text(task->document, "clusterArn", ""), cluster_arn) &&
			matches(task, input, service_arn))
			json_append(arns, json_text_new(task->arn));
	*out_output = json_object_new();
	output_page(*out_output, "taskArns", arns, from, (size_t)limit, "nextToken");
	return true;
}
