/*
 * follow.h - a deployment that is looked at until there is a verdict. Private to follow.c, which
 *            decides and waits, and look.c, which asks the cloud.
 */
#ifndef DEPLOYERS_ECS_FOLLOW_H
#define DEPLOYERS_ECS_FOLLOW_H

#include "deployers/ecs/deployment.h"

struct follow {
	struct deployment *deployment;
	struct verdict_state state;
	struct verdict_observation seen;
	int64_t started_ms;
	int64_t service_ms;  /* when the service was last looked at */
	int64_t tasks_ms;    /* when stopped tasks were last looked for */
	int64_t failed;      /* tasks that failed, as the cloud counts */
	struct json *known;  /* owned; ARNs of stopped tasks that were looked at */
	char *reason;        /* owned: what the cloud says about it */
	struct error silent; /* why the last look saw nothing; NONE: it saw */
	bool denied;         /* service deployments may not be read: judge by deployments[] */
};

/* One look: fills follow->seen. What was seen before stays when the cloud does not answer. */
bool follow_look(struct follow *follow, struct error *err) must_use;

#endif
