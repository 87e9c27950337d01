#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"

enum { LOCAL_PORT = 8080, REMOTE_PORT = 80 };

/* Of the wanted service or, when the file leaves it out, of the one that runs. */
static const char *target_group_of(const struct deployment *deployment)
{
	const struct json *services[] = {deployment->service, deployment->running};

	if (deployment->provisioned.target_group)
		return deployment->provisioned.target_group;
	for (size_t i = 0; i < countof(services); i++) {
		const struct json *first = json_at(json_get(services[i], "loadBalancers"), 0);
		const char *arn = json_get_text(first, "targetGroupArn", NULL);

		if (arn)
			return arn;
	}
	return NULL;
}

static bool find_load_balancer(const struct deploy_place *place, const char *group, char **out_arn,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	if (!call_taking(place, "elbv2", "DescribeTargetGroups",
		    json_object_of("TargetGroupArns", list_of_text(group), NULL), &output, err))
		return false;
	const struct json *first = json_at(json_get(output, "TargetGroups"), 0);

	*out_arn =
		memory_copy_text(json_text(json_at(json_get(first, "LoadBalancerArns"), 0), NULL));
	return *out_arn || error_raise(err, ERROR_USAGE,
				   "no load balancer forwards to the target group %s", group);
}

static bool find_host(const struct deploy_place *place, const char *balancer, char **out_host,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	if (!call_taking(place, "elbv2", "DescribeLoadBalancers",
		    json_object_of("LoadBalancerArns", list_of_text(balancer), NULL), &output, err))
		return false;
	*out_host = memory_copy_text(
		json_get_text(json_at(json_get(output, "LoadBalancers"), 0), "DNSName", NULL));
	return *out_host ||
	       error_raise(err, ERROR_PROTOCOL, "the load balancer %s has no name", balancer);
}

/* The listener on the route's port; when the route names none, the only one will do as well. */
static const struct json *choose_listener(const struct json *listeners,
	const struct deploy_request *request)
{
	int64_t port = request->route.port  ? request->route.port
		       : request->provision ? LOCAL_PORT
					    : REMOTE_PORT;

	for (size_t i = 0; i < json_count(listeners); i++)
		if (json_get_int(json_at(listeners, i), "Port", 0) == port)
			return json_at(listeners, i);
	return !request->route.port && json_count(listeners) == 1 ? json_at(listeners, 0) : NULL;
}

static bool find_url(struct deployment *deployment, const char *group, char **out_url,
	struct error *err)
{
	const struct deploy_place *place = deployment->place;
	scoped(text_free) char *balancer = NULL, *host = NULL;
	scoped(json_free) struct json *output = NULL;

	if (!find_load_balancer(place, group, &balancer, err) ||
		!find_host(place, balancer, &host, err) ||
		!call_taking(place, "elbv2", "DescribeListeners",
			json_object_of("LoadBalancerArn", json_text_new(balancer), NULL), &output,
			err))
		return false;
	const struct json *listener =
		choose_listener(json_get(output, "Listeners"), deployment->request);

	if (!listener)
		return error_raise(err, ERROR_USAGE,
			"the load balancer %s has no listener on the route's port", host);
	*out_url = memory_format("%s://%s:%lld",
		text_equal(json_get_text(listener, "Protocol", "HTTP"), "HTTPS") ? "https" : "http",
		host, (long long)json_get_int(listener, "Port", 0));
	return true;
}

bool deployment_find_balancer(struct deployment *deployment, char **out_url, struct error *err)
{
	const char *group = target_group_of(deployment);

	if (group && find_url(deployment, group, out_url, err))
		return true;
	if (!group)
		error_raise(err, ERROR_USAGE, "%s: \"loadBalancers\" names no target group",
			deployment->request->service_file);
	error_while(err, "looking for the load balancer that the checks are asked of");
	return error_next(err, "give \"http\" of the check as a whole URL: https://…");
}
