/*
 * look.h - one look at one service, shared by scheduler.c (observe, decide, write down) and
 *          scheduler_acts.c (start and stop tasks, shift traffic).
 */
#ifndef DEPLOYERS_LOCAL_LOOK_H
#define DEPLOYERS_LOCAL_LOOK_H

#include "deployers/local/ecs_internal.h"

/* The documents are copies that are being changed. */
struct look {
	struct ecs *ecs;
	const char *arn;
	int64_t now_ms, again_ms;
	struct json *service;                            /* owned */
	struct json *deployment;                         /* owned; NULL when none is under way */
	struct json *service_before, *deployment_before; /* owned; as the store has them */
	const char *target, *source;
	struct rollout rollout;
	struct rollout_options options;
	struct rollout_observation seen;
	int stopping; /* tasks on their way out */
};

void look_again_at(struct look *look, int64_t due_ms);
const char *look_revision(const struct task *task);
bool look_is_mine(const struct look *look, const struct task *task);
/* In which group of look->seen a task counts. */
struct rollout_group *look_group(struct look *look, const struct task *task);

/* The old colour's group and the new one's are both in the rule before tasks register: a group that
 * no rule names is not probed. */
void look_prepare_rules(struct look *look);
void look_act(struct look *look, const struct rollout_actions *actions);

#endif
