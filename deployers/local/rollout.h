/*
 * rollout.h - what the deployment strategies share: the state of one rollout, what is observed, what
 *             is to be done.
 *
 * A strategy is a pure function: (options, state, observation) -> (state, actions). No clock, store or
 * network inside; ecs.c observes, calls it, writes the state to the store and then acts. So a rollout
 * goes on after kill -9 from what was written, and tests run it in virtual time.
 *
 *     IN_PROGRESS ──all new tasks healthy, old ones gone──────────────> SUCCESSFUL
 *        │ │ └────superseded by another deployment (ecs.c)────────────> STOPPED
 *        │ └──failed, rollback not asked for or nothing to go back to─> STOPPED, ROLLBACK_FAILED
 *        └──failed, or rollback asked for──> ROLLBACK_IN_PROGRESS ────> ROLLBACK_SUCCESSFUL
 *                                               └──failed again───────> ROLLBACK_FAILED
 *
 * Tasks are counted in three groups: the target (the revision being deployed), the source (the
 * last one that was completed, to go back to) and others (left from rollouts that were cut short).
 *
 * Source  ECS: "deployment circuit breaker", "rolling update", "blue/green deployments".
 */
#ifndef DEPLOYERS_LOCAL_ROLLOUT_H
#define DEPLOYERS_LOCAL_ROLLOUT_H

#include "base/attributes.h"

enum rollout_status {
	ROLLOUT_IN_PROGRESS,
	ROLLOUT_SUCCESSFUL,
	ROLLOUT_STOPPED,
	ROLLOUT_ROLLBACK_IN_PROGRESS,
	ROLLOUT_ROLLBACK_SUCCESSFUL,
	ROLLOUT_ROLLBACK_FAILED,
};
const char *rollout_status_name(enum rollout_status status); /* "ROLLBACK_IN_PROGRESS" */
bool rollout_status_of(const char *name, enum rollout_status *out_status) must_use;
bool rollout_ended(enum rollout_status status);

/* lifecycleStage, in order; strategies without stages stay at the first. */
enum rollout_stage {
	STAGE_NONE,
	STAGE_RECONCILE_SERVICE,
	STAGE_PRE_SCALE_UP,
	STAGE_SCALE_UP,
	STAGE_POST_SCALE_UP,
	STAGE_TEST_TRAFFIC_SHIFT,
	STAGE_POST_TEST_TRAFFIC_SHIFT,
	STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT,
	STAGE_PRODUCTION_TRAFFIC_SHIFT,
	STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
	STAGE_BAKE_TIME,
	STAGE_CLEAN_UP,
};
const char *rollout_stage_name(enum rollout_stage stage); /* "SCALE_UP"; NULL for STAGE_NONE */
bool rollout_stage_of(const char *name, enum rollout_stage *out_stage) must_use;

enum threshold_kind {
	THRESHOLD_BOUNDED_PERCENT, /* of desired, clamped to 3..200 */
	THRESHOLD_UNBOUNDED_PERCENT,
	THRESHOLD_COUNT,
};

struct rollout_options {
	int desired;
	int min_healthy_percent; /* of desired, rounded up */
	int max_percent;         /* of desired, rounded down */
	struct {
		bool enabled, rollback, reset_on_healthy;
		enum threshold_kind threshold;
		int value;
	} breaker;
	bool has_source;   /* there is a revision to go back to */
	int step_permille; /* traffic moved per step; 1000: all at once */
	bool one_step;     /* after the first step the rest at once (canary) */
	int64_t step_bake_ms, bake_ms;
};

/* Tasks that are to run; those told to stop are in none of the counts. */
struct rollout_group {
	int starting, unhealthy, healthy; /* unhealthy: runs, not (yet) healthy */
};
int rollout_alive(const struct rollout_group *group);

struct rollout {
	enum rollout_status status;
	enum rollout_stage stage;
	int64_t stage_since_ms; /* of the last step within PRODUCTION_TRAFFIC_SHIFT */
	int failed_tasks;       /* the circuit breaker's count */
	int failed_in_row;      /* without a healthy one between: for the pause between tries */
	int64_t retry_at_ms;    /* no starts before this */
	int kept_failed_in_row; /* the same two for the revision that is only kept beside the new one */
	int64_t kept_retry_at_ms;
	bool triggered; /* by the circuit breaker */
};

struct rollout_observation {
	int64_t now_ms;
	struct rollout_group target, source, others;
	int failed;         /* tasks of the wanted revision that failed since the last look */
	int became_healthy; /* likewise */
	int kept_failed;    /* of a revision that is only kept: blue, while green comes */
	bool rollback_requested;
	bool has_test_rule;
	int production_permille, test_permille; /* of traffic on the target */
};

struct rollout_actions {
	int start_target, start_source;
	int stop_target, stop_source, stop_others; /* unhealthy ones first */
	bool set_production, set_test;
	int production_permille, test_permille;
	int64_t look_again_ms; /* at the latest then; 0: when something happens */
};

struct strategy {
	const char *name; /* deploymentConfiguration.strategy */
	void (*decide)(const struct rollout_options *options, struct rollout *rollout,
		const struct rollout_observation *seen, struct rollout_actions *out_actions);
	bool shifts_traffic; /* needs an alternate target group when it has a load balancer */
};
/* NULL when there is none of that name; NULL and "" are ROLLING. */
const struct strategy *strategy_find(const char *name);

/* Shared by strategies. */
int rollout_threshold(const struct rollout_options *options);
/* Counts failures and healthy tasks, sets the pause before the next try. True: the circuit breaker
 * has just been triggered. */
bool rollout_count(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen);
/* Leaves IN_PROGRESS: to the rollback when that is wanted and possible. */
void rollout_fail(struct rollout *rollout, bool rollback_wanted, bool has_source);

/* A service with no rollout under way: as many tasks of its revision as desired, no others.
 * rollout keeps the pause between tries. */
void rollout_keep(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions);

#endif
