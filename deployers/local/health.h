/*
 * health.h - a container's own health check: `healthCheck` of the container definition, run inside
 *            it with `crun exec`.
 *
 * As in ECS a check is due every interval and the container is unhealthy after so many failures in a
 * row outside its start period. Unlike there the first checks come faster (100 ms, doubling up to the
 * interval) until one succeeds; a failure counts only once per interval. So a service on one machine
 * does not wait 30 seconds to be believed, and is not condemned sooner than on AWS.
 *
 * Source  ECS HealthCheck.
 */
#ifndef DEPLOYERS_LOCAL_HEALTH_H
#define DEPLOYERS_LOCAL_HEALTH_H

#include "deployers/local/runtime.h"

struct health;

enum health_state {
	HEALTH_UNKNOWN, /* no check has decided yet */
	HEALTH_HEALTHY,
	HEALTH_UNHEALTHY,
};
const char *health_state_name(enum health_state state); /* "HEALTHY" */

/* Starts checking the container id; NULL when the definition has no health check. changed is called
 * on the loop with each change of the state. */
struct health *health_start(struct cloud *cloud, struct runtime *runtime, const char *id,
	const struct json *container, void (*changed)(void *context), void *context);
void health_stop(struct health **health);
enum health_state health_state(const struct health *health); /* NULL: UNKNOWN */

#endif
