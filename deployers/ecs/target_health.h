/*
 * target_health.h - a check that the load balancer makes for us: it asks every task for the health
 *                   path of its target group, and tells what it thinks of each.
 *
 * On AWS tasks cannot be reached from here, but the load balancer reaches them. Its health check
 * stands for a check of ours only when it asks for exactly that path and takes exactly that status.
 * With blue/green the live group alternates, so both are read: the tasks that serve tell which targets
 * count.
 */
#ifndef DEPLOYERS_ECS_TARGET_HEALTH_H
#define DEPLOYERS_ECS_TARGET_HEALTH_H

#include "deployers/ecs/deployment.h"
#include "deployers/verify/http_watch.h"

struct target_health {
	struct deployment *deployment; /* borrowed */
	struct json *served;           /* owned: {task ARN: true}, seen serving */
	struct json *struck;           /* owned: {target or task: what is wrong with it} */
	struct http_watcher watcher;
};
void target_health_init(struct target_health *health, struct deployment *deployment);
void target_health_free(struct target_health *health);

/*
 * Does the load balancer check this path and status, and may we read what it found? ERROR_USAGE and
 * ERROR_DENIED when not. Changes nothing.
 */
bool target_health_prepare(const struct deployment *deployment, const struct http_check *check,
	struct error *err) must_use;

/* Looks once; for struct http_watcher, context is a struct target_health. */
bool target_health_look(void *context, struct http_seen *out_seen, struct error *err) must_use;

/*
 * Pure: right when every task's target is healthy, wrong when one is unhealthy or was struck before,
 * not known while one is initial (or draining, or not registered).
 *
 * tasks    those that serve, as DescribeTasks has them
 * targets  TargetHealthDescriptions of all groups
 * struck   what is wrong so far; a target that is healthy again is taken out
 */
struct http_seen target_health_judge(const struct json *tasks, const struct json *targets,
	struct json *struck) must_use;

#endif
