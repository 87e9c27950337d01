#include "tests/test.h"

#include "deployers/local/rolling.h"

/* A rollout as a timeline: each row is what is seen and what must be done then. Percentages and
 * counts follow the ECS documentation: minimum rounded up, maximum rounded down. */
static struct rollout_options usual(int desired)
{
	struct rollout_options options = {.desired = desired,
		.min_healthy_percent = 100,
		.max_percent = 200,
		.has_source = true};

	options.breaker.enabled = options.breaker.rollback = options.breaker.reset_on_healthy =
		true;
	options.breaker.value = 50;
	return options;
}

struct row {
	struct rollout_group target, source;
	int failed;
	int start_target, stop_source, start_source, stop_target;
	enum rollout_status status;
};

static void check_timeline(const struct rollout_options *options, struct rollout *rollout,
	const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rollout_observation seen = {.now_ms = (int64_t)i * 100000,
			.target = rows[i].target,
			.source = rows[i].source,
			.failed = rows[i].failed};
		struct rollout_actions actions;

		rolling_decide(options, rollout, &seen, &actions);
		if (actions.start_target != rows[i].start_target ||
			actions.stop_source != rows[i].stop_source ||
			actions.start_source != rows[i].start_source ||
			actions.stop_target != rows[i].stop_target)
			TEST_FAIL("row %zu: start %d+%d stop %d+%d", i, actions.start_target,
				actions.start_source, actions.stop_target, actions.stop_source);
		CHECK_TEXT(rollout_status_name(rollout->status),
			rollout_status_name(rows[i].status));
	}
}

TEST(new_tasks_start_beside_the_old_and_old_ones_go_as_new_ones_become_healthy)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	const struct row rows[] = {
		/* 200 % of 2 are 4: both new ones fit */
		{.source = {.healthy = 2}, .start_target = 2},
		{.source = {.healthy = 2}, .target = {.starting = 2}},
		{.source = {.healthy = 2}, .target = {.unhealthy = 2}},
		{.source = {.healthy = 2},
			.target = {.unhealthy = 1, .healthy = 1},
			.stop_source = 1},
		{.source = {.healthy = 1}, .target = {.healthy = 2}, .stop_source = 1},
		{.target = {.healthy = 2}, .status = ROLLOUT_SUCCESSFUL},
	};

	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(without_room_above_old_tasks_go_first_down_to_the_minimum)
{
	struct rollout_options options = usual(4);
	struct rollout rollout = {0};
	const struct row rows[] = {
		/* 50 % of 4 must stay, 100 % may run: two go, two come, twice */
		{.source = {.healthy = 4}, .stop_source = 2},
		{.source = {.healthy = 2}, .start_target = 2},
		{.source = {.healthy = 2}, .target = {.unhealthy = 2}},
		{.source = {.healthy = 2}, .target = {.healthy = 2}, .stop_source = 2},
		{.target = {.healthy = 2}, .start_target = 2},
		{.target = {.healthy = 4}, .status = ROLLOUT_SUCCESSFUL},
	};

	options.min_healthy_percent = 50;
	options.max_percent = 100;
	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(minimum_rounds_up_and_maximum_rounds_down)
{
	struct rollout_options options = usual(3);
	struct rollout rollout = {0};
	const struct row rows[] = {
		/* at least ceil(1.5) = 2, at most floor(4.5) = 4: one comes, one goes for room */
		{.source = {.healthy = 3}, .start_target = 1, .stop_source = 1},
		{.source = {.healthy = 2}, .target = {.starting = 1}, .start_target = 1},
	};

	options.min_healthy_percent = 50;
	options.max_percent = 150;
	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(a_single_task_at_100_and_100_percent_cannot_move)
{
	struct rollout_options options = usual(1);
	struct rollout rollout = {0};
	const struct row rows[] = {{.source = {.healthy = 1}}, {.source = {.healthy = 1}}};

	options.max_percent = 100;
	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(old_tasks_that_do_not_serve_go_at_once)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	const struct row rows[] = {
		{.source = {.unhealthy = 1, .healthy = 1}, .stop_source = 1, .start_target = 2},
	};

	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(the_circuit_breaker_rolls_back_after_three_failures)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	const struct row rows[] = {
		{.source = {.healthy = 2}, .start_target = 2},
		/* 50 % of 2 is 1, but fewer than 3 never trigger it */
		{.source = {.healthy = 2}, .failed = 2, .start_target = 2},
		{.source = {.healthy = 2},
			.target = {.starting = 1},
			.failed = 1,
			.stop_target = 1,
			.status = ROLLOUT_ROLLBACK_IN_PROGRESS},
		{.source = {.healthy = 2}, .status = ROLLOUT_ROLLBACK_SUCCESSFUL},
	};

	check_timeline(&options, &rollout, rows, countof(rows));
	CHECK(rollout.triggered);
}

TEST(a_rollback_brings_back_what_was_stopped_already)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {.status = ROLLOUT_ROLLBACK_IN_PROGRESS};
	const struct row rows[] = {
		{.source = {.healthy = 1},
			.target = {.healthy = 1},
			.start_source = 1,
			.status = ROLLOUT_ROLLBACK_IN_PROGRESS},
		{.source = {.healthy = 2},
			.target = {.healthy = 1},
			.stop_target = 1,
			.status = ROLLOUT_ROLLBACK_IN_PROGRESS},
		{.source = {.healthy = 2}, .status = ROLLOUT_ROLLBACK_SUCCESSFUL},
	};

	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(without_a_revision_to_go_back_to_a_failed_rollout_stops_launching)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	const struct row rows[] = {
		{.start_target = 2},
		{.failed = 3, .status = ROLLOUT_ROLLBACK_FAILED},
		{.status = ROLLOUT_ROLLBACK_FAILED},
	};

	options.has_source = false;
	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(without_rollback_the_breaker_only_stops)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	const struct row rows[] = {
		{.source = {.healthy = 2}, .failed = 3, .status = ROLLOUT_STOPPED},
	};

	options.breaker.rollback = false;
	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(a_failing_rollback_ends)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {.status = ROLLOUT_ROLLBACK_IN_PROGRESS};
	const struct row rows[] = {
		{.failed = 3, .status = ROLLOUT_ROLLBACK_FAILED},
	};

	check_timeline(&options, &rollout, rows, countof(rows));
}

TEST(thresholds_follow_their_kind)
{
	struct rollout_options options = usual(2);

	CHECK_INT(rollout_threshold(&options), 3);
	options.desired = 9; /* ceil(4.5) */
	CHECK_INT(rollout_threshold(&options), 5);
	options.desired = 1000;
	CHECK_INT(rollout_threshold(&options), 200);
	options.breaker.threshold = THRESHOLD_UNBOUNDED_PERCENT;
	CHECK_INT(rollout_threshold(&options), 500);
	options.breaker.threshold = THRESHOLD_COUNT;
	options.breaker.value = 7;
	CHECK_INT(rollout_threshold(&options), 7);
}

TEST(a_healthy_task_clears_the_count_unless_told_otherwise)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	struct rollout_observation seen = {.failed = 2};

	CHECK(!rollout_count(&options, &rollout, &seen));
	seen = (struct rollout_observation){.became_healthy = 1};
	CHECK(!rollout_count(&options, &rollout, &seen));
	CHECK_INT(rollout.failed_tasks, 0);
	options.breaker.reset_on_healthy = false;
	seen = (struct rollout_observation){.failed = 2};
	CHECK(!rollout_count(&options, &rollout, &seen));
	seen = (struct rollout_observation){.became_healthy = 1, .failed = 1};
	CHECK(rollout_count(&options, &rollout, &seen));
}

TEST(tries_come_further_and_further_apart)
{
	struct rollout_options options = usual(2);
	struct rollout rollout = {0};
	struct rollout_observation seen = {.now_ms = 1000, .failed = 2};
	struct rollout_actions actions;

	options.breaker.enabled = false;
	rolling_decide(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.start_target, 2);
	/* the fourth failure: 2 × 250 ms */
	rolling_decide(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.start_target, 0);
	CHECK_INT(actions.look_again_ms, 1500);
	seen = (struct rollout_observation){.now_ms = 1500};
	rolling_decide(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.start_target, 2);
	/* and never more than a minute */
	seen = (struct rollout_observation){.now_ms = 2000, .failed = 100};
	rolling_decide(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.look_again_ms, 62000);
}

TEST(a_service_without_rollout_keeps_its_number)
{
	struct rollout_options options = usual(3);
	struct rollout rollout = {.status = ROLLOUT_SUCCESSFUL};
	struct rollout_observation seen = {.target = {.healthy = 2}};
	struct rollout_actions actions;

	rollout_keep(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.start_target, 1);
	options.desired = 1;
	rollout_keep(&options, &rollout, &seen, &actions);
	CHECK_INT(actions.stop_target, 1);
}

TEST_MAIN()
