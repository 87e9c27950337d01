#include "deployers/local/ecs_internal.h"

static const char invalid[] = "InvalidParameterException";

static bool has_port(const struct json *container, int64_t port)
{
	const struct json *ports = json_get(container, "portMappings");

	for (size_t i = 0; i < json_count(ports); i++)
		if (json_get_int(json_at(ports, i), "containerPort", -1) == port)
			return true;
	return false;
}

static bool check_balancer(const struct json *definition, const struct json *balancer,
	bool shifting, struct refusal *refusal)
{
	const struct json *containers = json_get(definition, "containerDefinitions");
	const struct json *advanced = json_get(balancer, "advancedConfiguration");
	const char *name = json_get_text(balancer, "containerName", "");
	int64_t port = json_get_int(balancer, "containerPort", 0);

	if (!json_get_text(balancer, "targetGroupArn", NULL))
		return refuse(refusal, 400, invalid,
			"loadBalancers: the local cloud needs a targetGroupArn.");
	if (shifting && (!json_get_text(advanced, "alternateTargetGroupArn", NULL) ||
				!json_get_text(advanced, "productionListenerRule", NULL)))
		return refuse(refusal, 400, invalid,
			"loadBalancers.advancedConfiguration with alternateTargetGroupArn and "
			"productionListenerRule is required for this deployment strategy.");
	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *container = json_at(containers, i);

		if (!text_equal(json_get_text(container, "name", NULL), name))
			continue;
		return has_port(container, port) ||
		       refuse(refusal, 400, invalid,
			       "The container %s did not have a container port %lld defined.", name,
			       (long long)port);
	}
	return refuse(refusal, 400, invalid,
		"The container %s does not exist in the task definition.", name);
}

/* How traffic moves, with the limits that AWS has; absent is fine. */
static bool check_shares(const struct json *configuration, struct refusal *refusal)
{
	static const struct {
		const char *object, *member;
		double least, most;
	} rows[] = {
		{"canaryConfiguration", "canaryPercent", 0.1, 100},
		{"canaryConfiguration", "canaryBakeTimeInMinutes", 0, 1440},
		{"linearConfiguration", "stepPercent", 3, 100},
		{"linearConfiguration", "stepBakeTimeInMinutes", 0, 1440},
		{NULL, "bakeTimeInMinutes", 0, 1440},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		const struct json *object =
			rows[i].object ? json_get(configuration, rows[i].object) : configuration;
		const struct json *value = json_get(object, rows[i].member);
		double number = json_real(value, rows[i].least);

		if (value && (number < rows[i].least || number > rows[i].most))
			return refuse(refusal, 400, invalid, "%s must be between %g and %g, is %g.",
				rows[i].member, rows[i].least, rows[i].most, number);
	}
	return true;
}

static bool check_configuration(const struct json *configuration, struct refusal *refusal)
{
	const char *name = json_get_text(configuration, "strategy", NULL);
	int64_t least = json_get_int(configuration, "minimumHealthyPercent", 100);
	int64_t most = json_get_int(configuration, "maximumPercent", 200);

	if (!strategy_find(name))
		return refuse(refusal, 400, invalid, "Deployment strategy %s is not known.", name);
	if (json_count(json_get(configuration, "lifecycleHooks")))
		return refuse(refusal, 400, invalid,
			"The local cloud runs no lifecycle hooks yet.");
	if (json_get_bool(json_get(configuration, "alarms"), "enable", false))
		return refuse(refusal, 400, invalid, "The local cloud has no alarms yet.");
	if (!check_shares(configuration, refusal))
		return false;
	if (least < 0 || least > 100)
		return refuse(refusal, 400, invalid,
			"minimumHealthyPercent must be between 0 and 100, is %lld.",
			(long long)least);
	if (most < 100 || most > 1000)
		return refuse(refusal, 400, invalid,
			"maximumPercent must be between 100 and 1000, is %lld.", (long long)most);
	return true;
}

bool service_is_possible(struct cloud *cloud, const struct json *service, struct refusal *refusal)
{
	const struct json *configuration = json_get(service, "deploymentConfiguration");
	const struct json *definition = store_get(cloud->store, "ecs.task_definition",
		json_get_text(service, "taskDefinition", ""));
	const struct json *balancers = json_get(service, "loadBalancers");
	const char *controller =
		json_get_text(json_get(service, "deploymentController"), "type", "ECS");
	int64_t desired = json_get_int(service, "desiredCount", 0);

	if (!text_equal(controller, "ECS"))
		return refuse(refusal, 400, invalid,
			"The local cloud has no deployment controller %s.", controller);
	if (!text_equal(json_get_text(service, "schedulingStrategy", ""), "REPLICA"))
		return refuse(refusal, 400, invalid,
			"The local cloud has no scheduling strategy but REPLICA.");
	if (desired < 0 || desired > 200)
		return refuse(refusal, 400, invalid,
			"desiredCount must be between 0 and 200 on the local cloud, is %lld.",
			(long long)desired);
	if (!check_configuration(configuration, refusal))
		return false;
	if (text_equal(json_get_text(definition, "networkMode", ""), "awsvpc") &&
		!json_get(service, "networkConfiguration"))
		return refuse(refusal, 400, invalid,
			"Network Configuration must be provided when networkMode 'awsvpc' is "
			"specified.");
	for (size_t i = 0; i < json_count(balancers); i++)
		if (!check_balancer(definition, json_at(balancers, i),
			    strategy_find(json_get_text(configuration, "strategy", NULL))
				    ->shifts_traffic,
			    refusal))
			return false;
	return true;
}
