/*
 * A target's way. Arrows are the functions that walk them.
 *
 *                 probe_done: first success            probe_done: UnhealthyThresholdCount failures
 *     INITIAL ------------------------------> HEALTHY ------------------> UNHEALTHY
 *        |  \_ probe_done: too long unhealthy ____________________________^  |
 *        |                                      ^____________________________/
 *        |                                        probe_done: HealthyThresholdCount successes
 *        \____________ any: balancer_deregister -> DRAINING -> drain_look -> gone
 *
 * HAProxy knows exactly the HEALTHY ones, plus the DRAINING ones until their last session ends.
 */
#include "deployers/local/balancer.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/haproxy.h"
#include "deployers/local/haproxy_config.h"
#include "deployers/local/store.h"
#include "deployers/local/target_probe.h"

#include <stdlib.h>

enum {
	/* How often a target that was never healthy is asked: quick first, since a program that
	 * starts is up within milliseconds. */
	FAST_MS = 4,
	FAST_FOR_MS = 3000,
	SLOWER_MS = 50,
	SLOWER_FOR_MS = 15000,
	/* A target in doubt is asked every second, whatever the group's interval. */
	DOUBT_MS = 1000,
	DRAIN_LOOK_MS = 4,
	DRAIN_LOOK_MAX_MS = 250,
	DRAIN_QUIET_LOOKS = 2,
	REMOVE_MS = 200,
	REMOVE_TRIES = 300,
	RESTART_MS = 100,
	RESTART_MAX_MS = 5000,
};

struct target {
	struct balancer *balancer;
	char *group_arn, *ip; /* owned */
	int port;
	enum target_state state;
	const char *reason; /* static: as DescribeTargetHealth has it; NULL when healthy */
	int64_t since_ms;   /* registered, or draining since */
	int successes, failures;
	int quiet_looks; /* while draining: looks in a row that found no session */
	int64_t look_delay_ms;
	struct target_probe *probe;
	struct watch *timer; /* next probe, or next look at a draining one */
	struct target *following;
};

/* A server that HAProxy should forget: not possible while connections exist. */
struct removal {
	char *server; /* owned: "backend/server" */
	int tries;
	struct removal *following;
};

struct share {
	char *key; /* owned */
	int64_t share;
	struct share *following;
};

struct balancer {
	struct cloud *cloud;     /* borrowed */
	struct haproxy *haproxy; /* owned */
	struct target *targets;
	struct removal *removals;
	struct watch *removal_timer, *restart_timer;
	int64_t restart_delay_ms;
	struct share *shares; /* what HAProxy's map holds */
	void (*changed)(void *context, const char *target_group_arn);
	void *context;
};

const char *target_state_name(enum target_state state)
{
	static const char *const names[] = {
		[TARGET_UNUSED] = "unused",
		[TARGET_INITIAL] = "initial",
		[TARGET_HEALTHY] = "healthy",
		[TARGET_UNHEALTHY] = "unhealthy",
		[TARGET_DRAINING] = "draining",
	};

	return names[state];
}

static const struct json *group_of(const struct target *target)
{
	return store_get(target->balancer->cloud->store, "elbv2.target_group", target->group_arn);
}

static void tell(struct target *target)
{
	struct balancer *balancer = target->balancer;
	scoped(text_free) char *arn = memory_copy_text(target->group_arn);

	if (balancer->changed)
		balancer->changed(balancer->context, arn);
}

static void server_path(const struct target *target, struct buf *out)
{
	haproxy_group_name(target->group_arn, out);
	buf_append_char(out, '/');
	haproxy_server_name(target->ip, target->port, out);
}

/* Tells HAProxy; when it is not there the next start will know from the store. */
static void tell_haproxy(struct balancer *balancer, const char *command)
{
	struct error err = {0};

	if (haproxy_runs(balancer->haproxy) &&
		!haproxy_command(balancer->haproxy, command, NULL, &err))
		error_ignore(&err, "its loss is noticed by the loop, and it starts from the store");
}

static void forget_removal(struct balancer *balancer, const char *server)
{
	for (struct removal **link = &balancer->removals; *link; link = &(*link)->following) {
		struct removal *removal = *link;

		if (!text_equal(removal->server, server))
			continue;
		*link = removal->following;
		free(removal->server);
		free(removal);
		return;
	}
}

/* One batch: the server may be new, or known from before and in maintenance. */
static void put_in_rotation(struct target *target)
{
	scoped(buf_free) struct buf server = {0}, options = {0};
	scoped(text_free) char *command = NULL;

	server_path(target, &server);
	haproxy_server_options(group_of(target), target->ip, target->port, &options);
	forget_removal(target->balancer, buf_text(&server));
	command = memory_format("add server %s %s; enable health %s; set server %s health up; set "
				"server %s state ready",
		buf_text(&server), buf_text(&options), buf_text(&server), buf_text(&server),
		buf_text(&server));
	tell_haproxy(target->balancer, command);
}

static void set_server_state(struct target *target, const char *state)
{
	scoped(buf_free) struct buf server = {0};
	scoped(text_free) char *command = NULL;

	server_path(target, &server);
	command = memory_format("set server %s state %s", buf_text(&server), state);
	tell_haproxy(target->balancer, command);
}

static void remove_servers(void *context)
{
	struct balancer *balancer = context;
	struct removal **link = &balancer->removals;

	while (*link) {
		struct removal *removal = *link;
		scoped(text_free) char *command = memory_format("del server %s", removal->server);
		scoped(buf_free) struct buf answer = {0};
		bool gone = !haproxy_runs(balancer->haproxy) ||
			    !haproxy_command(balancer->haproxy, command, &answer, NULL) ||
			    strstr(buf_text(&answer), "deleted") ||
			    strstr(buf_text(&answer), "No such");

		if (!gone && ++removal->tries < REMOVE_TRIES) {
			link = &removal->following;
			continue;
		}
		*link = removal->following;
		free(removal->server);
		free(removal);
	}
	if (balancer->removals)
		watch_set_delay(balancer->removal_timer, REMOVE_MS);
	else
		loop_remove(balancer->cloud->loop, &balancer->removal_timer);
}

static void take_out_of_haproxy(struct target *target)
{
	struct balancer *balancer = target->balancer;
	struct removal *removal = memory_new(sizeof(*removal));
	struct buf server = {0};

	set_server_state(target, "maint");
	server_path(target, &server);
	forget_removal(balancer, buf_text(&server));
	removal->server = buf_take(&server);
	removal->following = balancer->removals;
	balancer->removals = removal;
	if (!balancer->removal_timer)
		balancer->removal_timer =
			loop_add_timer(balancer->cloud->loop, 0, remove_servers, balancer);
}

static char *target_id(const char *group_arn, const char *ip, int port)
{
	return memory_format("%s/%s:%d", group_arn, ip, port);
}

static struct target *find(struct balancer *balancer, const char *group_arn, const char *ip,
	int port)
{
	for (struct target *target = balancer->targets; target; target = target->following)
		if (target->port == port && text_equal(target->ip, ip) &&
			text_equal(target->group_arn, group_arn))
			return target;
	return NULL;
}

static void target_free(struct target *target)
{
	struct target **link = &target->balancer->targets;

	while (*link != target)
		link = &(*link)->following;
	*link = target->following;
	loop_remove(target->balancer->cloud->loop, &target->timer);
	target_probe_cancel(&target->probe);
	free(target->group_arn);
	free(target->ip);
	free(target);
}

static void set_state(struct target *target, enum target_state state, const char *reason)
{
	bool changed = target->state != state;

	log_trace("balancer", "%s:%d %s -> %s %s", target->ip, target->port,
		target_state_name(target->state), target_state_name(state), reason ? reason : "");
	target->state = state;
	target->reason = reason;
	if (changed)
		tell(target);
}

static int64_t next_probe_ms(const struct target *target, const struct json *group)
{
	int64_t interval = json_get_int(group, "HealthCheckIntervalSeconds", 30) * 1000;
	int64_t age = clock_elapsed(target->balancer->cloud->clock) - target->since_ms;

	if (target->state == TARGET_INITIAL && age < FAST_FOR_MS)
		return FAST_MS;
	if (target->state == TARGET_INITIAL && age < SLOWER_FOR_MS)
		return SLOWER_MS;
	if ((target->state != TARGET_HEALTHY || target->failures) && interval > DOUBT_MS)
		return DOUBT_MS;
	return interval;
}

static void judge_success(struct target *target, const struct json *group)
{
	target->failures = 0;
	target->successes++;
	if (target->state == TARGET_HEALTHY)
		return;
	if (target->state == TARGET_UNHEALTHY &&
		target->successes < json_get_int(group, "HealthyThresholdCount", 5))
		return;
	put_in_rotation(target);
	set_state(target, TARGET_HEALTHY, NULL);
}

static void judge_failure(struct target *target, const struct json *group, const char *reason)
{
	int64_t threshold = json_get_int(group, "UnhealthyThresholdCount", 2);
	int64_t interval = json_get_int(group, "HealthCheckIntervalSeconds", 30) * 1000;
	int64_t age = clock_elapsed(target->balancer->cloud->clock) - target->since_ms;

	target->successes = 0;
	target->failures++;
	if (target->state == TARGET_INITIAL && age >= threshold * interval) {
		set_state(target, TARGET_UNHEALTHY, reason);
	} else if (target->state == TARGET_HEALTHY && target->failures >= threshold) {
		set_server_state(target, "maint");
		set_state(target, TARGET_UNHEALTHY, reason);
	} else if (target->state == TARGET_UNHEALTHY) {
		target->reason = reason;
	}
}

static void probe_done(void *context, enum probe_result result, int status)
{
	static const char *const reasons[] = {
		[PROBE_HEALTHY] = NULL,
		[PROBE_REFUSED] = "Target.FailedHealthChecks",
		[PROBE_TIMEOUT] = "Target.Timeout",
		[PROBE_MISMATCH] = "Target.ResponseCodeMismatch",
	};
	struct target *target = context;
	const struct json *group = group_of(target);

	(void)status;
	target->probe = NULL;
	watch_set_delay(target->timer, next_probe_ms(target, group));
	/* Last: whoever is told may deregister the target. */
	if (result == PROBE_HEALTHY)
		judge_success(target, group);
	else
		judge_failure(target, group, reasons[result]);
}

static void drain_look(struct target *target);

static void on_target_timer(void *context)
{
	struct target *target = context;
	const struct json *group = group_of(target);
	int64_t port = target->port;

	if (target->state == TARGET_DRAINING) {
		drain_look(target);
		return;
	}
	if (!str_to_int(json_str(json_get(group, "HealthCheckPort")), &port))
		port = target->port;
	target->probe = target_probe_start(target->balancer->cloud->loop,
		&(struct target_probe_options){
			.ip = target->ip,
			.port = (int)port,
			.path = json_get_text(group, "HealthCheckPath", "/"),
			.matcher = json_get_text(json_get(group, "Matcher"), "HttpCode", "200"),
			.timeout_ms = json_get_int(group, "HealthCheckTimeoutSeconds", 5) * 1000,
			.done = probe_done,
			.context = target,
		});
}

static struct target *target_new(struct balancer *balancer, const char *group_arn, const char *ip,
	int port)
{
	struct target *target = memory_new(sizeof(*target));

	target->balancer = balancer;
	target->group_arn = memory_copy_text(group_arn);
	target->ip = memory_copy_text(ip);
	target->port = port;
	target->state = TARGET_INITIAL;
	target->reason = "Elb.RegistrationInProgress";
	target->since_ms = clock_elapsed(balancer->cloud->clock);
	target->timer = loop_add_timer(balancer->cloud->loop, 0, on_target_timer, target);
	target->following = balancer->targets;
	balancer->targets = target;
	return target;
}

static bool store_target(struct balancer *balancer, const char *group_arn, const char *ip, int port,
	struct error *err)
{
	scoped(text_free) char *id = target_id(group_arn, ip, port);

	return store_put(balancer->cloud->store, "elbv2.target", id,
		json_object_of("TargetGroupArn", json_text_new(group_arn), "Id", json_text_new(ip),
			"Port", json_int_new(port), NULL),
		err);
}

bool balancer_register(struct balancer *balancer, const char *group_arn, const char *ip, int port,
	struct error *err)
{
	struct target *target = find(balancer, group_arn, ip, port);

	if (!store_get(balancer->cloud->store, "elbv2.target_group", group_arn))
		return error_raise(err, ERROR_NOT_FOUND, "no target group \"%s\"", group_arn);
	if (target && target->state != TARGET_DRAINING)
		return true;
	if (!store_target(balancer, group_arn, ip, port, err))
		return false;
	if (target)
		target_free(target);
	target_new(balancer, group_arn, ip, port);
	return true;
}

static void target_gone(struct target *target)
{
	struct balancer *balancer = target->balancer;
	scoped(text_free) char *arn = memory_copy_text(target->group_arn);

	take_out_of_haproxy(target);
	target_free(target);
	if (balancer->changed)
		balancer->changed(balancer->context, arn);
}

static int64_t drain_limit_ms(const struct target *target)
{
	int64_t seconds = 300;
	const struct json *value = json_get(json_get(group_of(target), "_attributes"),
		"deregistration_delay.timeout_seconds");

	if (!str_to_int(json_str(value), &seconds))
		seconds = 300;
	return seconds * 1000;
}

/* Gone when two looks in a row found no session: one may miss a request that is just being given
 * to the server. */
static void drain_look(struct target *target)
{
	scoped(buf_free) struct buf backend = {0}, server = {0};
	int64_t age = clock_elapsed(target->balancer->cloud->clock) - target->since_ms;

	haproxy_group_name(target->group_arn, &backend);
	haproxy_server_name(target->ip, target->port, &server);
	if (haproxy_sessions(target->balancer->haproxy, buf_text(&backend), buf_text(&server)))
		target->quiet_looks = 0;
	else
		target->quiet_looks++;
	if (target->quiet_looks >= DRAIN_QUIET_LOOKS || age >= drain_limit_ms(target)) {
		target_gone(target);
		return;
	}
	watch_set_delay(target->timer, target->look_delay_ms);
	target->look_delay_ms = target->look_delay_ms * 2 < DRAIN_LOOK_MAX_MS
					? target->look_delay_ms * 2
					: DRAIN_LOOK_MAX_MS;
	if (target->quiet_looks)
		target->look_delay_ms = DRAIN_LOOK_MS;
}

bool balancer_deregister(struct balancer *balancer, const char *group_arn, const char *ip, int port,
	struct error *err)
{
	struct target *target = find(balancer, group_arn, ip, port);
	scoped(text_free) char *id = target_id(group_arn, ip, port);
	bool in_haproxy;

	if (!target || target->state == TARGET_DRAINING)
		return true;
	if (!store_remove(balancer->cloud->store, "elbv2.target", id, err))
		return false;
	in_haproxy = target->state == TARGET_HEALTHY;
	target_probe_cancel(&target->probe);
	if (!in_haproxy) {
		take_out_of_haproxy(target);
		target_free(target);
		return true;
	}
	set_server_state(target, "drain");
	target->state = TARGET_DRAINING;
	target->reason = "Target.DeregistrationInProgress";
	target->since_ms = clock_elapsed(balancer->cloud->clock);
	target->quiet_looks = 0;
	target->look_delay_ms = DRAIN_LOOK_MS;
	watch_set_delay(target->timer, DRAIN_LOOK_MS);
	return true;
}

bool balancer_drop(struct balancer *balancer, const char *group_arn, const char *ip, int port,
	struct error *err)
{
	struct target *target = find(balancer, group_arn, ip, port);
	scoped(text_free) char *id = target_id(group_arn, ip, port);

	if (!target)
		return true;
	if (!store_remove(balancer->cloud->store, "elbv2.target", id, err))
		return false;
	take_out_of_haproxy(target);
	target_free(target);
	return true;
}

struct use_search {
	const char *group_arn;
	bool used;
};

static bool uses_group(void *context, const char *id, const struct json *rule)
{
	struct use_search *search = context;
	const struct json *groups = rule_target_groups(rule);

	(void)id;
	for (size_t i = 0; i < json_count(groups); i++)
		search->used |= text_equal(json_get_text(json_at(groups, i), "TargetGroupArn", ""),
			search->group_arn);
	return !search->used;
}

bool balancer_group_used(struct balancer *balancer, const char *group_arn)
{
	struct use_search search = {group_arn, false};

	store_each(balancer->cloud->store, "elbv2.rule", uses_group, &search);
	return search.used;
}

enum target_state balancer_target_state(struct balancer *balancer, const char *group_arn,
	const char *ip, int port)
{
	return balancer_target_health(balancer, group_arn, ip, port, &(const char *){NULL});
}

enum target_state balancer_target_health(struct balancer *balancer, const char *group_arn,
	const char *ip, int port, const char **out_reason)
{
	const struct target *target = find(balancer, group_arn, ip, port);

	*out_reason = "Target.NotRegistered";
	if (!target)
		return TARGET_UNUSED;
	if (target->state != TARGET_DRAINING && !balancer_group_used(balancer, group_arn)) {
		*out_reason = "Target.NotInUse";
		return TARGET_UNUSED;
	}
	*out_reason = target->reason;
	return target->state;
}

void balancer_each_target(struct balancer *balancer, const char *group_arn,
	void (*each)(void *context, const char *ip, int port), void *context)
{
	for (struct target *target = balancer->targets; target; target = target->following)
		if (text_equal(target->group_arn, group_arn))
			each(context, target->ip, target->port);
}

int64_t balancer_open_connections(struct balancer *balancer, const char *group_arn, const char *ip,
	int port)
{
	scoped(buf_free) struct buf backend = {0}, server = {0};

	haproxy_group_name(group_arn, &backend);
	haproxy_server_name(ip, port, &server);
	return haproxy_sessions(balancer->haproxy, buf_text(&backend), buf_text(&server));
}

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

/* Lines of "show servers state": be_id be_name srv_id srv_name srv_addr op_state admin_state … */
static void adopt_servers(struct balancer *balancer)
{
	scoped(buf_free) struct buf answer = {0};
	struct error err = {0};
	struct str rest;

	if (!haproxy_runs(balancer->haproxy) ||
		!haproxy_command(balancer->haproxy, "show servers state", &answer, &err)) {
		error_ignore(&err, "what is not adopted is found by probing");
		return;
	}
	rest = buf_str(&answer);
	while (rest.data) {
		struct str line = str_cut(&rest, '\n'), words[7] = {{0}};

		for (size_t i = 0; i < countof(words); i++)
			words[i] = str_cut(&line, ' ');
		if (!words[6].size || words[0].data[0] == '#')
			continue;
		for (struct target *target = balancer->targets; target;
			target = target->following) {
			scoped(buf_free) struct buf backend = {0}, server = {0};

			haproxy_group_name(target->group_arn, &backend);
			haproxy_server_name(target->ip, target->port, &server);
			/* In rotation: op_state 2 is up, admin_state 0 neither drain nor maint. */
			if (str_equal(words[1], buf_str(&backend)) &&
				str_equal(words[3], buf_str(&server)) &&
				str_equal_text(words[5], "2") && str_equal_text(words[6], "0")) {
				target->state = TARGET_HEALTHY;
				target->reason = NULL;
			}
		}
	}
}

/* Servers that HAProxy has and the store has not: we died while they drained. */
static void drop_strangers(struct balancer *balancer)
{
	scoped(buf_free) struct buf answer = {0};
	struct str rest;

	if (!haproxy_runs(balancer->haproxy) ||
		!haproxy_command(balancer->haproxy, "show servers state", &answer, NULL))
		return;
	rest = buf_str(&answer);
	while (rest.data) {
		struct str line = str_cut(&rest, '\n'), words[4] = {{0}};
		bool known = false;

		for (size_t i = 0; i < countof(words); i++)
			words[i] = str_cut(&line, ' ');
		if (!words[3].size || words[0].data[0] == '#')
			continue;
		scoped(text_free) char *path =
			memory_format("%.*s/%.*s", str_args(words[1]), str_args(words[3]));

		for (struct target *target = balancer->targets; target;
			target = target->following) {
			scoped(buf_free) struct buf own = {0};

			server_path(target, &own);
			known = known || text_equal(path, buf_text(&own));
		}
		if (known)
			continue;
		scoped(text_free) char *command = memory_format("set server %s state maint", path);
		struct removal *removal = memory_new(sizeof(*removal));

		tell_haproxy(balancer, command);
		removal->server = memory_copy_text(path);
		removal->following = balancer->removals;
		balancer->removals = removal;
		if (!balancer->removal_timer)
			balancer->removal_timer = loop_add_timer(balancer->cloud->loop, REMOVE_MS,
				remove_servers, balancer);
	}
}

bool balancer_open(struct cloud *cloud, struct balancer **out_balancer, struct error *err)
{
	scoped(balancer_close) struct balancer *balancer = memory_new(sizeof(*balancer));
	scoped(text_free) char *folder = path_join(cloud->state, "balancer");

	balancer->cloud = cloud;
	if (!haproxy_open(cloud->loop, folder, on_lost, balancer, &balancer->haproxy, err))
		return error_while(err, "opening the balancer of the local cloud");
	store_each(cloud->store, "elbv2.target", adopt_target, balancer);
	adopt_servers(balancer);
	if (!balancer_apply(balancer, err))
		return error_while(err, "opening the balancer of the local cloud");
	drop_strangers(balancer);
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
		forget_removal(balancer, balancer->removals->server);
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
