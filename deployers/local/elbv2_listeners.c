#include "deployers/local/balancer.h"
#include "deployers/local/elbv2_internal.h"
#include "deployers/local/input.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Whether somebody else has the port: HAProxy would wait and try again for a while. */
static bool port_is_free(const char *address, int64_t port)
{
	struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	scoped(descriptor_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &place.sin_addr) != 1)
		return true;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	return bind(fd, (struct sockaddr *)&place, sizeof(place)) == 0 || errno != EADDRINUSE;
}

struct port_search {
	int64_t port;
	const char *except, *found;
};

static bool match_port(void *context, const char *arn, const struct json *value)
{
	struct port_search *search = context;

	if (json_get_int(value, "Port", 0) == search->port && !text_equal(arn, search->except))
		search->found = arn;
	return !search->found;
}

static bool check_port(struct cloud *cloud, const char *except, int64_t port,
	struct refusal *refusal)
{
	struct port_search search = {port, except, NULL};

	store_each(cloud->store, "elbv2.listener", match_port, &search);
	if (search.found)
		return refuse(refusal, 400, "DuplicateListener",
			"A listener already exists on this port: %s", search.found);
	if (!port_is_free(cloud->host, port) ||
		(cloud->gateway && !port_is_free(cloud->gateway, port)))
		return refuse(refusal, 400, "InvalidConfigurationRequest",
			"Port %lld of this machine is in use by another program", (long long)port);
	return true;
}

static bool check_protocol(const struct json *input, struct refusal *refusal)
{
	const char *protocol = json_get_text(input, "Protocol", "HTTP");

	return text_equal(protocol, "HTTP") ||
	       refuse(refusal, 400, "UnsupportedProtocol",
		       "The local cloud has listeners for HTTP, not '%s'", protocol);
}

struct json *elbv2_shown_listener(struct cloud *cloud, const struct json *listener)
{
	struct json *shown = store_public(listener);
	const struct json *rule =
		store_get(cloud->store, "elbv2.rule", json_get_text(listener, "_default_rule", ""));

	json_set(shown, "DefaultActions", json_copy(json_get(rule, "Actions")));
	return shown;
}

static struct json *answer_with(struct cloud *cloud, const char *arn)
{
	struct json *list = json_array_new();

	json_append(list,
		elbv2_shown_listener(cloud, store_get(cloud->store, "elbv2.listener", arn)));
	return json_object_of("Listeners", list, NULL);
}

/* "…:listener/app/name/lb/id" and its default rule "…:listener-rule/app/name/lb/id/rule". */
static bool put_listener(struct cloud *cloud, const char *balancer_arn, int64_t port,
	struct json *actions, char **out_arn, struct error *err)
{
	const char *path = strstr(balancer_arn, "loadbalancer/") + strlen("loadbalancer/");
	char id[ELBV2_ID_SIZE], rule_id[ELBV2_ID_SIZE];

	random_hex(id, sizeof(id) - 1);
	random_hex(rule_id, sizeof(rule_id) - 1);
	scoped(text_free) char *arn =
		cloud_arn(cloud, "elasticloadbalancing", "listener/%s/%s", path, id);
	scoped(text_free) char *rule_arn = cloud_arn(cloud, "elasticloadbalancing",
		"listener-rule/%s/%s/%s", path, id, rule_id);

	if (!store_put(cloud->store, "elbv2.listener", arn,
		    json_object_of("ListenerArn", json_text_new(arn), "LoadBalancerArn",
			    json_text_new(balancer_arn), "Port", json_int_new(port), "Protocol",
			    json_text_new("HTTP"), "_default_rule", json_text_new(rule_arn), NULL),
		    err) ||
		!store_put(cloud->store, "elbv2.rule", rule_arn,
			json_object_of("RuleArn", json_text_new(rule_arn), "Priority",
				json_text_new("default"), "Conditions", json_array_new(), "Actions",
				json_keep(actions), "IsDefault", json_bool_new(true), "_listener",
				json_text_new(arn), NULL),
			err) ||
		!elbv2_put_tags(cloud, rule_arn, NULL, err))
		return false;
	*out_arn = arn;
	arn = NULL;
	return true;
}

ELBV2_OPERATION(elbv2_create_listener)
{
	const struct json *balancer = elbv2_find(cloud, input, "LoadBalancerArn", "load_balancer",
		"LoadBalancerNotFound", refusal);
	scoped(store_rollback) struct store *open = cloud->store;
	scoped(json_free) struct json *actions = NULL;
	scoped(text_free) char *arn = NULL;
	struct error err = {0};
	int64_t port;

	if (!balancer || !check_protocol(input, refusal) ||
		!input_int(input, "Port", 1, 65535, 80, ELBV2_INVALID, &port, refusal) ||
		!check_port(cloud, NULL, port, refusal) ||
		!(actions = elbv2_actions(cloud, json_get(input, "DefaultActions"), refusal)))
		return false;
	if (!store_begin(open, &err) ||
		!put_listener(cloud, json_get_text(balancer, "LoadBalancerArn", ""), port, actions,
			&arn, &err) ||
		!elbv2_put_tags(cloud, arn, json_get(input, "Tags"), &err))
		return refuse_error(refusal, &err);
	*out_output = answer_with(cloud, arn);
	return elbv2_commit(cloud, refusal);
}

struct filter {
	struct cloud *cloud;
	const struct json *arns;
	const char *balancer_arn;
	struct json *all;
};

static bool add_listener(void *context, const char *arn, const struct json *listener)
{
	struct filter *filter = context;

	if (elbv2_listed(filter->arns, arn) &&
		(!filter->balancer_arn || text_equal(json_get_text(listener, "LoadBalancerArn", ""),
						  filter->balancer_arn)))
		json_append(filter->all, elbv2_shown_listener(filter->cloud, listener));
	return true;
}

ELBV2_OPERATION(elbv2_describe_listeners)
{
	struct filter filter = {cloud, json_get(input, "ListenerArns"),
		json_get_text(input, "LoadBalancerArn", NULL), NULL};

	if (filter.balancer_arn && !elbv2_find(cloud, input, "LoadBalancerArn", "load_balancer",
					   "LoadBalancerNotFound", refusal))
		return false;
	filter.all = json_array_new();
	store_each(cloud->store, "elbv2.listener", add_listener, &filter);
	if (json_count(filter.all) < json_count(filter.arns)) {
		json_free(&filter.all);
		return refuse(refusal, 400, "ListenerNotFound", "One or more listeners not found");
	}
	return elbv2_page(input, "Listeners", filter.all, out_output, refusal);
}

static const struct json *listener_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	return elbv2_find(cloud, input, "ListenerArn", "listener", "ListenerNotFound", refusal);
}

ELBV2_OPERATION(elbv2_modify_listener)
{
	const struct json *old = listener_of(cloud, input, refusal),
			  *given = json_get(input, "DefaultActions");
	scoped(store_rollback) struct store *open = cloud->store;
	scoped(json_free) struct json *actions = NULL, *listener = json_copy(old), *rule = NULL;
	const char *arn = json_get_text(listener, "ListenerArn", "");
	const char *rule_arn = json_get_text(listener, "_default_rule", "");
	struct error err = {0};
	int64_t port, old_port = json_get_int(listener, "Port", 0);

	if (!old || !check_protocol(input, refusal) ||
		!input_int(input, "Port", 1, 65535, old_port, ELBV2_INVALID, &port, refusal) ||
		(port != old_port && !check_port(cloud, arn, port, refusal)) ||
		(given && !(actions = elbv2_actions(cloud, given, refusal))))
		return false;
	json_set_int(listener, "Port", port);
	rule = json_copy(store_get(open, "elbv2.rule", rule_arn));
	if (actions)
		json_set(rule, "Actions", json_keep(actions));
	if (!store_begin(open, &err) ||
		!store_put(open, "elbv2.listener", arn, json_keep(listener), &err) ||
		!store_put(open, "elbv2.rule", rule_arn, json_keep(rule), &err))
		return refuse_error(refusal, &err);
	*out_output = answer_with(cloud, arn);
	return elbv2_commit(cloud, refusal);
}

static bool collect_rules(void *context, const char *arn, const struct json *rule)
{
	struct strings *list = ((void **)context)[0];

	if (text_equal(json_get_text(rule, "_listener", ""), ((void **)context)[1]))
		strings_add(list, arn);
	return true;
}

bool elbv2_remove_listener(struct cloud *cloud, const char *given, struct error *err)
{
	scoped(text_free) char *arn = memory_copy_text(given);
	scoped(strings_free) struct strings rules = {0};

	store_each(cloud->store, "elbv2.rule", collect_rules, (void *[]){&rules, arn});
	for (size_t i = 0; i < rules.count; i++)
		if (!store_remove(cloud->store, "elbv2.rule", rules.items[i], err) ||
			!elbv2_drop_tags(cloud, rules.items[i], err))
			return false;
	return store_remove(cloud->store, "elbv2.listener", arn, err) &&
	       elbv2_drop_tags(cloud, arn, err);
}

ELBV2_OPERATION(elbv2_delete_listener)
{
	const struct json *listener = listener_of(cloud, input, refusal);
	scoped(store_rollback) struct store *open = cloud->store;
	struct error err = {0};

	(void)out_output;
	if (!listener)
		return false;
	if (!store_begin(open, &err) ||
		!elbv2_remove_listener(cloud, json_get_text(listener, "ListenerArn", ""), &err))
		return refuse_error(refusal, &err);
	return elbv2_commit(cloud, refusal);
}
