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
#include "deployers/local/balancer_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/store.h"

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

const struct json *target_group(const struct target *target)
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

void target_free(struct target *target)
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
	server_put_in_rotation(target);
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
		server_set_state(target, "maint");
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
	const struct json *group = target_group(target);

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
	const struct json *group = target_group(target);
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

struct target *target_new(struct balancer *balancer, const char *group_arn, const char *ip,
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

	server_take_out(target);
	target_free(target);
	if (balancer->changed)
		balancer->changed(balancer->context, arn);
}

static int64_t drain_limit_ms(const struct target *target)
{
	int64_t seconds = 300;
	const struct json *value = json_get(json_get(target_group(target), "_attributes"),
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
		server_take_out(target);
		target_free(target);
		return true;
	}
	server_set_state(target, "drain");
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
	server_take_out(target);
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
