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
			.kind = (enum step_kind)(STEP_BUILD + i % 4),
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

/* One service: the tasks a and b, c after both, then its build. */
struct batch {
	struct schedule_step steps[4];
	struct schedule_service service;
	struct schedule schedule;
};

static const size_t c_after[] = {0, 1};

static void batch_init(struct batch *batch, bool fast_fail)
{
	*batch = (struct batch){0};
	for (size_t i = 0; i < 4; i++)
		batch->steps[i] = (struct schedule_step){.kind = i < 3 ? STEP_TASK : STEP_BUILD,
			.status = OUTCOME_WAITING};
	batch->steps[2].after = c_after;
	batch->steps[2].after_count = 2;
	batch->service = (struct schedule_service){.step_count = 4, .fast_fail = fast_fail};
	batch->schedule = (struct schedule){.steps = batch->steps,
		.step_count = 4,
		.services = &batch->service,
		.service_count = 1,
		.jobs = 4};
}

static void check_act(const struct batch *batch, enum schedule_act_kind kind, size_t step,
	size_t cause)
{
	struct schedule_act act = schedule_decide(&batch->schedule);

	CHECK_INT(act.kind, kind);
	CHECK_INT(act.step, step);
	CHECK_INT(act.cause, cause);
}

static void start_both(struct batch *batch)
{
	check_act(batch, SCHEDULE_START, 0, 0);
	batch->steps[0].status = OUTCOME_RUNNING;
	check_act(batch, SCHEDULE_START, 1, 1);
	batch->steps[1].status = OUTCOME_RUNNING;
	CHECK_INT(schedule_decide(&batch->schedule).kind, SCHEDULE_WAIT);
}

TEST(a_task_waits_for_those_it_depends_on_and_the_build_for_all)
{
	struct batch batch;

	batch_init(&batch, false);
	start_both(&batch);
	batch.steps[1].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_WAIT);
	batch.steps[0].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&batch.schedule).step, 2);
	batch.steps[2].status = OUTCOME_RUNNING;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_WAIT);
	batch.steps[2].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&batch.schedule).step, 3);
	batch.steps[3].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&batch.schedule), OUTCOME_PASSED);
}

TEST(a_task_that_fails_blocks_what_depends_on_it_and_no_other)
{
	struct batch batch;

	batch_init(&batch, false);
	start_both(&batch);
	batch.steps[0].status = OUTCOME_FAILED;
	check_act(&batch, SCHEDULE_BLOCK, 2, 0);
	batch.steps[2].status = OUTCOME_SKIPPED;
	batch.steps[2].blocked = true;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_BLOCK);
	batch.steps[3].status = OUTCOME_SKIPPED;
	batch.steps[3].blocked = true;
	/* b is still at work */
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_WAIT);
	batch.steps[1].status = OUTCOME_PASSED;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&batch.schedule), OUTCOME_FAILED);
}

TEST(a_failure_that_is_ignored_counts_as_success)
{
	struct batch batch;

	batch_init(&batch, true);
	batch.steps[0].ignore_failure = true;
	start_both(&batch);
	batch.steps[0].status = OUTCOME_TIMED_OUT;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_WAIT);
	batch.steps[1].status = OUTCOME_PASSED;
	check_act(&batch, SCHEDULE_START, 2, 2);
	batch.steps[2].status = batch.steps[3].status = OUTCOME_PASSED;
	CHECK_INT(schedule_outcome(&batch.schedule), OUTCOME_PASSED);
	CHECK(schedule_service_passed(&batch.schedule, 0));
	/* being cancelled is no failure of the task's own */
	batch.steps[0].status = OUTCOME_CANCELLED;
	CHECK(!schedule_service_passed(&batch.schedule, 0));
}

TEST(fast_fail_stops_those_at_work_once_and_starts_no_other)
{
	struct batch batch;

	batch_init(&batch, true);
	start_both(&batch);
	batch.steps[1].status = OUTCOME_FAILED;
	check_act(&batch, SCHEDULE_STOP, 0, 1);
	batch.steps[0].stopping = true;
	check_act(&batch, SCHEDULE_BLOCK, 2, 1);
	batch.steps[2].status = OUTCOME_SKIPPED;
	batch.steps[2].blocked = true;
	batch.steps[3].status = OUTCOME_SKIPPED;
	batch.steps[3].blocked = true;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_WAIT);
	batch.steps[0].status = OUTCOME_CANCELLED;
	CHECK_INT(schedule_decide(&batch.schedule).kind, SCHEDULE_FINISHED);
	CHECK_INT(schedule_outcome(&batch.schedule), OUTCOME_FAILED);
}

TEST(steps_of_tasks_are_named_after_them)
{
	enum step_kind kind = STEP_DEPLOY;

	CHECK(step_kind_of_name("build:gcc", &kind));
	CHECK_INT(kind, STEP_TASK);
	CHECK(step_kind_of_name("build", &kind));
	CHECK_INT(kind, STEP_BUILD);
	CHECK(!step_kind_of_name("build:", &kind));
	CHECK(!step_kind_of_name("tests", &kind));
}
