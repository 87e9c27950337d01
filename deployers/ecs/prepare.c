#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/placeholders.h"
#include "deployers/ecs/service_definition.h"
#include "deployers/ecs/task_definition.h"

#include <stdlib.h>

static bool look_up_image(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	(void)name, (void)err;
	*out_value = memory_copy_text(deployment->result->image);
	return true;
}

static bool look_up_environment(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	(void)deployment, (void)err;
	*out_value = memory_copy_text(getenv(name));
	return true;
}

static bool look_up_target_group(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	if (text_equal(name, deployment->place->service) && deployment->provisioned.target_group) {
		*out_value = memory_copy_text(deployment->provisioned.target_group);
		return true;
	}
	return target_group_find(deployment->place, name, out_value, err);
}

/* Services find one another through the load balancer. */
static bool look_up_balancer(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	int64_t port = deployment->request ? deployment->request->route.port : 0;

	(void)name;
	return balancer_url_find(deployment->place, port, out_value, err);
}

/* "STACK.OUTPUT": an output of a CloudFormation stack. */
static bool look_up_stack(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	struct str rest = str_of(name), stack = str_cut(&rest, '.');
	scoped(json_free) struct json *input =
		json_object_of("StackName", json_str_new(stack), NULL);
	scoped(json_free) struct json *output = NULL;

	if (!aws_call(deployment->place->aws, "cloudformation", "DescribeStacks", input, &output,
		    NULL, err))
		return false;
	const struct json *outputs = json_get(json_at(json_get(output, "Stacks"), 0), "Outputs");

	for (size_t i = 0; i < json_count(outputs); i++)
		if (str_equal(json_str(json_get(json_at(outputs, i), "OutputKey")), rest))
			*out_value = memory_copy_text(
				json_get_text(json_at(outputs, i), "OutputValue", NULL));
	return true;
}

static bool look_up_parameter(struct deployment *deployment, const char *name, char **out_value,
	struct error *err)
{
	scoped(json_free) struct json *input = json_object_of("Name", json_text_new(name), NULL);
	scoped(json_free) struct json *output = NULL;

	if (!aws_call(deployment->place->aws, "ssm", "GetParameter", input, &output, NULL, err))
		return false;
	const struct json *parameter = json_get(output, "Parameter");

	if (text_equal(json_get_text(parameter, "Type", ""), "SecureString")) {
		error_raise(err, ERROR_USAGE,
			"the parameter %s is a secret: written into a task definition everybody "
			"could "
			"read it",
			name);
		return error_next(err, "name it in \"secrets\" of the container");
	}
	*out_value = memory_copy_text(json_get_text(parameter, "Value", NULL));
	return true;
}

static const struct {
	const char *kind;
	bool (*look_up)(struct deployment *deployment, const char *name, char **out_value,
		struct error *err);
} kinds[] = {
	{"image", look_up_image},
	{"env", look_up_environment},
	{"target_group", look_up_target_group},
	{"balancer_url", look_up_balancer},
	{"cfn", look_up_stack},
	{"ssm", look_up_parameter},
};

static bool look_up(void *context, const char *kind, const char *name, char **out_value,
	struct error *err)
{
	for (size_t i = 0; i < countof(kinds); i++)
		if (text_equal(kinds[i].kind, kind))
			return kinds[i].look_up(context, name, out_value, err);
	return true;
}

static bool read_file(struct deployment *deployment, struct str text, const char *file,
	struct json **out_value, bool *out_image, struct error *err)
{
	scoped(buf_free) struct buf filled = {0};
	struct placeholders values = {.look_up = look_up, .context = deployment};

	if (!placeholders_fill(text, file, &values, &filled, out_image, err))
		return false;
	if (!json_parse(buf_str(&filled), file, NULL, out_value, err))
		return false;
	return json_is_object(*out_value) ||
	       error_raise(err, ERROR_USAGE, "%s: expected a JSON object", file);
}

/* The answers of DescribeTaskDefinition and DescribeServices wrap what we want. */
static void unwrap(struct json **value)
{
	struct json *services = json_get(*value, "services");
	struct json *inner = json_get(*value, "taskDefinition");

	if (json_is_array(services))
		inner = json_at(services, 0);
	if (!json_is_object(inner))
		return;
	inner = json_keep(inner);
	json_free(value);
	*value = inner;
}

static bool prepare_definition(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;
	scoped(json_free) struct json *file = NULL;
	bool has_image = false;

	if (!read_file(deployment, request->task_text, request->task_file, &file, &has_image, err))
		return false;
	if (json_is_object(json_get(file, "taskDefinition")))
		deployment->definition = definition_of_answer(file);
	else
		deployment->definition = json_copy(file);
	return definition_check(deployment->definition, request->task_file, err) &&
	       (has_image || definition_set_image(deployment->definition,
				     deployment->place->service, deployment->result->image, err));
}

/* The container that listens: for a file that leaves the load balancer to us. */
static struct json *load_balancer_of(const struct deployment *deployment)
{
	const struct json *containers = json_get(deployment->definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *container = json_at(containers, i);
		const struct json *port = json_at(json_get(container, "portMappings"), 0);

		if (port)
			return json_object_of("targetGroupArn",
				json_text_new(deployment->provisioned.target_group),
				"containerName", json_copy(json_get(container, "name")),
				"containerPort", json_copy(json_get(port, "containerPort")), NULL);
	}
	return NULL;
}

/* What was provisioned belongs to the service's load balancer: both groups and the rule. */
static bool connect_route(struct deployment *deployment, struct error *err)
{
	const struct provisioned *made = &deployment->provisioned;
	struct json *balancers = json_get(deployment->service, "loadBalancers");

	if (!made->target_group)
		return true;
	if (json_count(balancers) == 0) {
		struct json *balancer = load_balancer_of(deployment);

		if (!balancer)
			return error_raise(err, ERROR_USAGE,
				"%s: there is a route, but no container has portMappings",
				deployment->request->task_file);
		json_set(deployment->service, "loadBalancers", json_array_new());
		balancers = json_get(deployment->service, "loadBalancers");
		json_append(balancers, balancer);
	}
	struct json *first = json_at(balancers, 0);

	if (!json_get(first, "advancedConfiguration"))
		json_set(first, "advancedConfiguration",
			json_object_of("alternateTargetGroupArn", json_text_new(made->alternate),
				"productionListenerRule", json_text_new(made->rule), "roleArn",
				json_text_new("arn:aws:iam::000000000000:role/local-balancer"),
				NULL));
	return true;
}

static void add_alarms(struct deployment *deployment, struct json *configuration)
{
	const struct deploy_request *request = deployment->request;
	struct json *names = json_array_new();

	for (size_t i = 0; i < request->alarm_count; i++)
		json_append(names, json_text_new(request->alarms[i]));
	if (request->alarm_count)
		json_set(configuration, "alarms",
			json_object_of("alarmNames", json_keep(names), "enable",
				json_bool_new(true), "rollback", json_bool_new(true), NULL));
	json_free(&names);
}

static bool apply_strategy(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;
	const struct deploy_strategy *strategy = NULL;
	struct json *configuration = json_get(deployment->service, "deploymentConfiguration");

	if (!json_is_object(configuration)) {
		json_set(deployment->service, "deploymentConfiguration", json_object_new());
		configuration = json_get(deployment->service, "deploymentConfiguration");
	}
	if (!request->strategy.type)
		strategy = deploy_strategy_of_ecs(json_get_text(configuration, "strategy", NULL));
	else if (!deploy_strategy_find(request->strategy.type, &strategy, err))
		return false;
	if (request->strategy.type || !json_get(configuration, "strategy"))
		deploy_strategy_apply(strategy, &request->strategy, configuration);
	add_alarms(deployment, configuration);
	deployment->result->strategy = memory_copy_text(strategy->ecs_name);
	return true;
}

/* Without --image: the one that runs. */
static bool find_image(struct deployment *deployment, struct error *err)
{
	const char *arn = json_get_text(deployment->running, "taskDefinition", NULL);
	scoped(json_free) struct json *answer = NULL;

	if (deployment->request->image) {
		deployment->result->image = memory_copy_text(deployment->request->image);
		return true;
	}
	if (arn && !call_describe_definition(deployment->place, arn, &answer, err))
		return false;
	const struct json *containers =
		json_get(json_get(answer, "taskDefinition"), "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++)
		if (json_count(containers) == 1 ||
			text_equal(json_get_text(json_at(containers, i), "name", ""),
				deployment->place->service))
			deployment->result->image = memory_copy_text(
				json_get_text(json_at(containers, i), "image", NULL));
	if (deployment->result->image)
		return true;
	error_raise(err, ERROR_USAGE, "%s runs no image yet, and none was given",
		deployment->place->service);
	return error_next(err, "give it one: --image HOST/REPOSITORY@sha256:…");
}

static bool check_image(struct deployment *deployment, struct error *err)
{
	const char *at = strrchr(deployment->result->image, '@');

	if (at && text_starts_with(at + 1, "sha256:")) {
		deployment->digest = at + 1;
		return true;
	}
	if (!deployment->request->image) /* what runs need not have been deployed by us */
		return true;
	error_raise(err, ERROR_USAGE,
		"the image \"%s\" has no digest: a tag may mean another image tomorrow",
		deployment->result->image);
	return error_next(err, "`dogshore image push` prints the reference with its digest");
}

bool deployment_prepare(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;
	scoped(json_free) struct json *file = NULL;
	bool unused;

	if (!find_image(deployment, err) || !check_image(deployment, err))
		return false;
	if (request->admit &&
		!request->admit(request->admit_context, deployment->result->image, err))
		return false;
	if (request->provision && !provision_route(request, &deployment->provisioned, err))
		return false;
	if (!prepare_definition(deployment, err) ||
		!read_file(deployment, request->service_text, request->service_file, &file, &unused,
			err))
		return false;
	unwrap(&file);
	deployment->service = service_of_file(file);
	if (request->provision && !provision_service(request, deployment->definition, err))
		return false;
	return connect_route(deployment, err) && apply_strategy(deployment, err) &&
	       deployment_prepare_checks(deployment, err);
}
