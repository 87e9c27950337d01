#include "deployers/local/balancer.h"
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

static const struct json *group_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	return elbv2_find(cloud, input, "TargetGroupArn", "target_group", "TargetGroupNotFound",
		refusal);
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

/* Calls act for each of input's Targets; the group's port where a target names none. */
static bool each_target(struct cloud *cloud, const struct json *input, struct refusal *refusal,
	bool (*act)(struct balancer *balancer, const char *group_arn, const char *ip, int port,
		struct error *err))
{
	const struct json *group = group_of(cloud, input, refusal),
			  *targets = json_get(input, "Targets");
	struct error err = {0};

	if (!group)
		return false;
	for (size_t i = 0; i < json_count(targets); i++) {
		const char *ip = json_get_text(json_at(targets, i), "Id", "");
		int64_t port;
		struct str rest = str_of(ip);
		int parts = 0;

		if (!input_int(json_at(targets, i), "Port", 1, 65535,
			    json_get_int(group, "Port", 80), ELBV2_INVALID, &port, refusal))
			return false;
		while (rest.data) {
			int64_t number;

			parts += str_to_int(str_cut(&rest, '.'), &number) && number >= 0 &&
						 number <= 255
					 ? 1
					 : 10;
		}
		if (parts != 4)
			return refuse(refusal, 400, "InvalidTarget",
				"The IP address '%s' is not a valid IPv4 address", ip);
		if (!act(cloud->balancer, json_get_text(group, "TargetGroupArn", ""), ip, (int)port,
			    &err))
			return refuse_error(refusal, &err);
	}
	return true;
}

ELBV2_OPERATION(elbv2_register_targets)
{
	(void)out_output;
	return each_target(cloud, input, refusal, balancer_register);
}

ELBV2_OPERATION(elbv2_deregister_targets)
{
	(void)out_output;
	return each_target(cloud, input, refusal, balancer_deregister);
}

static struct json *target_health(struct cloud *cloud, const struct json *group, const char *ip,
	int port)
{
	const char *reason = NULL;
	const char *check_port = json_get_text(group, "HealthCheckPort", "traffic-port");
	enum target_state state = balancer_target_health(cloud->balancer,
		json_get_text(group, "TargetGroupArn", ""), ip, port, &reason);

	return json_object_of("Target",
		json_object_of("Id", json_text_new(ip), "Port", json_int_new(port),
			"AvailabilityZone", json_text_new("local"), NULL),
		"HealthCheckPort",
		text_equal(check_port, "traffic-port") ? json_text_format("%d", port)
						       : json_text_new(check_port),
		"TargetHealth",
		json_object_of("State", json_text_new(target_state_name(state)), "Reason",
			reason ? json_text_new(reason) : NULL, NULL),
		NULL);
}

ELBV2_OPERATION(elbv2_describe_target_health)
{
	const struct json *group = group_of(cloud, input, refusal),
			  *asked = json_get(input, "Targets");
	scoped(json_free) struct json *targets = json_array_new();
	struct target_list list = {targets};
	struct json *shown;
	int64_t port;

	if (!group)
		return false;
	if (!json_count(asked))
		balancer_each_target(cloud->balancer, json_get_text(group, "TargetGroupArn", ""),
			add_target, &list);
	else
		for (size_t i = 0; i < json_count(asked); i++) {
			if (!input_int(json_at(asked, i), "Port", 1, 65535,
				    json_get_int(group, "Port", 80), ELBV2_INVALID, &port, refusal))
				return false;
			add_target(&list, json_get_text(json_at(asked, i), "Id", ""), (int)port);
		}
	shown = json_array_new();
	for (size_t i = 0; i < json_count(targets); i++)
		json_append(shown,
			target_health(cloud, group, json_get_text(json_at(targets, i), "Id", ""),
				(int)json_get_int(json_at(targets, i), "Port", 0)));
	*out_output = json_object_of("TargetHealthDescriptions", shown, NULL);
	return true;
}
