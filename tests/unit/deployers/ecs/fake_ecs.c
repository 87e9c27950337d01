#include "tests/unit/deployers/ecs/fake_ecs.h"

#include "base/memory.h"

#include <stdlib.h>

static const char arns[] = "arn:aws:ecs:us-east-1:0";

static struct json *list_of(struct json *item)
{
	struct json *list = json_array_new();

	json_append(list, item);
	return list;
}

static const char *text_at(const struct json *input, const char *key)
{
	return json_get_text(input, key, "");
}

static struct json *definition_answer(struct fake_ecs *ecs, const struct json *input)
{
	const char *name = text_at(input, "taskDefinition");

	for (size_t i = json_count(ecs->definitions); i-- > 0;) {
		const struct json *definition = json_at(ecs->definitions, i);

		if (text_equal(text_at(definition, "taskDefinitionArn"), name) ||
			text_equal(text_at(definition, "family"), name))
			return json_object_of("taskDefinition", json_copy(definition), NULL);
	}
	return NULL;
}

static struct json *describe_definition(struct fake_ecs *ecs, const struct json *input)
{
	return definition_answer(ecs, input);
}

static struct json *register_definition(struct fake_ecs *ecs, const struct json *input)
{
	struct json *definition = json_copy(input);

	ecs->registered++;
	json_set(definition, "taskDefinitionArn",
		json_text_format("%s:task-definition/%s:%zu", arns, text_at(input, "family"),
			json_count(ecs->definitions) + 1));
	json_set_text(definition, "status", "ACTIVE");
	json_set_int(definition, "revision", (int64_t)json_count(ecs->definitions) + 1);
	json_append(ecs->definitions, definition);
	return json_object_of("taskDefinition", json_copy(definition), NULL);
}

static struct json *describe_services(struct fake_ecs *ecs, const struct json *input)
{
	(void)input;
	/* Nobody looks at the service deployments: the service's own list moves on. */
	if (ecs->denies_deployments && ++ecs->looks > 2)
		json_set_text(json_at(json_get(ecs->service, "deployments"), 0), "rolloutState",
			"COMPLETED");
	return json_object_of("services",
		ecs->service ? list_of(json_copy(ecs->service)) : json_array_new(), NULL);
}

static void begin_deployment(struct fake_ecs *ecs)
{
	struct json *list = json_array_new();
	int number = ++ecs->number;

	json_append(list,
		json_object_of("serviceDeploymentArn",
			json_text_format("%s:service-deployment/c/rooms/d%d", arns, number),
			"targetServiceRevisionArn",
			json_text_format("%s:service-revision/c/rooms/%d", arns, number),
			"createdAt", json_real_new(1795161600 + number), "status",
			json_text_new("PENDING"), "_runs",
			json_copy(json_get(ecs->service, "taskDefinition")), NULL));
	for (size_t i = 0; i < json_count(ecs->deployments); i++)
		json_append(list, json_copy(json_at(ecs->deployments, i)));
	json_free(&ecs->deployments);
	ecs->deployments = list;
	ecs->looks = 0;
	json_set(ecs->service, "deployments",
		list_of(json_object_of("id", json_text_format("ecs-svc/%d", number), "status",
			json_text_new("PRIMARY"), "rolloutState", json_text_new("IN_PROGRESS"),
			"taskDefinition", json_copy(json_get(ecs->service, "taskDefinition")),
			NULL)));
}

static struct json *service_answer(struct fake_ecs *ecs)
{
	return json_object_of("service", json_copy(ecs->service), NULL);
}

static struct json *create_service(struct fake_ecs *ecs, const struct json *input)
{
	if (ecs->service &&
		json_equal(json_get(ecs->service, "clientToken"), json_get(input, "clientToken")))
		return service_answer(ecs);
	ecs->created++;
	ecs->service = json_copy(input);
	json_set_text(ecs->service, "status", "ACTIVE");
	begin_deployment(ecs);
	return service_answer(ecs);
}

static struct json *update_service(struct fake_ecs *ecs, const struct json *input)
{
	const struct json *wanted = json_get(input, "taskDefinition");
	bool deploys = json_get_bool(input, "forceNewDeployment", false) ||
		       (wanted && !json_equal(wanted, json_get(ecs->service, "taskDefinition")));

	ecs->updated++;
	for (json_each(member, input))
		if (!text_equal(member.key, "service") && !text_equal(member.key, "cluster"))
			json_set(ecs->service, member.key, json_copy(member.value));
	if (deploys)
		begin_deployment(ecs);
	return service_answer(ecs);
}

void fake_ecs_deploy_newer(struct fake_ecs *ecs)
{
	begin_deployment(ecs);
}

static struct json *list_deployments(struct fake_ecs *ecs, const struct json *input)
{
	(void)input;
	return json_object_of("serviceDeployments", json_copy(ecs->deployments), NULL);
}

static const char *next_status(struct fake_ecs *ecs)
{
	bool third = ecs->number == 3 && ecs->statuses_of_third;
	const char *const *statuses = third ? ecs->statuses_of_third : ecs->statuses;
	const char *status = statuses[ecs->looks];

	if (ecs->stopped && ecs->after_stop)
		return ecs->after_stop;
	if (statuses[ecs->looks + 1])
		ecs->looks++;
	return status;
}

static struct json *describe_deployments(struct fake_ecs *ecs, const struct json *input)
{
	const char *arn = json_text(json_at(json_get(input, "serviceDeploymentArns"), 0), "");
	struct json *newest = json_at(ecs->deployments, 0);

	if (text_equal(text_at(newest, "serviceDeploymentArn"), arn)) {
		const char *status = next_status(ecs);

		json_set_text(newest, "status", status);
		if (text_equal(status, "SUCCESSFUL"))
			json_set_text(json_at(json_get(ecs->service, "deployments"), 0),
				"rolloutState", "COMPLETED");
	}
	for (size_t i = 0; i < json_count(ecs->deployments); i++)
		if (text_equal(text_at(json_at(ecs->deployments, i), "serviceDeploymentArn"), arn))
			return json_object_of("serviceDeployments",
				list_of(json_copy(json_at(ecs->deployments, i))), NULL);
	return json_object_of("serviceDeployments", json_array_new(), NULL);
}

static struct json *describe_revisions(struct fake_ecs *ecs, const struct json *input)
{
	const char *arn = json_text(json_at(json_get(input, "serviceRevisionArns"), 0), "");

	for (size_t i = 0; i < json_count(ecs->deployments); i++) {
		const struct json *row = json_at(ecs->deployments, i);

		if (text_equal(text_at(row, "targetServiceRevisionArn"), arn))
			return json_object_of("serviceRevisions",
				list_of(json_object_of("taskDefinition",
					json_copy(json_get(row, "_runs")), NULL)),
				NULL);
	}
	return json_object_of("serviceRevisions", json_array_new(), NULL);
}

static struct json *stop_deployment(struct fake_ecs *ecs, const struct json *input)
{
	(void)input;
	ecs->stopped++;
	return json_object_new();
}

static bool has_exited(const struct fake_ecs *ecs)
{
	return ecs->exits_at && ecs->number == 2 && ecs->target_looks >= ecs->exits_at;
}

/* One running task "r1"; as many stopped ones "s1", "s2", … as crashed. */
static struct json *list_tasks(struct fake_ecs *ecs, const struct json *input)
{
	bool running = text_equal(text_at(input, "desiredStatus"), "RUNNING");
	struct json *list = json_array_new();

	if (running && !has_exited(ecs))
		json_append(list, json_text_new("arn:task/c/r1"));
	for (int i = 1; !running && i <= ecs->crashed; i++)
		json_append(list, json_text_format("arn:task/c/s%d", i));
	return json_object_of("taskArns", list, NULL);
}

static const char *deployed_digest(struct fake_ecs *ecs)
{
	const struct json *last = json_at(ecs->definitions, json_count(ecs->definitions) - 1);
	const char *image =
		json_get_text(json_at(json_get(last, "containerDefinitions"), 0), "image", "@");

	return ecs->runs_digest ? ecs->runs_digest : strchr(image, '@') + 1;
}

static struct json *task(struct fake_ecs *ecs, const char *arn, bool running)
{
	struct json *container = json_object_of("name", json_text_new("app"), "imageDigest",
		json_text_new(deployed_digest(ecs)), "networkInterfaces",
		list_of(json_object_of("privateIpv4Address", json_text_new("10.0.1.7"), NULL)),
		NULL);

	if (!running && !ecs->stop_reason)
		json_set_int(container, "exitCode", 139);
	return json_object_of("taskArn", json_text_new(arn), "taskDefinitionArn",
		json_copy(json_get(ecs->service, "taskDefinition")), "startedBy",
		json_text_format("ecs-svc/%d", ecs->number), "lastStatus",
		json_text_new(running ? "RUNNING" : "STOPPED"), "stopCode",
		running ? NULL : json_text_new("EssentialContainerExited"), "stoppedReason",
		running ? NULL
			: json_text_new(ecs->stop_reason ? ecs->stop_reason
							 : "Essential container in task exited"),
		"containers", list_of(container), NULL);
}

static struct json *describe_tasks(struct fake_ecs *ecs, const struct json *input)
{
	const struct json *wanted = json_get(input, "tasks");
	struct json *list = json_array_new();

	for (size_t i = 0; i < json_count(wanted); i++) {
		const char *arn = json_text(json_at(wanted, i), "");

		json_append(list, task(ecs, arn, strstr(arn, "/r") && !has_exited(ecs)));
	}
	return json_object_of("tasks", list, NULL);
}

static struct json *log_events(struct fake_ecs *ecs, const struct json *input)
{
	const struct json *said = ecs->said;

	if (said) {
		struct json *events = json_array_new();

		for (size_t i = 0; i < json_count(said); i++)
			json_append(events, json_object_of("message", json_copy(json_at(said, i)),
						    "timestamp", json_int_new(1), NULL));
		return json_object_of("events", events, NULL);
	}
	return json_object_of("events",
		list_of(json_object_of("message",
			json_text_format("last words of %s", text_at(input, "logStreamName")),
			"timestamp", json_int_new(1), NULL)),
		NULL);
}

/* "/secret" is a secret, every other parameter has its own name as its value. */
static struct json *get_parameter(struct fake_ecs *ecs, const struct json *input)
{
	const char *name = text_at(input, "Name");

	(void)ecs;
	return json_object_of("Parameter",
		json_object_of("Value", json_text_new(name), "Type",
			json_text_new(text_equal(name, "/secret") ? "SecureString" : "String"),
			NULL),
		NULL);
}

static const struct {
	const char *operation;
	struct json *(*answer)(struct fake_ecs *ecs, const struct json *input);
	bool changes;
} operations[] = {
	{"DescribeTaskDefinition", describe_definition, false},
	{"RegisterTaskDefinition", register_definition, true},
	{"DescribeServices", describe_services, false},
	{"CreateService", create_service, true},
	{"UpdateService", update_service, true},
	{"ListServiceDeployments", list_deployments, false},
	{"DescribeServiceDeployments", describe_deployments, false},
	{"DescribeServiceRevisions", describe_revisions, false},
	{"StopServiceDeployment", stop_deployment, true},
	{"ListTasks", list_tasks, false},
	{"DescribeTasks", describe_tasks, false},
	{"GetLogEvents", log_events, false},
	{"GetParameter", get_parameter, false},
};

static void refuse(struct buf *out, const char *code)
{
	scoped(text_free) char *body =
		memory_format("{\"__type\":\"%s\",\"message\":\"no\"}", code);

	fake_reply(out, 400, "", str_of(body));
}

static void answer_operation(struct fake_ecs *ecs, size_t row, const struct json *input,
	struct buf *out)
{
	scoped(json_free) struct json *answer = operations[row].answer(ecs, input);
	scoped(buf_free) struct buf body = {0};

	if (operations[row].changes) {
		json_free(&ecs->last_input);
		ecs->last_input = json_copy(input);
	}
	if (operations[row].changes && ++ecs->changes == ecs->drop_at)
		return;
	if (!answer) {
		refuse(out, "ClientException");
		return;
	}
	json_write(answer, &body);
	fake_reply(out, 200, "", buf_str(&body));
}

static char *stack_outputs(void)
{
	return memory_copy_text("<Stacks><member><Outputs><member><OutputKey>Role</OutputKey>"
				"<OutputValue>arn:role</OutputValue></member></Outputs></member>"
				"</Stacks>");
}

static char *target_groups(const struct fake_ecs *ecs)
{
	return memory_format("<TargetGroups><member><TargetGroupName>rooms</TargetGroupName>"
			     "<TargetType>ip</TargetType><HealthCheckPath>%s</HealthCheckPath>"
			     "<Matcher><HttpCode>%s</HttpCode></Matcher></member></TargetGroups>",
		ecs->balancer_path ? ecs->balancer_path : "/health",
		ecs->balancer_codes ? ecs->balancer_codes : "200");
}

/* The task's own target, and one of a task that is none of ours. */
static char *target_health(struct fake_ecs *ecs)
{
	const char *state = ecs->target_states ? ecs->target_states[ecs->target_looks] : "healthy";

	if (ecs->target_states && ecs->target_states[ecs->target_looks + 1])
		ecs->target_looks++;
	return memory_format("<TargetHealthDescriptions><member><Target><Id>10.0.1.7</Id>"
			     "<Port>8080</Port></Target><TargetHealth><State>%s</State>"
			     "<Reason>Target.Code</Reason></TargetHealth></member><member><Target>"
			     "<Id>10.0.1.8</Id><Port>8080</Port></Target><TargetHealth>"
			     "<State>unhealthy</State></TargetHealth></member>"
			     "</TargetHealthDescriptions>",
		state);
}

static void answer_query(struct fake_ecs *ecs, const struct fake_request *request, struct buf *out)
{
	scoped(text_free) char *form = str_copy(request->body);
	const char *operation = strstr(form, "Action=DescribeTargetHealth") ? "DescribeTargetHealth"
				: strstr(form, "Action=DescribeTargetGroups")
					? "DescribeTargetGroups"
					: "DescribeStacks";
	scoped(text_free) char *inner =
		text_equal(operation, "DescribeTargetHealth")   ? target_health(ecs)
		: text_equal(operation, "DescribeTargetGroups") ? target_groups(ecs)
								: stack_outputs();
	scoped(text_free) char *body =
		memory_format("<R><%sResult>%s</%sResult></R>", operation, inner, operation);

	fake_reply(out, 200, "", str_of(body));
}

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct fake_ecs *ecs = context;
	scoped(text_free) char *target = fake_header(request, "X-Amz-Target");
	const char *operation = target ? strchr(target, '.') + 1 : "";
	scoped(json_free) struct json *input = NULL;

	if (request->number > ecs->silent_after && ecs->silent > 0) {
		ecs->silent--;
		return;
	}
	if (!target) { /* the query protocol */
		answer_query(ecs, request, out);
		return;
	}
	if (ecs->denies_deployments && strstr(operation, "ServiceDeployments")) {
		refuse(out, "AccessDeniedException");
		return;
	}
	if (!json_parse(request->body, "input", NULL, &input, NULL))
		input = json_object_new();
	for (size_t i = 0; i < countof(operations); i++)
		if (text_equal(operations[i].operation, operation)) {
			answer_operation(ecs, i, input, out);
			return;
		}
	refuse(out, "UnknownOperationException");
}

void fake_ecs_start(struct fake_ecs *ecs)
{
	static const char *const successful[] = {"PENDING", "IN_PROGRESS", "SUCCESSFUL", NULL};

	ecs->definitions = json_array_new();
	ecs->deployments = json_array_new();
	ecs->statuses = successful;
	ecs->server = fake_server_start(NULL, answer, ecs);
}

void fake_ecs_stop(struct fake_ecs *ecs)
{
	fake_server_stop(&ecs->server);
	json_free(&ecs->service);
	json_free(&ecs->definitions);
	json_free(&ecs->deployments);
	json_free(&ecs->last_input);
	json_free(&ecs->said);
}
