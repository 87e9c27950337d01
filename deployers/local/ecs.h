/*
 * ecs.h - ECS in the local cloud: services, deployments and tasks, kept as they should be.
 *
 *     observe (store, containers, targets) -> decide (rolling.c, blue_green.c: pure) -> act
 *
 * Everything it knows is in the store; ecs_start() adopts the containers that still run.
 */
#ifndef DEPLOYERS_LOCAL_ECS_H
#define DEPLOYERS_LOCAL_ECS_H

#include "deployers/local/cloud.h"

struct ecs;

/* Opened it knows the tasks that run, and does nothing; started it keeps services as they should be. */
bool ecs_open(struct cloud *cloud, struct ecs **out_ecs, struct error *err) must_use;
bool ecs_start(struct cloud *cloud, struct ecs **out_ecs, struct error *err) must_use;
void ecs_close(struct ecs **ecs); /* leaves containers running */
/* Ends all tasks and removes networks, mounts and cgroups: local down. */
bool ecs_stop_all(struct ecs *ecs, struct error *err) must_use;
/* Something changed: look at all services in this round of the loop. */
void ecs_wake(struct ecs *ecs);

#endif
