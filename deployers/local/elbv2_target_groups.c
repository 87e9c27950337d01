#include "deployers/local/balancer.h"
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/haproxy_config.h"
#include "deployers/local/input.h"
#include "deployers/local/target_probe.h"

#include "base/digest.h"
#include "base/memory.h"

enum { PATH_MAX_SIZE = 1024 };

static const struct elbv2_attribute attributes[] = {
	{"deregistration_delay.timeout_seconds", "300", false},
	{"load_balancing.algorithm.type", "round_robin", false},
	{"slow_start.duration_seconds", "0", true},
	{"stickiness.enabled", "false", true},
	{"stickiness.type", "lb_cookie", true},
	{"stickiness.lb_cookie.duration_seconds", "86400", false},
	{NULL},
};

static bool path_valid(const char *path)
{
	bool ok = path[0] == '/' && strlen(path) <= PATH_MAX_SIZE;

	for (; ok && *path; path++)
		ok = *path > ' ' && *path < 0x7f;
	return ok;
}

static bool check_number(struct json *document, const struct json *input, const char *name,
	int64_t least, int64_t most, int64_t fallback, struct refusal *refusal)
{
	int64_t value;

	if (!input_int(input, name, least, most, json_get_int(document, name, fallback),
		    ELBV2_INVALID, &value, refusal))
		return false;
	json_set_int(document, name, value);
	return true;
}

/* Reads what CreateTargetGroup and ModifyTargetGroup have in common into document. */
static bool read_health_check(struct json *document, const struct json *input,
	struct refusal *refusal)
{
	const char *path = json_get_text(input, "HealthCheckPath",
			   json_get_text(document, "HealthCheckPath", "/")),
		   *port = json_get_text(input, "HealthCheckPort",
			   json_get_text(document, "HealthCheckPort", "traffic-port")),
		   *protocol = json_get_text(input, "HealthCheckProtocol", "HTTP"),
		   *matcher = json_get_text(json_get(input, "Matcher"), "HttpCode",
			   json_get_text(json_get(document, "Matcher"), "HttpCode", "200"));
	int64_t number;

	if (!text_equal(protocol, "HTTP"))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"The local cloud checks targets by HTTP");
	if (!input_bool(input, "HealthCheckEnabled", true))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"Health checks must be enabled for target groups with target type 'ip'");
	if (!path_valid(path))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Health check path '%s' must begin with '/' and be printable", path);
	if (!text_equal(port, "traffic-port") &&
		(!str_to_int(str_of(port), &number) || number < 1 || number > 65535))
		return refuse(refusal, 400, ELBV2_INVALID, "Health check port '%s' is none", port);
	if (!matcher_valid(matcher))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Health check matcher HTTP code '%s' must be within '200-499'", matcher);
	json_set_text(document, "HealthCheckProtocol", protocol);
	json_set_bool(document, "HealthCheckEnabled", true);
	json_set(document, "HealthCheckPort", json_text_new(port));
	json_set(document, "HealthCheckPath", json_text_new(path));
	json_set(document, "Matcher", json_object_of("HttpCode", json_text_new(matcher), NULL));
	if (!check_number(document, input, "HealthCheckIntervalSeconds", 5, 300, 30, refusal) ||
		!check_number(document, input, "HealthCheckTimeoutSeconds", 2, 120, 5, refusal) ||
		!check_number(document, input, "HealthyThresholdCount", 2, 10, 5, refusal) ||
		!check_number(document, input, "UnhealthyThresholdCount", 2, 10, 2, refusal))
		return false;
	if (json_get_int(document, "HealthCheckTimeoutSeconds", 0) >
		json_get_int(document, "HealthCheckIntervalSeconds", 0))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Health check timeout must be smaller than or equal to the interval");
	return true;
}

struct group_search {
	const char *name, *arn;
};

static bool match_name(void *context, const char *arn, const struct json *value)
{
	struct group_search *search = context;

	if (text_equal(json_get_text(value, "TargetGroupName", ""), search->name))
		search->arn = arn;
	return !search->arn;
}

/* Load balancers whose rules forward to the group. */
struct users {
	struct cloud *cloud;
	const char *group_arn;
	struct json *balancers;
};

static bool add_user(void *context, const char *id, const struct json *rule)
{
	struct users *users = context;
	const struct json *groups = rule_target_groups(rule);
	const char *balancer = json_get_text(store_get(users->cloud->store, "elbv2.listener",
						     json_get_text(rule, "_listener", "")),
		"LoadBalancerArn", NULL);

	(void)id;
	for (size_t i = 0; balancer && i < json_count(groups); i++)
		if (text_equal(json_get_text(json_at(groups, i), "TargetGroupArn", ""),
			    users->group_arn) &&
			!elbv2_listed(users->balancers, balancer))
			json_append(users->balancers, json_text_new(balancer));
	return true;
}

static struct json *balancers_of(struct cloud *cloud, const char *group_arn)
{
	struct users users = {cloud, group_arn, json_array_new()};

	store_each(cloud->store, "elbv2.rule", add_user, &users);
	return users.balancers;
}

static struct json *answer_with(struct cloud *cloud, const struct json *group)
{
	struct json *list = json_array_new(), *shown = store_public(group);

	json_set(shown, "LoadBalancerArns",
		balancers_of(cloud, json_get_text(group, "TargetGroupArn", "")));
	json_append(list, shown);
	return json_object_of("TargetGroups", list, NULL);
}

static bool check_new_group(struct cloud *cloud, const struct json *input, const char *name,
	struct refusal *refusal)
{
	struct group_search search = {name, NULL};

	if (!elbv2_name_valid(name))
		return refuse(refusal, 400, ELBV2_INVALID,
			"Target group name '%s' must be 1 to 32 letters, digits and hyphens", name);
	if (!text_equal(json_get_text(input, "TargetType", "ip"), "ip"))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"The local cloud has target groups of target type 'ip'");
	if (!text_equal(json_get_text(input, "Protocol", "HTTP"), "HTTP"))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"The local cloud speaks HTTP to targets");
	store_each(cloud->store, "elbv2.target_group", match_name, &search);
	if (search.arn)
		return refuse(refusal, 400, "DuplicateTargetGroupName",
			"A target group with the same name '%s' exists", name);
	return true;
}

ELBV2_OPERATION(elbv2_create_target_group)
{
	const char *name = input_text(input, "Name", ELBV2_INVALID, refusal);
	scoped(store_rollback) struct store *open = cloud->store;
	scoped(json_free) struct json *group = NULL;
	scoped(text_free) char *arn = NULL;
	char id[ELBV2_ID_SIZE];
	struct error err = {0};
	int64_t port;

	if (!name || !check_new_group(cloud, input, name, refusal) ||
		!input_int(input, "Port", 1, 65535, 80, ELBV2_INVALID, &port, refusal))
		return false;
	random_hex(id, sizeof(id) - 1);
	arn = cloud_arn(cloud, "elasticloadbalancing", "targetgroup/%s/%s", name, id);
	group = json_object_of("TargetGroupArn", json_text_new(arn), "TargetGroupName",
		json_text_new(name), "Protocol", json_text_new("HTTP"), "Port", json_int_new(port),
		"VpcId", json_text_new(json_get_text(input, "VpcId", "vpc-local")), "TargetType",
		json_text_new("ip"), "ProtocolVersion", json_text_new("HTTP1"), "IpAddressType",
		json_text_new("ipv4"), NULL);
	if (!read_health_check(group, input, refusal))
		return false;
	if (!store_begin(open, &err) ||
		!store_put(open, "elbv2.target_group", arn, json_keep(group), &err) ||
		!elbv2_put_tags(cloud, arn, json_get(input, "Tags"), &err) ||
		!store_commit(open, &err))
		return refuse_error(refusal, &err);
	*out_output = answer_with(cloud, group);
	return true;
}

static bool wanted(void *context, const char *arn, const struct json *value)
{
	const struct json *input = context;

	return elbv2_listed(json_get(input, "TargetGroupArns"), arn) &&
	       elbv2_listed(json_get(input, "Names"), json_get_text(value, "TargetGroupName", ""));
}

ELBV2_OPERATION(elbv2_describe_target_groups)
{
	const char *balancer = json_get_text(input, "LoadBalancerArn", NULL);
	scoped(json_free) struct json *filter = json_copy(input);
	scoped(json_free) struct json *all = elbv2_collect(cloud, "target_group", wanted, filter);
	size_t asked = json_count(json_get(input, "TargetGroupArns")) +
		       json_count(json_get(input, "Names"));
	struct json *shown;

	if (json_count(all) < asked)
		return refuse(refusal, 400, "TargetGroupNotFound",
			"One or more target groups not found");
	shown = json_array_new();
	for (size_t i = 0; i < json_count(all); i++) {
		struct json *group = json_at(all, i);

		json_set(group, "LoadBalancerArns",
			balancers_of(cloud, json_get_text(group, "TargetGroupArn", "")));
		if (!balancer || elbv2_listed(json_get(group, "LoadBalancerArns"), balancer))
			json_append(shown, json_keep(group));
	}
	return elbv2_page(input, "TargetGroups", shown, out_output, refusal);
}

static const struct json *group_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	return elbv2_find(cloud, input, "TargetGroupArn", "target_group", "TargetGroupNotFound",
		refusal);
}

ELBV2_OPERATION(elbv2_modify_target_group)
{
	const struct json *old = group_of(cloud, input, refusal);
	scoped(json_free) struct json *group = json_copy(old);
	scoped(store_rollback) struct store *open = cloud->store;
	struct error err = {0};

	if (!old || !read_health_check(group, input, refusal))
		return false;
	if (!store_begin(open, &err) ||
		!store_put(open, "elbv2.target_group", json_get_text(group, "TargetGroupArn", ""),
			json_keep(group), &err))
		return refuse_error(refusal, &err);
	*out_output = answer_with(cloud, group);
	return elbv2_commit(cloud, refusal);
}

struct target_list {
	struct json *targets;
};

static void add_target(void *context, const char *ip, int port)
{
	struct target_list *list = context;

	json_append(list->targets,
		json_object_of("Id", json_text_new(ip), "Port", json_int_new(port), NULL));
}

/* Unknown is fine, as on AWS. */
ELBV2_OPERATION(elbv2_delete_target_group)
{
	const char *given = input_text(input, "TargetGroupArn", ELBV2_INVALID, refusal);
	scoped(text_free) char *arn = memory_copy_text(given);
	scoped(json_free) struct json *targets = json_array_new();
	struct target_list list = {targets};
	struct error err = {0};

	(void)out_output;
	if (!arn)
		return false;
	if (balancer_group_used(cloud->balancer, arn))
		return refuse(refusal, 400, "ResourceInUse",
			"Target group '%s' is currently in use by a listener or a rule", arn);
	balancer_each_target(cloud->balancer, arn, add_target, &list);
	for (size_t i = 0; i < json_count(targets); i++)
		if (!balancer_drop(cloud->balancer, arn,
			    json_get_text(json_at(targets, i), "Id", ""),
			    (int)json_get_int(json_at(targets, i), "Port", 0), &err))
			return refuse_error(refusal, &err);
	return (store_remove(cloud->store, "elbv2.target_group", arn, &err) &&
		       elbv2_drop_tags(cloud, arn, &err)) ||
	       refuse_error(refusal, &err);
}

ELBV2_OPERATION(elbv2_describe_target_group_attributes)
{
	const struct json *group = group_of(cloud, input, refusal);

	if (!group)
		return false;
	*out_output = json_object_of("Attributes",
		elbv2_shown_attributes(attributes, json_get(group, "_attributes")), NULL);
	return true;
}

static bool attributes_valid(const struct json *merged, struct refusal *refusal)
{
	const char *algorithm =
		json_get_text(merged, "load_balancing.algorithm.type", "round_robin");
	int64_t delay;

	if (!input_int(merged, "deregistration_delay.timeout_seconds", 0, 3600, 300, ELBV2_INVALID,
		    &delay, refusal))
		return false;
	if (!text_equal(algorithm, "round_robin") &&
		!text_equal(algorithm, "least_outstanding_requests"))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"load_balancing.algorithm.type is round_robin or "
			"least_outstanding_requests here");
	return true;
}

ELBV2_OPERATION(elbv2_modify_target_group_attributes)
{
	const struct json *group = group_of(cloud, input, refusal);
	scoped(store_rollback) struct store *open = cloud->store;
	scoped(json_free) struct json *merged =
		group ? elbv2_merged_attributes(attributes, json_get(group, "_attributes"), input,
				refusal)
		      : NULL;
	struct error err = {0};

	if (!merged || !attributes_valid(merged, refusal))
		return false;
	struct json *changed = json_copy(group);

	json_set(changed, "_attributes", json_keep(merged));
	*out_output =
		json_object_of("Attributes", elbv2_shown_attributes(attributes, merged), NULL);
	scoped(text_free) char *arn =
		memory_copy_text(json_get_text(changed, "TargetGroupArn", ""));

	if (!store_begin(open, &err)) {
		json_free(&changed);
		return refuse_error(refusal, &err);
	}
	if (!store_put(open, "elbv2.target_group", arn, changed, &err))
		return refuse_error(refusal, &err);
	return elbv2_commit(cloud, refusal);
}
