#include "deployers/local/balancer_internal.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/store.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	RESTART_MS = 100,
	RESTART_MAX_MS = 5000,
};

void balancer_set_observer(struct balancer *balancer,
	void (*changed)(void *context, const char *target_group_arn), void *context)
{
	balancer->changed = changed;
	balancer->context = context;
}

static bool append_document(void *context, const char *id, const struct json *value)
{
	(void)id;
	json_append(context, json_keep(value));
	return true;
}

static struct json *documents(struct balancer *balancer, const char *kind)
{
	struct json *array = json_array_new();

	store_each(balancer->cloud->store, kind, append_document, array);
	return array;
}

/* What the store says, ready to be written. */
struct plan {
	struct haproxy_view view;
	struct json *listeners, *rules, *groups; /* owned */
	struct haproxy_server *servers;          /* owned */
};

static struct plan plan_new(struct balancer *balancer)
{
	struct plan plan = {.listeners = documents(balancer, "elbv2.listener"),
		.rules = documents(balancer, "elbv2.rule"),
		.groups = documents(balancer, "elbv2.target_group")};
	size_t count = 0;

	for (struct target *target = balancer->targets; target; target = target->following)
		count++;
	plan.servers = memory_new_array(count, sizeof(*plan.servers));
	plan.view = (struct haproxy_view){
		.listeners = plan.listeners,
		.rules = plan.rules,
		.groups = plan.groups,
		.address = balancer->cloud->host,
		.gateway = balancer->cloud->gateway,
		/* Root is needed for ports below 1024 only. */
		.user = geteuid() == 0 ? "nobody" : NULL,
		.group = "nogroup",
		.servers = plan.servers,
	};
	for (struct target *target = balancer->targets; target; target = target->following)
		if (target->state == TARGET_HEALTHY)
			plan.servers[plan.view.server_count++] =
				(struct haproxy_server){target->group_arn, target->ip,
					target->port};
	return plan;
}

static void plan_free(struct plan *plan)
{
	json_free(&plan->listeners);
	json_free(&plan->rules);
	json_free(&plan->groups);
	free(plan->servers);
}

/*
 * A name for the structure: what makes a reload necessary. Groups that no rule names are left out,
 * so that making one costs nothing; they join at the next reload.
 */
static char *structure_name(struct balancer *balancer, const struct plan *plan)
{
	scoped(json_free) struct json *used = json_array_new();
	scoped(buf_free) struct buf text = {0};
	struct haproxy_view view = plan->view;
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < json_count(plan->groups); i++) {
		const struct json *group = json_at(plan->groups, i);

		if (balancer_group_used(balancer, json_get_text(group, "TargetGroupArn", "")))
			json_append(used, json_keep(group));
	}
	view.groups = used;
	view.server_count = 0;
	haproxy_config_write(&view, &text);

	struct digest digest = digest_of_str(buf_str(&text));

	digest_to_hex(&digest, hex);
	return memory_copy(hex, 32);
}

static void shares_free(struct balancer *balancer)
{
	while (balancer->shares) {
		struct share *share = balancer->shares;

		balancer->shares = share->following;
		free(share->key);
		free(share);
	}
}

static void collect_share(void *context, const char *key, int64_t value)
{
	struct share **shares = context, *share = memory_new(sizeof(*share));

	share->key = memory_copy_text(key);
	share->share = value;
	share->following = *shares;
	*shares = share;
}

static struct share *shares_of(const struct plan *plan)
{
	struct share *shares = NULL;

	for (size_t i = 0; i < json_count(plan->rules); i++)
		haproxy_rule_shares(json_at(plan->rules, i), collect_share, &shares);
	return shares;
}

static int64_t known_share(const struct balancer *balancer, const char *key)
{
	for (const struct share *share = balancer->shares; share; share = share->following)
		if (text_equal(share->key, key))
			return share->share;
	return -1;
}

/* Sends the weights that are not what HAProxy has, as one batch. */
static bool send_shares(struct balancer *balancer, struct share *shares, struct error *err)
{
	scoped(buf_free) struct buf command = {0};

	for (const struct share *share = shares; share; share = share->following)
		if (known_share(balancer, share->key) != share->share)
			buf_printf(&command, "%sset map weights.map %s %lld",
				command.size ? "; " : "", share->key, (long long)share->share);
	if (command.size && !haproxy_command(balancer->haproxy, buf_text(&command), NULL, err))
		return false;
	shares_free(balancer);
	balancer->shares = shares;
	return true;
}

static bool reload(struct balancer *balancer, struct plan *plan, const char *name,
	struct share *shares, struct error *err)
{
	scoped(buf_free) struct buf config = {0}, map = {0};

	plan->view.description = name;
	haproxy_config_write(&plan->view, &config);
	for (const struct share *share = shares; share; share = share->following)
		buf_printf(&map, "%s %lld\n", share->key, (long long)share->share);
	if (!haproxy_load(balancer->haproxy, buf_str(&config), buf_str(&map), err))
		return false;
	shares_free(balancer);
	balancer->shares = shares;
	return true;
}

static void free_list(struct share *shares)
{
	struct balancer holder = {.shares = shares};

	shares_free(&holder);
}

bool balancer_apply(struct balancer *balancer, struct error *err)
{
	scoped(plan_free) struct plan plan = plan_new(balancer);
	scoped(text_free) char *name = NULL, *running = NULL;
	struct share *shares;
	bool ok;

	if (!json_count(plan.listeners)) {
		shares_free(balancer);
		return !haproxy_runs(balancer->haproxy) || haproxy_stop(balancer->haproxy, err);
	}
	name = structure_name(balancer, &plan);
	running = haproxy_description(balancer->haproxy);
	shares = shares_of(&plan);
	ok = text_equal(name, running) ? send_shares(balancer, shares, err)
				       : reload(balancer, &plan, name, shares, err);
	if (!ok) {
		free_list(shares);
		return error_while(err, "applying the load balancers' rules");
	}
	return true;
}

static void restart(void *context)
{
	struct balancer *balancer = context;
	struct error err = {0};

	if (balancer_apply(balancer, &err)) {
		log_write(LOG_WARNING, "the balancer was started again", NULL);
		loop_remove(balancer->cloud->loop, &balancer->restart_timer);
		return;
	}
	log_write(LOG_ERROR, "the balancer cannot be started", "error", err.message, NULL);
	error_free(&err);
	watch_set_delay(balancer->restart_timer, balancer->restart_delay_ms);
	balancer->restart_delay_ms = balancer->restart_delay_ms * 2 < RESTART_MAX_MS
					     ? balancer->restart_delay_ms * 2
					     : RESTART_MAX_MS;
}

static void on_lost(void *context)
{
	struct balancer *balancer = context;

	shares_free(balancer);
	balancer->restart_delay_ms = RESTART_MS;
	if (!balancer->restart_timer)
		balancer->restart_timer =
			loop_add_timer(balancer->cloud->loop, 0, restart, balancer);
}

static bool adopt_target(void *context, const char *id, const struct json *value)
{
	(void)id;
	target_new(context, json_get_text(value, "TargetGroupArn", ""),
		json_get_text(value, "Id", ""), (int)json_get_int(value, "Port", 0));
	return true;
}

bool balancer_open(struct cloud *cloud, struct balancer **out_balancer, struct error *err)
{
	scoped(balancer_close) struct balancer *balancer = memory_new(sizeof(*balancer));
	scoped(text_free) char *folder = path_join(cloud->state, "balancer");

	balancer->cloud = cloud;
	if (!haproxy_open(cloud->loop, folder, on_lost, balancer, &balancer->haproxy, err))
		return error_while(err, "opening the balancer of the local cloud");
	store_each(cloud->store, "elbv2.target", adopt_target, balancer);
	servers_adopt(balancer);
	if (!balancer_apply(balancer, err))
		return error_while(err, "opening the balancer of the local cloud");
	servers_drop_strangers(balancer);
	*out_balancer = balancer;
	balancer = NULL;
	return true;
}

void balancer_close(struct balancer **address)
{
	struct balancer *balancer = *address;

	if (!balancer)
		return;
	while (balancer->targets)
		target_free(balancer->targets);
	while (balancer->removals)
		removal_forget(balancer, balancer->removals->server);
	loop_remove(balancer->cloud->loop, &balancer->removal_timer);
	loop_remove(balancer->cloud->loop, &balancer->restart_timer);
	shares_free(balancer);
	haproxy_close(&balancer->haproxy);
	free(balancer);
	*address = NULL;
}

bool balancer_stop(struct balancer *balancer, struct error *err)
{
	loop_remove(balancer->cloud->loop, &balancer->restart_timer);
	return haproxy_stop(balancer->haproxy, err);
}

static struct json *weighted_groups(const struct target_weight *weights, size_t count)
{
	struct json *groups = json_array_new();

	for (size_t i = 0; i < count; i++)
		json_append(groups,
			json_object_of("TargetGroupArn", json_text_new(weights[i].target_group_arn),
				"Weight", json_int_new(weights[i].weight), NULL));
	return groups;
}

bool balancer_set_weights(struct balancer *balancer, const char *rule_arn,
	const struct target_weight *weights, size_t count, struct error *err)
{
	struct store *store = balancer->cloud->store;
	const struct json *old = store_get(store, "elbv2.rule", rule_arn);
	struct json *forward = NULL, *rule, *actions, *config;

	if (!old)
		return error_raise(err, ERROR_NOT_FOUND, "no listener rule \"%s\"", rule_arn);
	rule = json_copy(old);
	actions = json_get(rule, "Actions");
	for (size_t i = 0; i < json_count(actions); i++)
		if (text_equal(json_get_text(json_at(actions, i), "Type", ""), "forward"))
			forward = json_at(actions, i);
	if (!forward) {
		json_free(&rule);
		return error_raise(err, ERROR_INVALID, "listener rule \"%s\" does not forward",
			rule_arn);
	}
	config = json_get(forward, "ForwardConfig");
	json_set(config, "TargetGroups", weighted_groups(weights, count));
	json_remove(forward, "TargetGroupArn");
	if (count == 1)
		json_set_text(forward, "TargetGroupArn", weights[0].target_group_arn);
	return store_put(store, "elbv2.rule", rule_arn, rule, err) && balancer_apply(balancer, err);
}
