#include "tests/test.h"

#include "deployers/ecs/poll.h"
#include "deployers/ecs/verdict.h"

/* The deadline is at 1,000,000; a look shows a deployment that runs, two tasks wanted. */
static const int64_t deadline_ms = 1000000;

static struct verdict_state start(void)
{
	return (struct verdict_state){.deadline_ms = deadline_ms};
}

static struct verdict_observation look(int64_t now_ms, enum deployment_phase phase)
{
	return (struct verdict_observation){.now_ms = now_ms, .phase = phase, .desired = 2};
}

static void check(struct verdict_state *state, struct verdict_observation seen,
	enum verdict_step step, enum verdict expected)
{
	enum verdict verdict = VERDICT_NONE;

	CHECK_INT(verdict_decide(state, &seen, &verdict), step);
	CHECK_INT(verdict, expected);
}

TEST(only_successful_with_our_image_is_deployed)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(1, DEPLOYMENT_RUNNING);

	seen.tasks_right = 2; /* all tasks look fine, but the cloud has not said so yet */
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.phase = DEPLOYMENT_SUCCESSFUL;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_DEPLOYED);
	state = start();
	seen.tasks_right = 0;
	seen.desired = 0; /* a service scaled to nothing */
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_DEPLOYED);
}

TEST(successful_with_another_image_is_unknown)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(1000, DEPLOYMENT_SUCCESSFUL);

	seen.tasks_right = 1;
	seen.tasks_wrong = 1;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.now_ms += VERDICT_CONFIRM_MS - 1;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.now_ms += 1;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_UNKNOWN);
	/* It may also come right in time. */
	state = start();
	seen.now_ms = 1000;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.tasks_wrong = 0;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_DEPLOYED);
}

TEST(the_second_identical_crash_ends_it_at_once)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(10, DEPLOYMENT_RUNNING);

	seen.same_crashes = 1;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.same_crashes = 2;
	check(&state, seen, VERDICT_ASK_ROLLBACK, VERDICT_NONE);
	seen.now_ms = 20;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE); /* asked once only */
	seen.phase = DEPLOYMENT_ROLLING_BACK;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.phase = DEPLOYMENT_ROLLED_BACK;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_ROLLED_BACK);
}

TEST(a_cause_that_cannot_heal_ends_it_at_once)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(10, DEPLOYMENT_RUNNING);

	seen.hopeless = true;
	seen.same_crashes = 1;
	check(&state, seen, VERDICT_ASK_ROLLBACK, VERDICT_NONE);
	/* The first deployment of a service has nothing to go back to. */
	seen.phase = DEPLOYMENT_STOPPED;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_FAILED);
}

TEST(the_deadline_asks_for_the_rollback_and_stays_the_verdict)
{
	struct verdict_state state = start();

	check(&state, look(deadline_ms - 1, DEPLOYMENT_RUNNING), VERDICT_WAIT, VERDICT_NONE);
	check(&state, look(deadline_ms, DEPLOYMENT_RUNNING), VERDICT_ASK_ROLLBACK, VERDICT_NONE);
	check(&state, look(deadline_ms + 5, DEPLOYMENT_ROLLING_BACK), VERDICT_WAIT, VERDICT_NONE);
	check(&state, look(deadline_ms + 9, DEPLOYMENT_ROLLED_BACK), VERDICT_CONCLUDE,
		VERDICT_TIMED_OUT);
}

TEST(a_deployment_that_succeeds_just_in_time_is_deployed)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(deadline_ms + 10, DEPLOYMENT_SUCCESSFUL);

	check(&state, look(deadline_ms, DEPLOYMENT_RUNNING), VERDICT_ASK_ROLLBACK, VERDICT_NONE);
	seen.tasks_right = 2;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_DEPLOYED);
}

TEST(the_cloud_s_own_rollback_is_a_rollback)
{
	struct verdict_state state = start();

	check(&state, look(10, DEPLOYMENT_ROLLING_BACK), VERDICT_WAIT, VERDICT_NONE);
	check(&state, look(20, DEPLOYMENT_ROLLED_BACK), VERDICT_CONCLUDE, VERDICT_ROLLED_BACK);
	check(&state, look(20, DEPLOYMENT_ROLLBACK_FAILED), VERDICT_CONCLUDE, VERDICT_FAILED);
}

TEST(a_rollback_that_does_not_end_is_unknown)
{
	struct verdict_state state = start();

	check(&state, look(10, DEPLOYMENT_ROLLING_BACK), VERDICT_WAIT, VERDICT_NONE);
	check(&state, look(10 + VERDICT_ROLLBACK_MS, DEPLOYMENT_ROLLING_BACK), VERDICT_CONCLUDE,
		VERDICT_UNKNOWN);
}

TEST(who_only_looks_asks_for_nothing)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(10, DEPLOYMENT_RUNNING);

	state.passive = true;
	seen.hopeless = true;
	seen.same_crashes = 5;
	check(&state, seen, VERDICT_WAIT, VERDICT_NONE);
	seen.now_ms = deadline_ms;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_TIMED_OUT);
	seen.phase = DEPLOYMENT_ROLLED_BACK;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_ROLLED_BACK);
}

TEST(a_newer_deployment_supersedes)
{
	struct verdict_state state = start();
	struct verdict_observation seen = look(10, DEPLOYMENT_STOPPED);

	seen.newer = true;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_SUPERSEDED);
	seen.newer = false; /* stopped, and nobody else began: it failed */
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_FAILED);
	/* Ours came to a good end, but what serves now is the newer one. */
	seen = look(10, DEPLOYMENT_SUCCESSFUL);
	seen.newer = true;
	seen.tasks_wrong = 2;
	check(&state, seen, VERDICT_CONCLUDE, VERDICT_SUPERSEDED);
}

TEST(what_was_never_seen_is_unknown)
{
	struct verdict_state state = start();

	check(&state, look(deadline_ms - 1, DEPLOYMENT_UNSEEN), VERDICT_WAIT, VERDICT_NONE);
	check(&state, look(deadline_ms, DEPLOYMENT_UNSEEN), VERDICT_CONCLUDE, VERDICT_UNKNOWN);
}

/* The statuses of the model's enum ServiceDeploymentStatus, and one it may get some day. */
TEST(every_status_has_a_phase)
{
	static const struct {
		const char *status;
		enum deployment_phase phase;
	} rows[] = {
		{NULL, DEPLOYMENT_UNSEEN},
		{"PENDING", DEPLOYMENT_RUNNING},
		{"IN_PROGRESS", DEPLOYMENT_RUNNING},
		{"SOMETHING_NEW", DEPLOYMENT_RUNNING},
		{"STOP_REQUESTED", DEPLOYMENT_STOPPING},
		{"ROLLBACK_REQUESTED", DEPLOYMENT_ROLLING_BACK},
		{"ROLLBACK_IN_PROGRESS", DEPLOYMENT_ROLLING_BACK},
		{"SUCCESSFUL", DEPLOYMENT_SUCCESSFUL},
		{"STOPPED", DEPLOYMENT_STOPPED},
		{"ROLLBACK_SUCCESSFUL", DEPLOYMENT_ROLLED_BACK},
		{"ROLLBACK_FAILED", DEPLOYMENT_ROLLBACK_FAILED},
	};

	for (size_t i = 0; i < countof(rows); i++)
		CHECK_INT(deployment_phase_of(rows[i].status), rows[i].phase);
}

/* interfaces: 0 done, 1 failed, 4 rolled back, 5 superseded, 6 timed out, 7 unknown */
TEST(exit_statuses_keep_verdicts_apart)
{
	static const struct {
		enum verdict verdict;
		const char *name;
		int status;
	} rows[] = {
		{VERDICT_DEPLOYED, "deployed", 0},
		{VERDICT_FAILED, "failed", 1},
		{VERDICT_ROLLED_BACK, "rolled_back", 4},
		{VERDICT_SUPERSEDED, "superseded", 5},
		{VERDICT_TIMED_OUT, "timed_out", 6},
		{VERDICT_UNKNOWN, "unknown", 7},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		CHECK_TEXT(verdict_name(rows[i].verdict), rows[i].name);
		CHECK_INT(error_exit_status(verdict_error_kind(rows[i].verdict)), rows[i].status);
	}
}

TEST(looks_are_frequent_here_and_rare_at_aws)
{
	CHECK_INT(poll_delay_ms(0, true, 0.5), 3);
	CHECK_INT(poll_delay_ms(1000, true, 0.5), 50);
	CHECK_INT(poll_delay_ms(60000, true, 0.5), 250);
	CHECK_INT(poll_delay_ms(0, false, 0.5), 10000);
	CHECK_INT(poll_delay_ms(60000, false, 0), 9000);
	CHECK_INT(poll_delay_ms(60000, false, 1), 11000);
}

TEST_MAIN()
