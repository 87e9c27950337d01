/*
 * strategies.h - what a strategy of ours is for ECS. A new one is a row in strategies.c.
 */
#ifndef DEPLOYERS_ECS_STRATEGIES_H
#define DEPLOYERS_ECS_STRATEGIES_H

#include "base/json.h"
#include "deployers/ecs/ecs_deploy.h"

struct deploy_strategy {
	const char *name;     /* in dogshore.yml and --strategy */
	const char *ecs_name; /* deploymentConfiguration.strategy */
	bool shifts_traffic;  /* needs a second target group when there is a load balancer */
	/* Writes its settings into deploymentConfiguration; may be NULL. */
	void (*configure)(struct json *configuration, const struct deploy_strategy_choice *choice);
};

/* ERROR_USAGE with the nearest name. */
bool deploy_strategy_find(const char *name, const struct deploy_strategy **out_strategy,
	struct error *err) must_use;
/* By ECS's name; ROLLING when there is none of that name. */
const struct deploy_strategy *deploy_strategy_of_ecs(const char *ecs_name);

/*
 * Writes the strategy into deploymentConfiguration (an object): its name, its settings, and the
 * circuit breaker with rollback unless the file decides that itself.
 */
void deploy_strategy_apply(const struct deploy_strategy *strategy,
	const struct deploy_strategy_choice *choice, struct json *configuration);

#endif
