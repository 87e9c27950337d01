#include "tests/test.h"

#include "deployers/local/blue_green.h"

static struct rollout_options usual(void)
{
	struct rollout_options options = {.desired = 2,
		.has_source = true,
		.step_permille = 1000,
		.bake_ms = 60000};

	options.breaker.enabled = options.breaker.rollback = options.breaker.reset_on_healthy =
		true;
	options.breaker.value = 50;
	return options;
}

static struct rollout_actions decide(const struct rollout_options *options, struct rollout *rollout,
	struct rollout_observation seen)
{
	struct rollout_actions actions;

	blue_green_decide(options, rollout, &seen, &actions);
	return actions;
}

TEST(the_new_colour_starts_gets_the_traffic_bakes_and_the_old_one_goes)
{
	struct rollout_options options = usual();
	struct rollout rollout = {0};
	struct rollout_observation seen = {.now_ms = 1000, .source = {.healthy = 2}};
	struct rollout_actions actions = decide(&options, &rollout, seen);

	CHECK_TEXT(rollout_stage_name(rollout.stage), "SCALE_UP");
	CHECK_INT(actions.start_target, 2);
	CHECK_INT(actions.stop_source, 0);
	seen.target.healthy = 1;
	seen.target.unhealthy = 1;
	actions = decide(&options, &rollout, seen);
	CHECK(!actions.set_production);
	seen.target = (struct rollout_group){.healthy = 2};
	actions = decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_stage_name(rollout.stage), "PRODUCTION_TRAFFIC_SHIFT");
	CHECK(actions.set_production);
	CHECK_INT(actions.production_permille, 1000);
	seen.production_permille = 1000;
	seen.now_ms = 2000;
	actions = decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_stage_name(rollout.stage), "BAKE_TIME");
	CHECK_INT(actions.look_again_ms, 62000);
	CHECK_INT(actions.stop_source, 0);
	seen.now_ms = 62000;
	actions = decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_stage_name(rollout.stage), "CLEAN_UP");
	CHECK_INT(actions.stop_source, 2);
	seen.source.healthy = 0;
	decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_status_name(rollout.status), "SUCCESSFUL");
}

TEST(the_test_listener_is_shifted_before_production)
{
	struct rollout_options options = usual();
	struct rollout rollout = {0};
	struct rollout_observation seen = {.source = {.healthy = 2},
		.target = {.healthy = 2},
		.has_test_rule = true};
	struct rollout_actions actions = decide(&options, &rollout, seen);

	CHECK_TEXT(rollout_stage_name(rollout.stage), "TEST_TRAFFIC_SHIFT");
	CHECK(actions.set_test && actions.test_permille == 1000 && !actions.set_production);
	seen.test_permille = 1000;
	actions = decide(&options, &rollout, seen);
	CHECK(!actions.set_test && actions.set_production);
}

TEST(a_rollback_while_baking_returns_the_traffic_first)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_BAKE_TIME};
	struct rollout_observation seen = {.source = {.healthy = 2},
		.target = {.healthy = 2},
		.production_permille = 1000,
		.rollback_requested = true};
	struct rollout_actions actions = decide(&options, &rollout, seen);

	CHECK_TEXT(rollout_status_name(rollout.status), "ROLLBACK_IN_PROGRESS");
	CHECK(actions.set_production && actions.production_permille == 0);
	CHECK_INT(actions.stop_target, 0);
	seen.production_permille = 0;
	actions = decide(&options, &rollout, seen);
	CHECK_INT(actions.stop_target, 2);
	seen.target.healthy = 0;
	decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_status_name(rollout.status), "ROLLBACK_SUCCESSFUL");
}

TEST(tasks_that_crash_while_scaling_up_are_rolled_back)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_SCALE_UP};
	struct rollout_observation seen = {.source = {.healthy = 2}, .failed = 3};

	decide(&options, &rollout, seen);
	CHECK_TEXT(rollout_status_name(rollout.status), "ROLLBACK_SUCCESSFUL");
	CHECK(rollout.triggered);
}

TEST(once_the_old_colour_goes_there_is_no_way_back)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_CLEAN_UP};
	struct rollout_observation seen = {.source = {.healthy = 1},
		.target = {.healthy = 2},
		.production_permille = 1000,
		.rollback_requested = true};
	struct rollout_actions actions = decide(&options, &rollout, seen);

	CHECK_TEXT(rollout_status_name(rollout.status), "IN_PROGRESS");
	CHECK_INT(actions.stop_source, 1);
}

TEST(the_old_colour_is_kept_at_full_strength_until_then)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_BAKE_TIME};
	struct rollout_observation seen = {.source = {.healthy = 1},
		.target = {.healthy = 2},
		.production_permille = 1000};

	CHECK_INT(decide(&options, &rollout, seen).start_source, 1);
}

TEST(an_old_colour_that_cannot_start_any_more_is_tried_with_pauses)
{
	struct rollout_options options = usual();
	struct rollout rollout = {0};
	struct rollout_observation seen = {.now_ms = 1000, .target = {.healthy = 2}};
	struct rollout_actions actions = {0};
	int tries = 0;

	/* Each try fails at once; the clock does not move. */
	for (int i = 0; i < 50; i++) {
		actions = decide(&options, &rollout, seen);
		tries += actions.start_source > 0;
		seen.kept_failed = actions.start_source;
	}
	CHECK(tries > 0 && tries <= 10);
	CHECK(actions.look_again_ms > seen.now_ms);
	/* That says nothing about the new colour. */
	CHECK_TEXT(rollout_status_name(rollout.status), "IN_PROGRESS");
	CHECK_INT(rollout.failed_tasks, 0);
	seen.now_ms = actions.look_again_ms;
	CHECK_INT(decide(&options, &rollout, seen).start_source, 2);
}

TEST(a_canary_gets_a_share_and_then_the_rest)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_PRODUCTION_TRAFFIC_SHIFT};
	struct rollout_observation seen = {.now_ms = 5000,
		.source = {.healthy = 2},
		.target = {.healthy = 2}};

	options.step_permille = 50;
	options.one_step = true;
	options.step_bake_ms = 10000;
	CHECK_INT(decide(&options, &rollout, seen).production_permille, 50);
	seen.production_permille = 50;
	CHECK(!decide(&options, &rollout, seen).set_production);
	CHECK_INT(decide(&options, &rollout, seen).look_again_ms, 15000);
	seen.now_ms = 15000;
	CHECK_INT(decide(&options, &rollout, seen).production_permille, 1000);
}

TEST(linear_goes_step_by_step)
{
	struct rollout_options options = usual();
	struct rollout rollout = {.stage = STAGE_PRODUCTION_TRAFFIC_SHIFT};
	struct rollout_observation seen = {.source = {.healthy = 2}, .target = {.healthy = 2}};
	int shares[8], count = 0;

	options.step_permille = 300;
	options.step_bake_ms = 1000;
	while (seen.production_permille < 1000 && count < 8) {
		struct rollout_actions actions = decide(&options, &rollout, seen);

		if (actions.set_production)
			shares[count++] = seen.production_permille = actions.production_permille;
		seen.now_ms += 1000;
	}
	CHECK_INT(count, 4);
	CHECK(shares[0] == 300 && shares[1] == 600 && shares[2] == 900 && shares[3] == 1000);
}

TEST_MAIN()
