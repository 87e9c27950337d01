#include "tests/test.h"

#include "pipeline/engine/schedule.h"

/* Three services: rooms (all four steps), users (all four), web (deploys after rooms and users). */
struct world {
	struct schedule_step steps[12];
	struct schedule_service services[3];
	struct schedule schedule;
};

static const size_t web_after[] = {0, 1};

static void world_init(struct world *world, size_t jobs)
{
	*world = (struct world){0};
	for (size_t i = 0; i < 12; i++)
		world->steps[i] = (struct schedule_step){.service = i / 4,
			.kind = (enum step_kind)(i % 4),
			.status = OUTCOME_WAITING};
	for (size_t i = 0; i < 3; i++)
		world->services[i] =
			(struct schedule_service){.first_step = 4 * i, .step_count = 4};
	world->services[2].after = web_after;
	world->services[2].after_count = 2;
	world->schedule = (struct schedule){.steps = world->steps,
		.step_count = 12,
		.services = world->services,
		.service_count = 3,
		.jobs = jobs};
}

/* Starts and blocks until there is nothing left to decide; returns how many were started. */
static int advance(struct world *world)
{
	int started = 0;

	for (;;) {
		struct schedule_act act = schedule_decide(&world->schedule);
		struct schedule_step *step = &world->steps[act.step];

		if (act.kind == SCHEDULE_START) {
			step->status = OUTCOME_RUNNING;
			started++;
		} else if (act.kind == SCHEDULE_BLOCK) {
			step->status = OUTCOME_SKIPPED;
			step->blocked = true;
		} else if (act.kind == SCHEDULE_CANCEL) {
			step->status = OUTCOME_CANCELLED;
		} else {
			return started;
		}
	}
}

static void pass_running(struct world *world)
{
	for (size_t i = 0; i < 12; i++)
		if (world->steps[i].status == OUTCOME_RUNNING)
			world->steps[i].status = OUTCOME_PASSED;
}

TEST(services_go_side_by_side_and_their_steps_in_order)
{
	struct world world;

	world_init(&world, 8);
	CHECK_INT(advance(&world), 3);
	CHECK_INT(world.steps[0].status, OUTCOME_RUNNING);
	CHECK_INT(world.steps[4].status, OUTCOME_RUNNING);
	CHECK_INT(world.steps[8].status, OUTCOME_RUNNING);
	world.steps[0].status = OUTCOME_PASSED;
	CHECK_INT(advance(&world), 1);
	CHECK_INT(world.steps[1].status, OUTCOME_RUNNING);
	CHECK_INT(world.steps[2].status, OUTCOME_WAITING);
}

TEST(jobs_limit_what_runs_at_once)
{
	struct world world;

	world_init(&world, 2);
	CHECK_INT(advance(&world), 2);
	world.steps[0].status = OUTCOME_PASSED;
	/* one place is free: rooms goes on, web still waits */
	CHECK_INT(advance(&world), 1);
	CHECK_INT(world.steps[1].status, OUTCOME_RUNNING);
	CHECK_INT(world.steps[8].status, OUTCOME_WAITING);
}

TEST(a_deployment_waits_for_those_it_comes_after)
{
	struct world world;

	world_init(&world, 8);
	/* three rounds bring build, image and push of all; web has nothing else to wait for */
	for (int i = 0; i < 3; i++) {
		advance(&world);
		pass_running(&world);
	}
	CHECK_INT(advance(&world), 2);
	CHECK_INT(world.steps[11].status, OUTCOME_WAITING);
	world.steps[3].status = OUTCOME_PASSED;
	CHECK_INT(advance(&world), 0);
	world.steps[7].status = OUTCOME_PASSED;
	CHECK_INT(advance(&world), 1);
	CHECK_INT(world.steps[11].status, OUTCOME_RUNNING);
	pass_running(&world);
	CHECK_INT(schedule_decide(&world.schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_PASSED);
}

TEST(a_failure_stops_its_service_and_what_comes_after_it_alone)
{
	struct world world;

	world_init(&world, 8);
	advance(&world);
	world.steps[0].status = OUTCOME_FAILED;
	pass_running(&world);
	advance(&world);
	/* rooms: image, push, deploy are blocked; web is blocked only in its deployment */
	CHECK(world.steps[1].blocked && world.steps[2].blocked && world.steps[3].blocked);
	CHECK(world.steps[11].blocked);
	CHECK_INT(world.steps[9].status, OUTCOME_RUNNING);
	CHECK_INT(world.steps[5].status, OUTCOME_RUNNING);
	for (int i = 0; i < 3; i++) {
		pass_running(&world);
		advance(&world);
	}
	CHECK_INT(schedule_decide(&world.schedule).kind, SCHEDULE_FINISHED);
	CHECK(schedule_service_passed(&world.schedule, 1));
	CHECK(!schedule_service_passed(&world.schedule, 0));
	CHECK(!schedule_service_passed(&world.schedule, 2));
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_FAILED);
}

TEST(a_block_names_its_cause)
{
	struct world world;

	world_init(&world, 8);
	world.steps[0].status = OUTCOME_PASSED;
	world.steps[1].status = OUTCOME_TIMED_OUT;
	struct schedule_act act = schedule_decide(&world.schedule);

	CHECK_INT(act.kind, SCHEDULE_BLOCK);
	CHECK_INT(act.step, 2);
	CHECK_INT(act.cause, 1);
}

TEST(what_was_skipped_for_a_good_reason_blocks_nobody)
{
	struct world world;

	world_init(&world, 8);
	for (int i = 0; i < 3; i++)
		world.steps[i].status = OUTCOME_SKIPPED;
	CHECK_INT(advance(&world), 3);
	CHECK_INT(world.steps[3].status, OUTCOME_RUNNING);
}

TEST(a_held_step_lets_others_pass)
{
	struct world world;

	world_init(&world, 1);
	for (int i = 0; i < 3; i++)
		world.steps[i].status = OUTCOME_SKIPPED;
	world.steps[3].held = true;
	CHECK_INT(advance(&world), 1);
	CHECK_INT(world.steps[4].status, OUTCOME_RUNNING);
	for (size_t i = 4; i < 11; i++)
		world.steps[i].status = OUTCOME_PASSED;
	world.steps[11].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&world.schedule).kind, SCHEDULE_WAIT);
}

TEST(after_a_cancellation_nothing_starts)
{
	struct world world;

	world_init(&world, 2);
	advance(&world);
	world.schedule.cancelled = true;
	CHECK_INT(advance(&world), 0);
	CHECK_INT(schedule_decide(&world.schedule).kind, SCHEDULE_WAIT);
	world.steps[0].status = world.steps[4].status = OUTCOME_CANCELLED;
	CHECK_INT(schedule_decide(&world.schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_CANCELLED);
}

TEST(the_most_telling_outcome_is_the_runs)
{
	struct world world;

	world_init(&world, 2);
	for (size_t i = 0; i < 12; i++)
		world.steps[i].status = OUTCOME_PASSED;
	world.steps[0].status = OUTCOME_CANCELLED;
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_CANCELLED);
	world.steps[4].status = OUTCOME_FAILED;
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_FAILED);
	world.steps[11].status = OUTCOME_ROLLED_BACK;
	CHECK_INT(schedule_outcome(&world.schedule), OUTCOME_ROLLED_BACK);
}

TEST(a_run_without_steps_is_over)
{
	struct schedule schedule = {.jobs = 1};

	CHECK_INT(schedule_decide(&schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&schedule), OUTCOME_PASSED);
}

TEST_MAIN()
