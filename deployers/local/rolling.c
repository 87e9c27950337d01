#include "deployers/local/rolling.h"

static int least(int a, int b)
{
	return a < b ? a : b;
}

static int at_least_zero(int n)
{
	return n < 0 ? 0 : n;
}

static struct rollout_group sum(const struct rollout_group *a, const struct rollout_group *b)
{
	return (struct rollout_group){.starting = a->starting + b->starting,
		.unhealthy = a->unhealthy + b->unhealthy,
		.healthy = a->healthy + b->healthy};
}

/* How many of the unwanted tasks may and should go now. */
static int count_to_stop(const struct rollout_options *options, const struct rollout_group *wanted,
	const struct rollout_group *unwanted, int missing, int room)
{
	int min_healthy = (options->desired * options->min_healthy_percent + 99) / 100;
	int healthy = wanted->healthy + unwanted->healthy;
	/* Those that do not serve go at once. */
	int idle = unwanted->starting + unwanted->unhealthy;
	int surplus = healthy - options->desired;
	/* Stopping idle ones makes room too. */
	int cramped = missing - at_least_zero(room) - idle;
	int useful = surplus > cramped ? surplus : cramped;
	int allowed = healthy - min_healthy;

	return idle + least(unwanted->healthy, at_least_zero(least(useful, allowed)));
}

static void move(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, const struct rollout_group *wanted,
	const struct rollout_group *unwanted, int *out_start, int *out_stop_wanted,
	int *out_stop_unwanted, int64_t *out_look_again_ms)
{
	int alive = rollout_alive(wanted);
	int missing = at_least_zero(options->desired - alive);
	int most = options->desired * options->max_percent / 100;
	int room = most - alive - rollout_alive(unwanted);

	*out_stop_unwanted = count_to_stop(options, wanted, unwanted, missing, room);
	*out_stop_wanted = at_least_zero(alive - options->desired);
	if (seen->now_ms >= rollout->retry_at_ms)
		*out_start = at_least_zero(least(missing, room));
	else if (missing)
		*out_look_again_ms = rollout->retry_at_ms;
}

void rolling_decide(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions)
{
	*out_actions = (struct rollout_actions){0};
	if (rollout_count(options, rollout, seen)) {
		rollout->triggered = true;
		rollout_fail(rollout, options->breaker.rollback, options->has_source);
	} else if (seen->rollback_requested && rollout->status == ROLLOUT_IN_PROGRESS) {
		rollout_fail(rollout, options->has_source, options->has_source);
	}
	if (rollout_ended(rollout->status))
		return;

	bool back = rollout->status == ROLLOUT_ROLLBACK_IN_PROGRESS;
	const struct rollout_group *wanted = back ? &seen->source : &seen->target;
	const struct rollout_group *old = back ? &seen->target : &seen->source;
	struct rollout_group unwanted = sum(old, &seen->others);
	int start = 0, stop_wanted = 0, stop_unwanted = 0;

	move(options, rollout, seen, wanted, &unwanted, &start, &stop_wanted, &stop_unwanted,
		&out_actions->look_again_ms);
	/* Leftovers of rollouts that were cut short go before the revision we would go back to. */
	out_actions->stop_others = least(stop_unwanted, rollout_alive(&seen->others));
	int stop_old = stop_unwanted - out_actions->stop_others;

	out_actions->start_target = back ? 0 : start;
	out_actions->start_source = back ? start : 0;
	out_actions->stop_target = back ? stop_old : stop_wanted;
	out_actions->stop_source = back ? stop_wanted : stop_old;
	if (wanted->healthy == options->desired && rollout_alive(wanted) == options->desired &&
		rollout_alive(&unwanted) == 0)
		rollout->status = back ? ROLLOUT_ROLLBACK_SUCCESSFUL : ROLLOUT_SUCCESSFUL;
}
