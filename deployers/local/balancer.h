/*
 * balancer.h - HAProxy as the load balancer of the local cloud.
 *
 * elbv2_operations.c keeps load balancers, listeners, rules and target groups in the store; this
 * module makes HAProxy do what the store says. Structure (listeners, groups) changes by writing the
 * whole configuration and a seamless reload; weights and targets change through the runtime socket,
 * which we hold open (haproxy.h). HAProxy outlives us and is adopted on start; lost, it is started again from
 * the store.
 *
 * Traps  a dynamic server counts as up before its first check: we probe a target ourselves and
 *        only then enable it; "del server" fails while connections exist: retry.
 */
#ifndef DEPLOYERS_LOCAL_BALANCER_H
#define DEPLOYERS_LOCAL_BALANCER_H

#include "deployers/local/cloud.h"

struct balancer;

enum target_state {
	TARGET_UNUSED,  /* no rule forwards to the group, or the target is not registered */
	TARGET_INITIAL, /* registered, not yet seen healthy */
	TARGET_HEALTHY,
	TARGET_UNHEALTHY,
	TARGET_DRAINING, /* deregistered; connections may still be open */
};
const char *target_state_name(enum target_state state); /* as DescribeTargetHealth has it */

bool balancer_open(struct cloud *cloud, struct balancer **out_balancer, struct error *err) must_use;
void balancer_close(struct balancer **balancer); /* leaves HAProxy running */
bool balancer_stop(struct balancer *balancer, struct error *err)
	must_use; /* local down: ends HAProxy */

/* Called on the loop whenever a target's state changes, with the group's ARN. One listener: ECS. */
void balancer_set_observer(struct balancer *balancer,
	void (*changed)(void *context, const char *target_group_arn), void *context);

/* Registers ip:port with the group; probing starts at once. Again is fine. */
bool balancer_register(struct balancer *balancer, const char *target_group_arn, const char *ip,
	int port, struct error *err) must_use;
/* No new requests from now on; gone when its connections have ended or the group's
 * deregistration_delay has passed. Unknown is fine. */
bool balancer_deregister(struct balancer *balancer, const char *target_group_arn, const char *ip,
	int port, struct error *err) must_use;
/* The same at once, without waiting for connections: the group goes. */
bool balancer_drop(struct balancer *balancer, const char *target_group_arn, const char *ip,
	int port, struct error *err) must_use;
/* TARGET_UNUSED when not registered (any more). */
enum target_state balancer_target_state(struct balancer *balancer, const char *target_group_arn,
	const char *ip, int port);

/* The same with the reason that DescribeTargetHealth gives (static; NULL: none). */
enum target_state balancer_target_health(struct balancer *balancer, const char *target_group_arn,
	const char *ip, int port, const char **out_reason);
/* Every target of the group that is registered or draining. */
void balancer_each_target(struct balancer *balancer, const char *target_group_arn,
	void (*each)(void *context, const char *ip, int port), void *context);
/* Whether a rule forwards to the group. */
bool balancer_group_used(struct balancer *balancer, const char *target_group_arn);

/* Requests that HAProxy has given to the target, or holds for it, and that are not answered. */
int64_t balancer_open_connections(struct balancer *balancer, const char *target_group_arn,
	const char *ip, int port);

struct target_weight {
	const char *target_group_arn;
	int weight; /* 0-999 */
};
/* Makes the rule (or the listener's default rule) forward by these weights and records it in the
 * store; takes effect before it returns. */
bool balancer_set_weights(struct balancer *balancer, const char *rule_arn,
	const struct target_weight *weights, size_t count, struct error *err) must_use;

/* Structure in the store changed (listener, rule, group): apply it. Called by elbv2 operations. */
bool balancer_apply(struct balancer *balancer, struct error *err) must_use;

#endif
