#include "deployers/ecs/provision.h"

#include "base/digest.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	NAME_LIMIT = 32, /* of load balancers and target groups */
	DEFAULT_PORT = 8080,
	PRIORITY_STEP = 10,
	PRIORITY_LIMIT = 50000,
	DRAIN_S = 5, /* AWS's default of 300 s would make every local deployment as long */
};

void provisioned_free(struct provisioned *provisioned)
{
	free(provisioned->target_group);
	free(provisioned->alternate);
	free(provisioned->rule);
	*provisioned = (struct provisioned){0};
}

/* A name that is too long keeps its beginning and gets a digest of the whole. */
char *target_group_name(const char *app, const char *service, const char *suffix)
{
	char *name = memory_format("%s-%s%s", app, service, suffix);
	struct digest digest = digest_of_str(str_of(name));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	for (char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at))
			*at = '-';
	if (strlen(name) > NAME_LIMIT)
		memcpy(name + NAME_LIMIT - 9,
			(char[]){'-', hex[0], hex[1], hex[2], hex[3], hex[4], hex[5], hex[6],
				hex[7], '\0'},
			10);
	return name;
}

/* Calls, and treats NOT_FOUND as "there is none": *out_output stays NULL. */
static bool look(const struct deploy_place *place, const char *operation, struct json *input,
	struct json **out_output, struct error *err)
{
	scoped(json_free) struct json *taken = input;
	struct error why = {0};

	*out_output = NULL;
	if (aws_call(place->aws, "elbv2", operation, taken, out_output, NULL, &why))
		return true;
	if (why.kind == ERROR_NOT_FOUND) {
		error_ignore(&why, "the caller creates it");
		return true;
	}
	error_move(err, &why);
	return false;
}

static char *copy_member(const struct json *output, const char *list, const char *member)
{
	return memory_copy_text(json_get_text(json_at(json_get(output, list), 0), member, NULL));
}

static bool find_group(const struct deploy_place *place, const char *name, char **out_arn,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	if (!look(place, "DescribeTargetGroups", json_object_of("Names", list_of_text(name), NULL),
		    &output, err))
		return false;
	*out_arn = copy_member(output, "TargetGroups", "TargetGroupArn");
	return true;
}

bool target_group_find(const struct deploy_place *place, const char *service, char **out_arn,
	struct error *err)
{
	scoped(text_free) char *name = target_group_name(place->app, service, "");

	return find_group(place, name, out_arn, err);
}

static bool set_drain(const struct deploy_place *place, const char *arn, struct error *err)
{
	struct json *attributes = json_array_new();

	json_append(attributes,
		json_object_of("Key", json_text_new("deregistration_delay.timeout_seconds"),
			"Value", json_text_format("%d", DRAIN_S), NULL));
	return call_taking(place, "elbv2", "ModifyTargetGroupAttributes",
		json_object_of("TargetGroupArn", json_text_new(arn), "Attributes", attributes,
			NULL),
		NULL, err);
}

static bool need_group(const struct deploy_request *request, const char *suffix, char **out_arn,
	struct error *err)
{
	const struct deploy_place *place = &request->place;
	const char *health = request->route.health ? request->route.health : "/";
	scoped(text_free) char *name = target_group_name(place->app, place->service, suffix);
	scoped(json_free) struct json *output = NULL;

	if (!find_group(place, name, out_arn, err))
		return false;
	if (*out_arn)
		return true;
	if (!call_taking(place, "elbv2", "CreateTargetGroup",
		    json_object_of("Name", json_text_new(name), "Protocol", json_text_new("HTTP"),
			    "Port", json_int_new(80), "VpcId", json_text_new("vpc-local"),
			    "TargetType", json_text_new("ip"), "HealthCheckPath",
			    json_text_new(health), "HealthCheckIntervalSeconds", json_int_new(5),
			    "HealthyThresholdCount", json_int_new(2), NULL),
		    &output, err))
		return false;
	*out_arn = copy_member(output, "TargetGroups", "TargetGroupArn");
	if (!*out_arn)
		return error_raise(err, ERROR_PROTOCOL, "CreateTargetGroup gave no ARN");
	provision_note("target group", name);
	return set_drain(place, *out_arn, err);
}

static bool need_load_balancer(const struct deploy_place *place, char **out_arn, struct error *err)
{
	scoped(text_free) char *name = target_group_name(place->app, "lb", "");
	scoped(json_free) struct json *there = NULL, *made = NULL;

	if (!look(place, "DescribeLoadBalancers", json_object_of("Names", list_of_text(name), NULL),
		    &there, err))
		return false;
	*out_arn = copy_member(there, "LoadBalancers", "LoadBalancerArn");
	if (*out_arn)
		return true;
	if (!call_taking(place, "elbv2", "CreateLoadBalancer",
		    json_object_of("Name", json_text_new(name), "Type",
			    json_text_new("application"), "Subnets", list_of_text("subnet-local"),
			    NULL),
		    &made, err))
		return false;
	*out_arn = copy_member(made, "LoadBalancers", "LoadBalancerArn");
	provision_note("load balancer", name);
	return *out_arn || error_raise(err, ERROR_PROTOCOL, "CreateLoadBalancer gave no ARN");
}

/* The private address where there is one (the local cloud's names mean something else inside a
 * container), else the DNS name. */
static const char *host_inside(const struct json *balancer)
{
	const struct json *zone = json_at(json_get(balancer, "AvailabilityZones"), 0);
	const struct json *address = json_at(json_get(zone, "LoadBalancerAddresses"), 0);

	return json_get_text(address, "PrivateIPv4Address",
		json_get_text(balancer, "DNSName", NULL));
}

bool balancer_url_find(const struct deploy_place *place, int64_t port, char **out_url,
	struct error *err)
{
	scoped(text_free) char *name = target_group_name(place->app, "lb", "");
	scoped(json_free) struct json *output = NULL;
	const char *host;

	if (!look(place, "DescribeLoadBalancers", json_object_of("Names", list_of_text(name), NULL),
		    &output, err))
		return false;
	host = host_inside(json_at(json_get(output, "LoadBalancers"), 0));
	*out_url = host ? memory_format("http://%s:%lld", host,
				  (long long)(port ? port : DEFAULT_PORT))
			: NULL;
	return true;
}

static bool find_listener(const struct deploy_place *place, const char *balancer, int64_t port,
	char **out_arn, struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	*out_arn = NULL;
	if (!look(place, "DescribeListeners",
		    json_object_of("LoadBalancerArn", json_text_new(balancer), NULL), &output, err))
		return false;
	const struct json *listeners = json_get(output, "Listeners");

	for (size_t i = 0; i < json_count(listeners) && !*out_arn; i++)
		if (json_get_int(json_at(listeners, i), "Port", 0) == port)
			*out_arn = memory_copy_text(
				json_get_text(json_at(listeners, i), "ListenerArn", NULL));
	return true;
}

static bool create_listener(const struct deploy_place *place, const char *balancer, int64_t port,
	struct error *err)
{
	struct json *actions = json_array_new();
	struct error why = {0};
	scoped(text_free) char *name = memory_format("%lld", (long long)port);

	json_append(actions,
		json_object_of("Type", json_text_new("fixed-response"), "FixedResponseConfig",
			json_object_of("StatusCode", json_text_new("404"), "ContentType",
				json_text_new("text/plain"), "MessageBody",
				json_text_new("no service has this path"), NULL),
			NULL));
	if (call_taking(place, "elbv2", "CreateListener",
		    json_object_of("LoadBalancerArn", json_text_new(balancer), "Protocol",
			    json_text_new("HTTP"), "Port", json_int_new(port), "DefaultActions",
			    actions, NULL),
		    NULL, &why)) {
		provision_note("listener", name);
		return true;
	}
	if (why.kind == ERROR_CONFLICT) {
		error_ignore(&why, "another deployment was faster");
		return true;
	}
	/* The local cloud's word for a port that another program of this machine has. */
	if (why.kind == ERROR_INVALID) {
		why.kind = ERROR_CONFLICT;
		error_next(&why,
			"end the program that has the port (ss -ltnp), or choose another one: "
			"deploy: {route: {port: %lld}}",
			(long long)port + 1);
	}
	error_move(err, &why);
	return false;
}

static bool need_listener(const struct deploy_request *request, char **out_arn, struct error *err)
{
	const struct deploy_place *place = &request->place;
	int64_t port = request->route.port ? request->route.port : DEFAULT_PORT;
	scoped(text_free) char *balancer = NULL;

	if (!need_load_balancer(place, &balancer, err) ||
		!find_listener(place, balancer, port, out_arn, err))
		return false;
	if (*out_arn)
		return true;
	if (!create_listener(place, balancer, port, err) ||
		!find_listener(place, balancer, port, out_arn, err))
		return false;
	return *out_arn || error_raise(err, ERROR_PROTOCOL, "the new listener is not listed");
}

static struct json *condition(const char *field, const char *config, const char *value)
{
	return json_object_of("Field", json_text_new(field), config,
		json_object_of("Values", list_of_text(value), NULL), NULL);
}

static struct json *conditions(const struct deploy_route *route)
{
	struct json *list = json_array_new();

	if (route->host)
		json_append(list, condition("host-header", "HostHeaderConfig", route->host));
	if (route->path || !route->host)
		json_append(list, condition("path-pattern", "PathPatternConfig",
					  route->path ? route->path : "/*"));
	return list;
}

static struct json *weighted(const char *arn, int weight)
{
	return json_object_of("TargetGroupArn", json_text_new(arn), "Weight", json_int_new(weight),
		NULL);
}

static struct json *forward(const struct provisioned *groups)
{
	struct json *actions = json_array_new(), *list = json_array_new();

	json_append(list, weighted(groups->target_group, 100));
	json_append(list, weighted(groups->alternate, 0));
	json_append(actions, json_object_of("Type", json_text_new("forward"), "ForwardConfig",
				     json_object_of("TargetGroups", list, NULL), NULL));
	return actions;
}

static bool forwards_to(const struct json *rule, const char *group)
{
	scoped(buf_free) struct buf text = {0};

	json_write(json_get(rule, "Actions"), &text);
	return strstr(buf_text(&text), group) != NULL;
}

/* Does the rule have just these values for each of our conditions? */
static bool same_conditions(const struct json *rule, const struct json *wanted)
{
	const struct json *have = json_get(rule, "Conditions");

	if (json_count(have) != json_count(wanted))
		return false;
	for (size_t i = 0; i < json_count(wanted); i++) {
		const char *field = json_get_text(json_at(wanted, i), "Field", "");
		const char *config =
			text_equal(field, "host-header") ? "HostHeaderConfig" : "PathPatternConfig";
		bool found = false;

		for (size_t j = 0; j < json_count(have); j++)
			found = found ||
				json_equal(json_get(json_get(json_at(have, j), config), "Values"),
					json_get(json_get(json_at(wanted, i), config), "Values"));
		if (!found)
			return false;
	}
	return true;
}

/* The longer a path, the more special it is, the sooner its rule is asked. */
static int64_t first_priority(const struct deploy_route *route)
{
	size_t length = strlen(route->path ? route->path : "") + (route->host ? 100 : 0);

	return PRIORITY_STEP * (200 - (int64_t)(length < 199 ? length : 199));
}

static bool create_rule(const struct deploy_request *request, const char *listener,
	const struct provisioned *groups, char **out_rule, struct error *err)
{
	int64_t priority = first_priority(&request->route);
	struct error why = {0};

	for (; priority < PRIORITY_LIMIT; priority++) {
		scoped(json_free) struct json *output = NULL;
		struct aws_failure failure = {0};
		scoped(json_free) struct json *input = json_object_of("ListenerArn",
			json_text_new(listener), "Conditions", conditions(&request->route),
			"Priority", json_int_new(priority), "Actions", forward(groups), NULL);

		error_free(&why);
		if (aws_call(request->place.aws, "elbv2", "CreateRule", input, &output, &failure,
			    &why)) {
			*out_rule = copy_member(output, "Rules", "RuleArn");
			provision_note("rule for",
				request->route.path ? request->route.path : "/*");
			return *out_rule ||
			       error_raise(err, ERROR_PROTOCOL, "CreateRule gave no ARN");
		}
		if (!text_equal(failure.code, "PriorityInUse"))
			break;
	}
	error_move(err, &why);
	return false;
}

static bool need_rule(const struct deploy_request *request, const char *listener,
	const struct provisioned *groups, char **out_rule, struct error *err)
{
	scoped(json_free) struct json *output = NULL, *wanted = conditions(&request->route);

	if (!look(&request->place, "DescribeRules",
		    json_object_of("ListenerArn", json_text_new(listener), NULL), &output, err))
		return false;
	const struct json *rules = json_get(output, "Rules");

	for (size_t i = 0; i < json_count(rules); i++) {
		const struct json *rule = json_at(rules, i);

		if (!forwards_to(rule, groups->target_group))
			continue;
		*out_rule = memory_copy_text(json_get_text(rule, "RuleArn", NULL));
		return same_conditions(rule, wanted) ||
		       call_taking(&request->place, "elbv2", "ModifyRule",
			       json_object_of("RuleArn", json_text_new(*out_rule), "Conditions",
				       json_copy(wanted), NULL),
			       NULL, err);
	}
	return create_rule(request, listener, groups, out_rule, err);
}

bool provision_route(const struct deploy_request *request, struct provisioned *out,
	struct error *err)
{
	scoped(text_free) char *listener = NULL;

	if (!request->route.given)
		return true;
	if (!need_group(request, "", &out->target_group, err) ||
		!need_group(request, "-alt", &out->alternate, err) ||
		!need_listener(request, &listener, err) ||
		!need_rule(request, listener, out, &out->rule, err))
		return error_while(err, "creating the route to %s in the local cloud",
			request->place.service);
	return true;
}
