#include "deployers/ecs/calls.h"

#include "base/memory.h"
#include "base/path.h"

const char *place_service(const struct deploy_place *place)
{
	return place->service_name ? place->service_name : place->service;
}

const char *id_number(const char *id)
{
	return path_base(id);
}

struct json *list_of_text(const char *text)
{
	struct json *list = json_array_new();

	json_append(list, json_text_new(text));
	return list;
}

bool call_taking(const struct deploy_place *place, const char *service, const char *operation,
	struct json *input, struct json **out_output, struct error *err)
{
	scoped(json_free) struct json *taken = input;

	return aws_call(place->aws, service, operation, taken, out_output, NULL, err);
}

bool call_describe_service(const struct deploy_place *place, struct json **out_service,
	struct error *err)
{
	scoped(json_free) struct json *input =
		json_object_of("cluster", json_text_new(place->cluster), "services",
			list_of_text(place_service(place)), NULL);
	scoped(json_free) struct json *output = NULL;
	struct aws_failure failure = {0};
	struct error why = {0};

	*out_service = NULL;
	if (!aws_call(place->aws, "ecs", "DescribeServices", input, &output, &failure, &why)) {
		/* No cluster, no service. */
		if (text_equal(failure.code, "ClusterNotFoundException")) {
			error_ignore(&why, "the caller creates it or says that it is missing");
			return true;
		}
		error_move(err, &why);
		return false;
	}
	const struct json *service = json_at(json_get(output, "services"), 0);
	const char *status = json_get_text(service, "status", "INACTIVE");

	if (!text_equal(status, "INACTIVE"))
		*out_service = json_copy(service);
	return true;
}

bool call_describe_deployment(const struct deploy_place *place, const char *arn,
	struct json **out_deployment, struct error *err)
{
	scoped(json_free) struct json *input =
		json_object_of("serviceDeploymentArns", list_of_text(arn), NULL);
	scoped(json_free) struct json *output = NULL;

	*out_deployment = NULL;
	if (!aws_call(place->aws, "ecs", "DescribeServiceDeployments", input, &output, NULL, err))
		return false;
	*out_deployment = json_copy(json_at(json_get(output, "serviceDeployments"), 0));
	return true;
}

bool call_list_deployments(const struct deploy_place *place, struct json **out_list,
	struct error *err)
{
	scoped(json_free) struct json *input =
		json_object_of("cluster", json_text_new(place->cluster), "service",
			json_text_new(place_service(place)), "maxResults", json_int_new(100), NULL);
	scoped(json_free) struct json *output = NULL;

	if (!aws_call(place->aws, "ecs", "ListServiceDeployments", input, &output, NULL, err))
		return false;
	*out_list = json_copy(json_get(output, "serviceDeployments"));
	if (!*out_list)
		*out_list = json_array_new();
	return true;
}

bool call_revision_task_definition(const struct deploy_place *place, const char *revision_arn,
	char **out_task_definition, struct error *err)
{
	scoped(json_free) struct json *input =
		json_object_of("serviceRevisionArns", list_of_text(revision_arn), NULL);
	scoped(json_free) struct json *output = NULL;

	if (!aws_call(place->aws, "ecs", "DescribeServiceRevisions", input, &output, NULL, err))
		return false;
	*out_task_definition =
		memory_copy_text(json_get_text(json_at(json_get(output, "serviceRevisions"), 0),
			"taskDefinition", NULL));
	return true;
}

bool call_describe_definition(const struct deploy_place *place, const char *name,
	struct json **out_answer, struct error *err)
{
	scoped(json_free) struct json *input = json_object_of("taskDefinition", json_text_new(name),
		"include", list_of_text("TAGS"), NULL);
	struct aws_failure failure = {0};
	struct error why = {0};

	*out_answer = NULL;
	if (aws_call(place->aws, "ecs", "DescribeTaskDefinition", input, out_answer, &failure,
		    &why))
		return true;
	/* ECS says "Unable to describe task definition." for one that does not exist. */
	if (text_equal(failure.code, "ClientException")) {
		error_ignore(&why, "the caller registers one");
		return true;
	}
	error_move(err, &why);
	return false;
}

/* A page of tasks on its way. */
struct page {
	const struct deploy_place *place;
	struct json *known; /* borrowed, may be NULL */
	bool (*each)(void *context, const struct json *task);
	void *context;
};

static struct json *leave_out_known(const struct page *page, const struct json *arns)
{
	struct json *fresh = json_array_new();

	for (size_t i = 0; i < json_count(arns); i++) {
		const char *arn = json_text(json_at(arns, i), "");

		if (!json_get(page->known, arn))
			json_append(fresh, json_copy(json_at(arns, i)));
	}
	return fresh;
}

static bool describe_page(const struct page *page, const struct json *arns, struct error *err)
{
	struct json *fresh = leave_out_known(page, arns);
	scoped(json_free) struct json *input = json_object_of("cluster",
		json_text_new(page->place->cluster), "tasks", fresh, NULL);
	scoped(json_free) struct json *output = NULL;

	if (json_count(fresh) == 0)
		return true;
	if (!aws_call(page->place->aws, "ecs", "DescribeTasks", input, &output, NULL, err))
		return false;
	for (size_t i = 0; i < json_count(json_get(output, "tasks")); i++) {
		const struct json *task = json_at(json_get(output, "tasks"), i);

		if (page->each(page->context, task) && page->known)
			json_set_bool(page->known, json_get_text(task, "taskArn", ""), true);
	}
	return true;
}

/* A page of ListTasks has at most 100 ARNs, just what DescribeTasks takes. */
static bool each_page(const struct page *page, const char *desired_status, struct error *err)
{
	scoped(text_free) char *token = NULL;

	do {
		scoped(json_free) struct json *output = NULL;
		scoped(json_free) struct json *input =
			json_object_of("cluster", json_text_new(page->place->cluster),
				"serviceName", json_text_new(place_service(page->place)),
				"desiredStatus", json_text_new(desired_status), NULL);

		if (token)
			json_set_text(input, "nextToken", token);
		if (!aws_call(page->place->aws, "ecs", "ListTasks", input, &output, NULL, err) ||
			!describe_page(page, json_get(output, "taskArns"), err))
			return false;
		text_free(&token);
		token = memory_copy_text(json_get_text(output, "nextToken", NULL));
	} while (token);
	return true;
}

bool call_new_tasks(const struct deploy_place *place, const char *desired_status,
	struct json *known, bool (*each)(void *context, const struct json *task), void *context,
	struct error *err)
{
	return each_page(&(struct page){place, known, each, context}, desired_status, err);
}

static bool append_task(void *context, const struct json *task)
{
	json_append(context, json_copy(task));
	return true;
}

bool call_tasks(const struct deploy_place *place, const char *desired_status,
	struct json **out_tasks, struct error *err)
{
	scoped(json_free) struct json *tasks = json_array_new();

	if (!each_page(&(struct page){place, NULL, append_task, tasks}, desired_status, err))
		return false;
	*out_tasks = tasks;
	tasks = NULL;
	return true;
}

bool call_log_events(const struct deploy_place *place, const char *group, const char *stream,
	int64_t limit, struct json **out_events, struct error *err)
{
	scoped(json_free) struct json *input = json_object_of("logGroupName", json_text_new(group),
		"logStreamName", json_text_new(stream), "limit", json_int_new(limit),
		"startFromHead", json_bool_new(false), NULL);
	scoped(json_free) struct json *output = NULL;
	struct error why = {0};

	if (!aws_call(place->aws, "logs", "GetLogEvents", input, &output, NULL, &why)) {
		if (why.kind != ERROR_NOT_FOUND) {
			error_move(err, &why);
			return false;
		}
		error_ignore(&why, "a container that never started wrote nothing");
	}
	*out_events = json_copy(json_get(output, "events"));
	if (!*out_events)
		*out_events = json_array_new();
	return true;
}

bool call_stop_deployment(const struct deploy_place *place, const char *arn, struct error *err)
{
	scoped(json_free) struct json *input = json_object_of("serviceDeploymentArn",
		json_text_new(arn), "stopType", json_text_new("ROLLBACK"), NULL);
	struct error why = {0};

	if (aws_call(place->aws, "ecs", "StopServiceDeployment", input, NULL, NULL, &why))
		return true;
	if (why.kind == ERROR_CONFLICT) {
		error_ignore(&why,
			"it has ended, or somebody else stops it: the next look shows it");
		return true;
	}
	error_move(err, &why);
	return false;
}

bool call_need_service(const struct deploy_place *place, struct json **out_service,
	struct error *err)
{
	if (!call_describe_service(place, out_service, err))
		return false;
	return *out_service ||
	       error_raise(err, ERROR_NOT_FOUND, "there is no service %s in the cluster %s",
		       place_service(place), place->cluster);
}
