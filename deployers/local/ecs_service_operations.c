#include "deployers/local/ecs_internal.h"

#include <ctype.h>

static const char invalid[] = "InvalidParameterException";

static bool valid_name(const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return size > 0 && size <= 255;
}

static void fill(struct json *object, const char *key, struct json *value)
{
	if (json_get(object, key))
		json_free(&value);
	else
		json_set(object, key, value);
}

static void fill_configuration(struct json *service)
{
	struct json *configuration = json_get(service, "deploymentConfiguration");

	if (!configuration) {
		json_set(service, "deploymentConfiguration", json_object_new());
		configuration = json_get(service, "deploymentConfiguration");
	}
	fill(configuration, "deploymentCircuitBreaker",
		json_object_of("enable", json_bool_new(false), "rollback", json_bool_new(false),
			NULL));
	fill(configuration, "maximumPercent", json_int_new(200));
	fill(configuration, "minimumHealthyPercent", json_int_new(100));
	fill(configuration, "strategy", json_text_new("ROLLING"));
	fill(configuration, "bakeTimeInMinutes", json_int_new(0));
}

/* A service as CreateService's input describes it, with what ECS fills in. */
static struct json *service_new(struct cloud *cloud, const struct json *input,
	const char *cluster_arn, const char *arn, const struct json *definition)
{
	static const char *const members[] = {"serviceName", "loadBalancers", "serviceRegistries",
		"launchType", "capacityProviderStrategy", "platformVersion", "desiredCount",
		"deploymentConfiguration", "placementConstraints", "placementStrategy",
		"networkConfiguration", "healthCheckGracePeriodSeconds", "schedulingStrategy",
		"deploymentController", "tags", "enableECSManagedTags", "propagateTags",
		"enableExecuteCommand", "availabilityZoneRebalancing",
		"serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"};
	struct json *service = json_object_of("serviceArn", json_text_new(arn), "clusterArn",
		json_text_new(cluster_arn), "status", json_text_new("ACTIVE"), "taskDefinition",
		json_copy(json_get(definition, "taskDefinitionArn")), "createdAt", ecs_now(cloud),
		"events", json_array_new(), NULL);

	for (size_t i = 0; i < countof(members); i++)
		if (json_get(input, members[i]))
			json_set(service, members[i], json_copy(json_get(input, members[i])));
	fill(service, "loadBalancers", json_array_new());
	fill(service, "serviceRegistries", json_array_new());
	if (!json_get(service, "capacityProviderStrategy"))
		fill(service, "launchType", json_text_new("FARGATE"));
	fill(service, "platformVersion", json_text_new("LATEST"));
	fill(service, "platformFamily", json_text_new("Linux"));
	fill(service, "desiredCount", json_int_new(1));
	fill(service, "placementConstraints", json_array_new());
	fill(service, "placementStrategy", json_array_new());
	fill(service, "schedulingStrategy", json_text_new("REPLICA"));
	fill(service, "deploymentController", json_object_of("type", json_text_new("ECS"), NULL));
	fill(service, "healthCheckGracePeriodSeconds", json_int_new(0));
	fill(service, "createdBy", json_text_format("arn:aws:iam::%s:root", cloud->account));
	fill(service, "enableECSManagedTags", json_bool_new(false));
	fill(service, "propagateTags", json_text_new("NONE"));
	fill(service, "enableExecuteCommand", json_bool_new(false));
	fill(service, "availabilityZoneRebalancing", json_text_new("DISABLED"));
	fill(service, "tags", json_array_new());
	fill_configuration(service);
	return service;
}

/* Begins the deployment and writes the service with it, all of it or nothing. Takes service. */
static bool deploy(struct cloud *cloud, struct json *service, struct refusal *refusal)
{
	scoped(text_free) char *arn = memory_copy_text(json_get_text(service, "serviceArn", ""));
	struct error err = {0};

	if (!store_begin(cloud->store, &err)) {
		json_free(&service);
		return refuse_error(refusal, &err);
	}
	scoped(store_rollback) struct store *open = cloud->store;

	if (!service_deploy(cloud->ecs, service, &err)) {
		json_free(&service);
		return refuse_error(refusal, &err);
	}
	return (store_put(open, "ecs.service", arn, service, &err) && store_commit(open, &err)) ||
	       refuse_error(refusal, &err);
}

static const struct json *active_definition(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	const char *name = input_text(input, "taskDefinition", invalid, refusal);
	const struct json *definition = name ? task_definition_of(cloud, name, refusal) : NULL;

	if (definition && !text_equal(json_get_text(definition, "status", ""), "ACTIVE")) {
		refuse(refusal, 400, "ClientException", "TaskDefinition is inactive");
		return NULL;
	}
	return definition;
}

static struct json *service_output(struct cloud *cloud, const char *arn, bool tags)
{
	return json_object_of("service",
		service_answer(cloud->ecs, store_get(cloud->store, "ecs.service", arn), tags),
		NULL);
}

static bool name_is_free(struct cloud *cloud, const char *arn, struct refusal *refusal)
{
	const char *status =
		json_get_text(store_get(cloud->store, "ecs.service", arn), "status", "INACTIVE");

	if (text_equal(status, "ACTIVE"))
		return refuse(refusal, 400, invalid, "Creation of service was not idempotent.");
	if (text_equal(status, "DRAINING"))
		return refuse(refusal, 400, invalid,
			"Unable to Start a service that is still Draining.");
	return true;
}

bool ecs_create_service(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *name = input_text(input, "serviceName", invalid, refusal);
	const struct json *cluster = name ? cluster_of(cloud, input, refusal) : NULL;
	const char *client_token = json_get_text(input, "clientToken", NULL);

	if (!cluster)
		return false;
	if (!valid_name(name))
		return refuse(refusal, 400, invalid,
			"Service name must match [a-zA-Z0-9-_]{1,255}.");
	scoped(text_free) char *cluster_arn =
		memory_copy_text(json_get_text(cluster, "clusterArn", ""));
	scoped(text_free) char *arn = service_arn_of(cloud, cluster_arn, name);
	scoped(text_free) char *token =
		memory_format("CreateService %s %s", arn, client_token ? client_token : "");

	/* A token stands for the service it made, as long as that is there. */
	if (client_token && store_get(cloud->store, "ecs.token", token) &&
		text_equal(json_get_text(store_get(cloud->store, "ecs.service", arn), "status", ""),
			"ACTIVE")) {
		*out_output = service_output(cloud, arn, true);
		return true;
	}
	const struct json *definition = active_definition(cloud, input, refusal);

	if (!definition || !name_is_free(cloud, arn, refusal))
		return false;
	struct json *service = service_new(cloud, input, cluster_arn, arn, definition);

	if (!service_is_possible(cloud, service, refusal)) {
		json_free(&service);
		return false;
	}
	if (!deploy(cloud, service, refusal) ||
		(client_token &&
			!ecs_put(cloud, "ecs.token", token,
				json_object_of("service", json_text_new(arn), NULL), refusal)))
		return false;
	ecs_wake(cloud->ecs);
	*out_output = service_output(cloud, arn, true);
	return true;
}

/* Copies a member of the input; true when that changes it. */
static bool change(struct json *service, const struct json *input, const char *key)
{
	const struct json *value = json_get(input, key);

	if (!value || json_equal(value, json_get(service, key)))
		return false;
	json_set(service, key, json_copy(value));
	return true;
}

/* deploymentConfiguration: the members given replace theirs, the others stay. */
static void change_configuration(struct json *service, const struct json *input)
{
	const struct json *given = json_get(input, "deploymentConfiguration");
	struct json *merged = json_copy(json_get(service, "deploymentConfiguration"));

	for (json_each(member, given))
		json_set(merged, member.key, json_copy(member.value));
	json_set(service, "deploymentConfiguration", merged);
}

/* Applies the input; *out_deploys: it changes something that tasks are made from. */
static bool apply_update(struct cloud *cloud, struct json *service, const struct json *input,
	bool *out_deploys, struct refusal *refusal)
{
	static const char *const deploying[] = {"networkConfiguration", "platformVersion",
		"loadBalancers", "serviceRegistries", "serviceConnectConfiguration",
		"volumeConfigurations", "vpcLatticeConfigurations"};
	static const char *const quiet[] = {"desiredCount", "capacityProviderStrategy",
		"healthCheckGracePeriodSeconds", "placementConstraints", "placementStrategy",
		"enableExecuteCommand", "enableECSManagedTags", "propagateTags",
		"availabilityZoneRebalancing", "deploymentController"};

	*out_deploys = json_get_bool(input, "forceNewDeployment", false);
	if (json_get(input, "taskDefinition")) {
		const struct json *definition = active_definition(cloud, input, refusal);

		if (!definition)
			return false;
		const char *arn = json_get_text(definition, "taskDefinitionArn", "");

		*out_deploys |= !text_equal(arn, json_get_text(service, "taskDefinition", NULL));
		json_set_text(service, "taskDefinition", arn);
	}
	for (size_t i = 0; i < countof(deploying); i++)
		*out_deploys |= change(service, input, deploying[i]);
	for (size_t i = 0; i < countof(quiet); i++)
		change(service, input, quiet[i]);
	change_configuration(service, input);
	return true;
}

bool ecs_update_service(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *existing = service_of(cloud, input, true, refusal);
	bool deploys;

	if (!existing)
		return false;
	struct json *service = json_copy(existing);
	scoped(text_free) char *arn = memory_copy_text(json_get_text(service, "serviceArn", ""));

	if (!apply_update(cloud, service, input, &deploys, refusal) ||
		!service_is_possible(cloud, service, refusal)) {
		json_free(&service);
		return false;
	}
	if (deploys ? !deploy(cloud, service, refusal)
		    : !ecs_put(cloud, "ecs.service", arn, service, refusal))
		return false;
	ecs_wake(cloud->ecs);
	*out_output = service_output(cloud, arn, false);
	return true;
}

enum { DESCRIBE_AT_ONCE = 10 };

bool ecs_describe_services(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *names = json_get(input, "services");
	const struct json *cluster = cluster_of(cloud, input, refusal);

	if (!cluster)
		return false;
	if (!json_count(names))
		return refuse(refusal, 400, invalid, "Services cannot be empty.");
	if (json_count(names) > DESCRIBE_AT_ONCE)
		return refuse(refusal, 400, invalid, "Services cannot have more than %d elements.",
			DESCRIBE_AT_ONCE);
	struct json *services = json_array_new(), *failures = json_array_new();

	for (size_t i = 0; i < json_count(names); i++) {
		scoped(text_free) char *arn = service_arn_of(cloud,
			json_get_text(cluster, "clusterArn", ""), json_text(json_at(names, i), ""));
		const struct json *service = store_get(cloud->store, "ecs.service", arn);

		if (service)
			json_append(services,
				service_answer(cloud->ecs, service, ecs_includes(input, "TAGS")));
		else
			json_append(failures, ecs_failure(arn, "MISSING"));
	}
	*out_output = json_object_of("services", services, "failures", failures, NULL);
	return true;
}

struct listing {
	const char *cluster, *launch_type;
	struct json *arns;
};

static bool list_service(void *context, const char *id, const struct json *service)
{
	struct listing *listing = context;

	if (text_equal(json_get_text(service, "clusterArn", ""), listing->cluster) &&
		!text_equal(json_get_text(service, "status", ""), "INACTIVE") &&
		(!listing->launch_type ||
			text_equal(json_get_text(service, "launchType", ""), listing->launch_type)))
		json_append(listing->arns, json_text_new(id));
	return true;
}

bool ecs_list_services(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *cluster = cluster_of(cloud, input, refusal);
	int64_t limit;
	size_t from;

	if (!cluster || !input_int(input, "maxResults", 1, 100, 10, invalid, &limit, refusal) ||
		!input_page(input, "nextToken", invalid, &from, refusal))
		return false;
	struct listing listing = {.cluster = json_get_text(cluster, "clusterArn", ""),
		.launch_type = json_get_text(input, "launchType", NULL),
		.arns = json_array_new()};

	store_each(cloud->store, "ecs.service", list_service, &listing);
	*out_output = json_object_new();
	output_page(*out_output, "serviceArns", listing.arns, from, (size_t)limit, "nextToken");
	return true;
}

/* What is under way ends with the service. */
static bool end_deployment(struct cloud *cloud, struct json *service, struct refusal *refusal)
{
	const char *arn = json_get_text(service, "_deployment", NULL);
	const struct json *deployment = arn ? store_get(cloud->store, "ecs.deployment", arn) : NULL;

	if (!deployment)
		return true;
	struct json *ended = json_copy(deployment);
	scoped(text_free) char *id = memory_copy_text(arn);

	json_set_text(ended, "status", "STOPPED");
	json_set_text(ended, "statusReason", "The service was deleted.");
	json_set(ended, "stoppedAt", ecs_now(cloud));
	json_set(ended, "finishedAt", ecs_now(cloud));
	json_remove(service, "_deployment");
	return ecs_put(cloud, "ecs.deployment", id, ended, refusal);
}

bool ecs_delete_service(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *existing = service_of(cloud, input, false, refusal);

	if (!existing)
		return false;
	const char *status = json_get_text(existing, "status", "");

	if (text_equal(status, "INACTIVE"))
		return refuse(refusal, 400, "ServiceNotActiveException", "Service was not ACTIVE.");
	if (text_equal(status, "ACTIVE") && json_get_int(existing, "desiredCount", 0) > 0 &&
		!json_get_bool(input, "force", false))
		return refuse(refusal, 400, invalid,
			"The service cannot be stopped while it is scaled above 0.");
	struct json *service = json_copy(existing);
	scoped(text_free) char *arn = memory_copy_text(json_get_text(service, "serviceArn", ""));

	json_set_text(service, "status", "DRAINING");
	json_set_int(service, "desiredCount", 0);
	if (!end_deployment(cloud, service, refusal)) {
		json_free(&service);
		return false;
	}
	if (!ecs_put(cloud, "ecs.service", arn, service, refusal))
		return false;
	ecs_wake(cloud->ecs);
	*out_output = service_output(cloud, arn, false);
	return true;
}
