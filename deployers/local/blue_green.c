#include "deployers/local/blue_green.h"

enum { ALL = 1000 };

static void look_again(int64_t *at_ms, int64_t due_ms)
{
	if (!*at_ms || due_ms < *at_ms)
		*at_ms = due_ms;
}

static void keep_at(const struct rollout_options *options, int64_t retry_at_ms,
	const struct rollout_observation *seen, const struct rollout_group *group, int *out_start,
	int *out_stop, int64_t *out_look_again_ms)
{
	int missing = options->desired - rollout_alive(group);

	if (missing < 0)
		*out_stop = -missing;
	else if (seen->now_ms >= retry_at_ms)
		*out_start = missing;
	else if (missing)
		look_again(out_look_again_ms, retry_at_ms);
}

static void shift_production(struct rollout_actions *actions, int permille)
{
	actions->set_production = true;
	actions->production_permille = permille;
}

static int next_share(const struct rollout_options *options, int share)
{
	int step = options->step_permille > 0 ? options->step_permille : ALL;

	if (share > 0 && options->one_step)
		return ALL;
	return share + step < ALL ? share + step : ALL;
}

/* One share after the other; true when all traffic is on the target. */
static bool shift_by_steps(const struct rollout_options *options, const struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *actions)
{
	int64_t due_ms = rollout->stage_since_ms + options->step_bake_ms;

	if (seen->production_permille >= ALL)
		return true;
	if (seen->production_permille > 0 && seen->now_ms < due_ms)
		look_again(&actions->look_again_ms, due_ms);
	else
		shift_production(actions, next_share(options, seen->production_permille));
	return false;
}

/* Is the work of this stage done? Adds to the actions what it takes. */
static bool stage_done(const struct rollout_options *options, const struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *actions)
{
	int64_t baked_ms = rollout->stage_since_ms + options->bake_ms;

	switch (rollout->stage) {
	case STAGE_RECONCILE_SERVICE:
		actions->stop_others = rollout_alive(&seen->others);
		return rollout_alive(&seen->others) == 0;
	case STAGE_SCALE_UP:
		return seen->target.healthy >= options->desired;
	case STAGE_TEST_TRAFFIC_SHIFT:
		actions->set_test = seen->has_test_rule && seen->test_permille < ALL;
		actions->test_permille = ALL;
		return !actions->set_test;
	case STAGE_PRODUCTION_TRAFFIC_SHIFT:
		return shift_by_steps(options, rollout, seen, actions);
	case STAGE_BAKE_TIME:
		if (seen->now_ms < baked_ms)
			look_again(&actions->look_again_ms, baked_ms);
		return seen->now_ms >= baked_ms;
	case STAGE_CLEAN_UP:
		actions->stop_source = rollout_alive(&seen->source);
		actions->stop_others = rollout_alive(&seen->others);
		return actions->stop_source + actions->stop_others == 0;
	case STAGE_NONE:
	case STAGE_PRE_SCALE_UP:
	case STAGE_POST_SCALE_UP:
	case STAGE_POST_TEST_TRAFFIC_SHIFT:
	case STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT:
	case STAGE_POST_PRODUCTION_TRAFFIC_SHIFT:
	default:
		return true;
	}
}

static void go_forward(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *actions)
{
	while (stage_done(options, rollout, seen, actions)) {
		if (rollout->stage == STAGE_CLEAN_UP) {
			rollout->status = ROLLOUT_SUCCESSFUL;
			return;
		}
		rollout->stage++;
		rollout->stage_since_ms = seen->now_ms;
	}
	if (actions->set_production)
		rollout->stage_since_ms = seen->now_ms; /* a step's own bake time starts */
	if (rollout->stage >= STAGE_SCALE_UP)
		keep_at(options, rollout->retry_at_ms, seen, &seen->target, &actions->start_target,
			&actions->stop_target, &actions->look_again_ms);
	/* The old revision serves, or could at any moment again. */
	if (options->has_source && rollout->stage < STAGE_CLEAN_UP)
		keep_at(options, rollout->kept_retry_at_ms, seen, &seen->source,
			&actions->start_source, &actions->stop_source, &actions->look_again_ms);
}

/* Traffic first, then the new tasks. */
static void go_back(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *actions)
{
	keep_at(options, rollout->retry_at_ms, seen, &seen->source, &actions->start_source,
		&actions->stop_source, &actions->look_again_ms);
	actions->set_test = seen->has_test_rule && seen->test_permille > 0;
	actions->test_permille = 0;
	if (seen->production_permille > 0) {
		shift_production(actions, 0);
		return;
	}
	actions->stop_target = rollout_alive(&seen->target);
	actions->stop_others = rollout_alive(&seen->others);
	if (!actions->set_test && actions->stop_target + actions->stop_others == 0 &&
		seen->source.healthy >= options->desired)
		rollout->status = ROLLOUT_ROLLBACK_SUCCESSFUL;
}

void blue_green_decide(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions)
{
	*out_actions = (struct rollout_actions){0};
	if (rollout->stage == STAGE_NONE) {
		rollout->stage = STAGE_RECONCILE_SERVICE;
		rollout->stage_since_ms = seen->now_ms;
	}
	bool failed = rollout_count(options, rollout, seen);

	/* In CLEAN_UP the old revision is going: there is no way back any more. */
	if (failed && rollout->stage < STAGE_CLEAN_UP) {
		rollout->triggered = true;
		rollout_fail(rollout, options->breaker.rollback, options->has_source);
	} else if (seen->rollback_requested && rollout->status == ROLLOUT_IN_PROGRESS &&
		   rollout->stage < STAGE_CLEAN_UP) {
		rollout_fail(rollout, options->has_source, options->has_source);
	}
	if (rollout->status == ROLLOUT_IN_PROGRESS)
		go_forward(options, rollout, seen, out_actions);
	else if (rollout->status == ROLLOUT_ROLLBACK_IN_PROGRESS)
		go_back(options, rollout, seen, out_actions);
}
