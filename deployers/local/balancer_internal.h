/*
 * balancer_internal.h - what the files of the balancer share: balancer.c (configuration, weights, life
 *                       and death of HAProxy), balancer_targets.c (targets, their probes and states),
 *                       balancer_servers.c (what HAProxy knows of them).
 */
#ifndef DEPLOYERS_LOCAL_BALANCER_INTERNAL_H
#define DEPLOYERS_LOCAL_BALANCER_INTERNAL_H

#include "deployers/local/balancer.h"
#include "deployers/local/haproxy.h"
#include "deployers/local/haproxy_config.h"
#include "deployers/local/target_probe.h"

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

struct target *target_new(struct balancer *balancer, const char *group_arn, const char *ip,
	int port);
void target_free(struct target *target);
const struct json *target_group(const struct target *target);          /* its document */
void target_server_name(const struct target *target, struct buf *out); /* "backend/server" */

/* Tells HAProxy; when it is not there the next start will know from the store. */
void balancer_tell(struct balancer *balancer, const char *command);

void server_put_in_rotation(struct target *target);
void server_set_state(struct target *target, const char *state); /* ready, drain, maint */
/* Out of rotation at once and forgotten as soon as no connection is left. */
void server_take_out(struct target *target);
void removal_forget(struct balancer *balancer, const char *server);
/* Marks as healthy what an adopted HAProxy has in rotation. */
void servers_adopt(struct balancer *balancer);
/* Takes servers out that HAProxy has and the store has not: we died while they drained. */
void servers_drop_strangers(struct balancer *balancer);

#endif
