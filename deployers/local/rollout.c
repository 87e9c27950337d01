#include "deployers/local/rollout.h"

#include "base/buf.h"
#include "deployers/local/blue_green.h"
#include "deployers/local/rolling.h"

static const char *const statuses[] = {
	[ROLLOUT_IN_PROGRESS] = "IN_PROGRESS",
	[ROLLOUT_SUCCESSFUL] = "SUCCESSFUL",
	[ROLLOUT_STOPPED] = "STOPPED",
	[ROLLOUT_ROLLBACK_IN_PROGRESS] = "ROLLBACK_IN_PROGRESS",
	[ROLLOUT_ROLLBACK_SUCCESSFUL] = "ROLLBACK_SUCCESSFUL",
	[ROLLOUT_ROLLBACK_FAILED] = "ROLLBACK_FAILED",
};

static const char *const stages[] = {
	[STAGE_NONE] = NULL,
	[STAGE_RECONCILE_SERVICE] = "RECONCILE_SERVICE",
	[STAGE_PRE_SCALE_UP] = "PRE_SCALE_UP",
	[STAGE_SCALE_UP] = "SCALE_UP",
	[STAGE_POST_SCALE_UP] = "POST_SCALE_UP",
	[STAGE_TEST_TRAFFIC_SHIFT] = "TEST_TRAFFIC_SHIFT",
	[STAGE_POST_TEST_TRAFFIC_SHIFT] = "POST_TEST_TRAFFIC_SHIFT",
	[STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT] = "PRE_PRODUCTION_TRAFFIC_SHIFT",
	[STAGE_PRODUCTION_TRAFFIC_SHIFT] = "PRODUCTION_TRAFFIC_SHIFT",
	[STAGE_POST_PRODUCTION_TRAFFIC_SHIFT] = "POST_PRODUCTION_TRAFFIC_SHIFT",
	[STAGE_BAKE_TIME] = "BAKE_TIME",
	[STAGE_CLEAN_UP] = "CLEAN_UP",
};

static const struct strategy strategies[] = {
	{"ROLLING", rolling_decide, false},
	{"BLUE_GREEN", blue_green_decide, true},
	{"CANARY", blue_green_decide, true},
	{"LINEAR", blue_green_decide, true},
};

const char *rollout_status_name(enum rollout_status status)
{
	return statuses[status];
}

bool rollout_status_of(const char *name, enum rollout_status *out_status)
{
	for (size_t i = 0; i < countof(statuses); i++) {
		if (!text_equal(statuses[i], name))
			continue;
		*out_status = (enum rollout_status)i;
		return true;
	}
	return false;
}

bool rollout_ended(enum rollout_status status)
{
	return status != ROLLOUT_IN_PROGRESS && status != ROLLOUT_ROLLBACK_IN_PROGRESS;
}

const char *rollout_stage_name(enum rollout_stage stage)
{
	return stages[stage];
}

bool rollout_stage_of(const char *name, enum rollout_stage *out_stage)
{
	for (size_t i = 0; i < countof(stages); i++) {
		if (!text_equal(stages[i], name))
			continue;
		*out_stage = (enum rollout_stage)i;
		return true;
	}
	return false;
}

int rollout_alive(const struct rollout_group *group)
{
	return group->starting + group->unhealthy + group->healthy;
}

const struct strategy *strategy_find(const char *name)
{
	if (!name || !*name)
		return &strategies[0];
	for (size_t i = 0; i < countof(strategies); i++)
		if (text_equal(strategies[i].name, name))
			return &strategies[i];
	return NULL;
}

enum {
	THRESHOLD_LEAST = 3,
	THRESHOLD_MOST = 200,
	FREE_TRIES = 3, /* without a pause: a task may fail for a reason that passes */
	FIRST_PAUSE_MS = 250,
	LONGEST_PAUSE_MS = 60000,
};

int rollout_threshold(const struct rollout_options *options)
{
	int64_t percent = ((int64_t)options->desired * options->breaker.value + 99) / 100;

	switch (options->breaker.threshold) {
	case THRESHOLD_COUNT:
		return options->breaker.value > 0 ? options->breaker.value : 1;
	case THRESHOLD_UNBOUNDED_PERCENT:
		return percent > 0 ? (int)percent : 1;
	case THRESHOLD_BOUNDED_PERCENT:
	default:
		if (percent < THRESHOLD_LEAST)
			return THRESHOLD_LEAST;
		return percent > THRESHOLD_MOST ? THRESHOLD_MOST : (int)percent;
	}
}

static int64_t pause_ms(int failed_in_row)
{
	int64_t pause = FIRST_PAUSE_MS;

	if (failed_in_row < FREE_TRIES)
		return 0;
	for (int i = FREE_TRIES; i < failed_in_row && pause < LONGEST_PAUSE_MS; i++)
		pause *= 2;
	return pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
}

/* Failures of the old revision say nothing about the new one, but they, too, are not repeated without
 * a pause. */
static void count_kept(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen)
{
	if (seen->kept_failed) {
		rollout->kept_failed_in_row += seen->kept_failed;
		rollout->kept_retry_at_ms = seen->now_ms + pause_ms(rollout->kept_failed_in_row);
	} else if (seen->source.healthy >= options->desired) {
		rollout->kept_failed_in_row = 0;
		rollout->kept_retry_at_ms = 0;
	}
}

bool rollout_count(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen)
{
	count_kept(options, rollout, seen);
	if (seen->became_healthy) {
		rollout->failed_in_row = 0;
		rollout->retry_at_ms = 0;
		if (options->breaker.reset_on_healthy)
			rollout->failed_tasks = 0;
	}
	if (!seen->failed)
		return false;
	rollout->failed_tasks += seen->failed;
	rollout->failed_in_row += seen->failed;
	rollout->retry_at_ms = seen->now_ms + pause_ms(rollout->failed_in_row);
	return options->breaker.enabled && rollout->failed_tasks >= rollout_threshold(options);
}

void rollout_fail(struct rollout *rollout, bool rollback_wanted, bool has_source)
{
	rollout->failed_tasks = rollout->failed_in_row = 0;
	rollout->retry_at_ms = 0;
	if (rollout->status == ROLLOUT_ROLLBACK_IN_PROGRESS)
		rollout->status = ROLLOUT_ROLLBACK_FAILED;
	else if (!rollback_wanted)
		rollout->status = ROLLOUT_STOPPED;
	else
		rollout->status =
			has_source ? ROLLOUT_ROLLBACK_IN_PROGRESS : ROLLOUT_ROLLBACK_FAILED;
}

void rollout_keep(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions)
{
	int missing = options->desired - rollout_alive(&seen->target);
	struct rollout_options watching = *options;

	watching.breaker.enabled = false;
	rollout_count(&watching, rollout, seen);
	*out_actions = (struct rollout_actions){0};
	out_actions->stop_source = rollout_alive(&seen->source);
	out_actions->stop_others = rollout_alive(&seen->others);
	if (missing < 0)
		out_actions->stop_target = -missing;
	else if (seen->now_ms < rollout->retry_at_ms)
		out_actions->look_again_ms = missing ? rollout->retry_at_ms : 0;
	else
		out_actions->start_target = missing;
}
