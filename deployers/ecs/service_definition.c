#include "deployers/ecs/service_definition.h"

#include "base/memory.h"

/* Members of the shape Service that no request has. */
static const char *const answer_only[] = {"serviceArn", "clusterArn", "status", "runningCount",
	"pendingCount", "deployments", "events", "taskSets", "createdAt", "createdBy", "roleArn",
	"platformFamily", "currentServiceDeployment", "currentServiceRevisions",
	"resourceManagementType"};

/* Members that UpdateService takes, apart from service, cluster and taskDefinition. */
static const char *const updatable[] = {"availabilityZoneRebalancing", "capacityProviderStrategy",
	"deploymentConfiguration", "enableECSManagedTags", "enableExecuteCommand",
	"healthCheckGracePeriodSeconds", "loadBalancers", "networkConfiguration",
	"placementConstraints", "placementStrategy", "platformVersion", "propagateTags",
	"serviceConnectConfiguration", "serviceRegistries", "volumeConfigurations",
	"vpcLatticeConfigurations"};

struct json *service_of_file(const struct json *file)
{
	struct json *service = json_copy(file);

	for (size_t i = 0; i < countof(answer_only); i++)
		json_remove(service, answer_only[i]);
	return service;
}

struct json *service_create_input(const struct json *wanted, const char *cluster, const char *name,
	const char *task_definition, const char *client_token)
{
	struct json *input = json_copy(wanted);

	json_set_text(input, "cluster", cluster);
	json_set_text(input, "serviceName", name);
	json_set_text(input, "taskDefinition", task_definition);
	if (!json_get(input, "desiredCount") &&
		!text_equal(json_get_text(input, "schedulingStrategy", ""), "DAEMON"))
		json_set_int(input, "desiredCount", 1);
	if (client_token)
		json_set_text(input, "clientToken", client_token);
	return input;
}

/* Empty lists and objects and what stands for "nothing" count as absent when comparing. */
static bool is_nothing(const char *key, const struct json *value)
{
	enum json_kind kind = json_kind(value);

	if (kind == JSON_NULL)
		return true;
	if (kind == JSON_ARRAY || kind == JSON_OBJECT)
		return json_count(value) == 0;
	if (text_equal(key, "assignPublicIp"))
		return text_equal(json_text(value, ""), "DISABLED");
	if (text_equal(key, "propagateTags"))
		return text_equal(json_text(value, ""), "NONE");
	return kind == JSON_BOOL && !json_bool(value, true);
}

/* Is everything in wanted so in running, too? What only running has does not matter. */
static bool is_contained(const struct json *wanted, const struct json *running)
{
	if (json_is_array(wanted)) {
		if (json_count(wanted) != json_count(running))
			return false;
		for (size_t i = 0; i < json_count(wanted); i++)
			if (!is_contained(json_at(wanted, i), json_at(running, i)))
				return false;
		return true;
	}
	if (!json_is_object(wanted)) {
		bool numbers = json_kind(wanted) == JSON_REAL || json_kind(running) == JSON_REAL;

		return numbers ? json_int(wanted, -1) == json_int(running, -2)
			       : json_equal(wanted, running);
	}
	for (json_each(member, wanted)) {
		const struct json *other = json_get(running, member.key);

		if (is_nothing(member.key, member.value) && is_nothing(member.key, other))
			continue;
		if (!is_contained(member.value, other))
			return false;
	}
	return true;
}

static struct json *merged(const struct json *over, const struct json *under)
{
	if (!json_is_object(over) || !json_is_object(under))
		return json_copy(over);
	struct json *result = json_copy(under);

	for (json_each(member, over))
		json_set(result, member.key, merged(member.value, json_get(under, member.key)));
	return result;
}

struct json *service_update_input(const struct json *wanted, const struct json *running,
	const char *cluster, const char *name, const char *task_definition)
{
	struct json *input = json_object_of("cluster", json_text_new(cluster), "service",
		json_text_new(name), NULL);
	size_t fixed = json_count(input);

	if (!text_equal(json_get_text(running, "taskDefinition", NULL), task_definition))
		json_set_text(input, "taskDefinition", task_definition);
	for (size_t i = 0; i < countof(updatable); i++) {
		const char *key = updatable[i];
		const struct json *value = json_get(wanted, key), *now = json_get(running, key);

		if (!value || (is_nothing(key, value) && is_nothing(key, now)) ||
			is_contained(value, now))
			continue;
		json_set(input, key, merged(value, now));
	}
	if (json_count(input) == fixed)
		json_free(&input);
	return input;
}
