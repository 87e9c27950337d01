#include "tests/unit/pipeline/engine/engine_fixture.h"

static void check_run(struct world *world, const char *rev, const char *force, const char *expected)
{
	scoped(error_free) struct error err = {0};
	int64_t run = submit(world, rev, force, &err);

	wait_for_end(world, &err);
	scoped(text_free) char *got = outcome(world, run);

	CHECK_TEXT(got, expected);
}

static char *calls(struct world *world)
{
	scoped(text_free) char *path = path_join(world->git.folder, "calls");
	struct buf text = {0};

	if (!file_read(path, 1 << 20, &text, NULL))
		buf_append_text(&text, "");
	if (!file_remove(path, NULL))
		TEST_FAIL("cannot remove %s", path);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\n')
			text.data[i] = ';';
	return buf_take(&text);
}

TEST(a_commit_goes_the_whole_way_and_then_there_is_nothing_to_do)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	REQUIRE_OK(ledger_currents_find(world.ledger, "test", "local", &currents, &err));
	CHECK_INT(currents.count, 2);
	scoped(text_free) char *first = calls(&world);

	CHECK_INT(strlen(first) > 0, 1);
	check_run(&world, "HEAD", NULL, "passed");
	scoped(text_free) char *second = calls(&world);

	CHECK_TEXT(second, "");
}

TEST(a_change_in_one_service_builds_and_deploys_that_one)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/main.c", "int changed;\n");
	put_beside(&world, "digest-one", "7");
	REQUIRE(git_commit_all(&world.git, "one"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(the_same_image_is_neither_pushed_nor_deployed_again)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/main.c", "int main; /* a comment */\n");
	REQUIRE(git_commit_all(&world.git, "comment"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=skipped");
	/* and the new key is known from now on */
	check_run(&world, "HEAD", NULL, "passed");
	/* back to what was built before: nothing is built, and what is there is right */
	check_run(&world, "HEAD~1", NULL,
		"passed one/build=skipped one/image=skipped one/push=skipped one/deploy=skipped");
}

TEST(a_change_of_the_task_file_deploys_the_same_image)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	git_put(&world.git, "one/t.json", "{\"cpu\":\"256\"}");
	REQUIRE(git_commit_all(&world.git, "task"));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=passed");
}

TEST(another_cloud_gets_everything_without_a_build)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	put_beside(&world, "state/local/credentials.json",
		"{\"endpoint\":\"http://127.0.0.1:4566\",\"region\":\"us-east-1\","
		"\"access_key_id\":\"AKIAOTHER\",\"secret_access_key\":\"secret\"}");
	check_run(&world, "HEAD", NULL,
		"passed one/build=skipped one/image=skipped one/push=passed one/deploy=passed "
		"two/build=skipped two/image=skipped two/push=passed two/deploy=passed");
}

TEST(images_for_aws_go_to_the_accounts_registry)
{
	scoped(world_free) struct world world = {.environment = "cloud"};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf lines = {0};

	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("DOGSHORE_REGISTRY");
	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	scoped(text_free) char *path = path_join(world.git.folder, "lines");

	REQUIRE_OK(file_read(path, 1 << 20, &lines, &err));
	CHECK_CONTAINS(buf_text(&lines),
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com/test/one:");
	CHECK_CONTAINS(buf_text(&lines), "--image "
					 "123456789012.dkr.ecr.eu-central-1.amazonaws.com/test/one"
					 "@sha256:");
}

TEST(a_failing_test_stops_its_service_before_the_image)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "fail-one-build", "1");
	check_run(&world, "HEAD", NULL,
		"failed one/build=failed one/image=skipped one/push=skipped one/deploy=skipped "
		"two/build=passed two/image=passed two/push=passed two/deploy=passed");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_TEXT(run.reason, "build of one: the test x failed");
	/* what failed is tried again, what passed is not */
	scoped(text_free) char *fail = path_join(world.git.folder, "fail-one-build");

	REQUIRE_OK(file_remove(fail, &err));
	check_run(&world, "HEAD", NULL,
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(a_rolled_back_deployment_is_the_runs_outcome)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "fail-one-deploy", "4");
	check_run(&world, "HEAD", NULL,
		"rolled_back one/build=passed one/image=passed one/push=passed "
		"one/deploy=rolled_back two/build=passed two/image=passed two/push=passed "
		"two/deploy=passed");
	REQUIRE_OK(ledger_currents_find(world.ledger, "test", "local", &currents, &err));
	REQUIRE(currents.count == 1);
	CHECK_TEXT(currents.items[0].service, "two");
}

TEST(a_step_can_be_asked_for_again)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	check_run(&world, "HEAD", NULL, ALL_PASSED);
	check_run(&world, "HEAD", "two/deploy",
		"passed two/build=skipped two/image=skipped two/push=skipped two/deploy=passed");
	check_run(&world, "HEAD", "one/build",
		"passed one/build=passed one/image=passed one/push=passed one/deploy=passed");
}

TEST(a_bad_project_file_ends_the_run_with_its_place)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	git_put(&world.git, PROJECT_FILE, "app: test\nservices: 3\n");
	REQUIRE(git_commit_all(&world.git, "bad"));
	check_run(&world, "HEAD", NULL, "error");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_CONTAINS(run.reason, "dogshore.yml:2:11");
}

TEST(a_local_cloud_that_was_never_started_is_named)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};

	REQUIRE_OK(world_start(&world, &err));
	scoped(text_free) char *path = path_join(world.state, "local/credentials.json");

	REQUIRE_OK(file_remove(path, &err));
	check_run(&world, "HEAD", NULL, "error");
	REQUIRE_OK(ledger_run_get(world.ledger, world.ended, &run, &err));
	CHECK_CONTAINS(run.reason, "dogshore local up");
}

TEST(a_newer_commit_supersedes_the_one_that_waits)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t first = submit(&world, "HEAD", NULL, &err);

	git_put(&world.git, "readme", "1");
	REQUIRE(git_commit_all(&world.git, "second"));
	int64_t second = submit(&world, "HEAD", NULL, &err);

	git_put(&world.git, "readme", "2");
	REQUIRE(git_commit_all(&world.git, "third"));
	int64_t third = submit(&world, "HEAD", NULL, &err);
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");

	/* the superseded one does not run, so it does not end through the loop */
	world.wanted--;
	REQUIRE_OK(file_remove(wait, &err));
	wait_for_end(&world, &err);
	scoped(text_free) char *one = outcome(&world, first), *two = outcome(&world, second);
	scoped(text_free) char *three = outcome(&world, third);

	CHECK_TEXT(one, ALL_PASSED);
	CHECK_TEXT(two, "superseded");
	CHECK_TEXT(three, "passed");
}

static void stop_when_waiting(void *context)
{
	struct world *world = context;
	scoped(text_free) char *path = path_join(world->git.folder, "waiting-one");

	if (file_exists(path))
		loop_stop(world->loop);
}

/* Turns the loop until the program waits for service one. */
static void run_until_waiting(struct world *world, struct error *err)
{
	scoped(text_free) char *path = path_join(world->git.folder, "waiting-one");

	while (!file_exists(path))
		if (!loop_turn(world->loop, 5, err))
			return;
	stop_when_waiting(world);
}

TEST(a_cancelled_run_ends_its_children)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	bool asked = false;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	/* as another process would */
	REQUIRE_OK(engine_ask_cancel(world.ledger, run, &asked, &err));
	CHECK(asked);
	wait_for_end(&world, &err);
	scoped(ledger_run_free) struct ledger_run row = {0};

	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_INT(row.status, OUTCOME_CANCELLED);
	CHECK_FAILS(engine_ask_cancel(world.ledger, run, &asked, &err), ERROR_CONFLICT);
}

TEST(what_an_engine_left_behind_is_taken_over)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	int64_t resumed = 0;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	/* freed in the middle: the ledger still says that it runs */
	engine_free(&world.engine);
	scoped(ledger_run_free) struct ledger_run row = {0};

	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_INT(row.status, OUTCOME_RUNNING);
	CHECK_TEXT(report_status(&row), "interrupted");
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");

	REQUIRE_OK(file_remove(wait, &err));
	open_engine(&world);
	REQUIRE_OK(engine_resume(world.engine, NULL, NULL, &resumed, &err));
	CHECK_INT(resumed, run);
	wait_for_end(&world, &err);
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_TEXT(got, ALL_PASSED);
}

TEST(what_cannot_be_taken_over_ends_and_says_why)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run row = {0};
	int64_t resumed = 0;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	engine_free(&world.engine);
	/* the local cloud was removed meanwhile */
	scoped(text_free) char *path = path_join(world.state, "local/credentials.json");

	REQUIRE_OK(file_remove(path, &err));
	open_engine(&world);
	REQUIRE_OK(engine_resume(world.engine, NULL, NULL, &resumed, &err));
	/* whoever waits for its end is told */
	CHECK_INT(resumed, run);
	CHECK_INT(world.ended, run);
	CHECK_INT(world.ended_as, OUTCOME_ERROR);
	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_CONTAINS(row.reason, "it could not be taken over");
	CHECK_CONTAINS(row.reason, "dogshore local up");
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_CONTAINS(got, "error one/build=cancelled one/image=cancelled");
}

/* As `serve` has it: an engine that stays, and a ledger that answers at once when it is locked. */
static struct ledger *lock_ledger(struct world *world, struct error *err)
{
	struct ledger *other = NULL;

	if (!db_exec_script(ledger_db(world->ledger), "PRAGMA busy_timeout=0", err) ||
		!ledger_open(world->url, LEDGER_WRITE, &other, err) || !ledger_begin(other, err))
		printf("# %s\n", err->message);
	return other;
}

TEST(a_run_that_could_not_be_recorded_is_taken_up_again)
{
	scoped(world_free) struct world world = {.stays = true};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run row = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	/* another run of the environment waits for it */
	git_put(&world.git, "one/main.c", "int later;\n");
	REQUIRE(git_commit_all(&world.git, "later"));
	int64_t later = submit(&world, "HEAD", NULL, &err);
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");
	scoped(ledger_close) struct ledger *holder = lock_ledger(&world, &err);

	REQUIRE_OK(file_remove(wait, &err));
	world.wanted = 1;
	wait_for_end(&world, &err);
	/* given up: nobody was told that it ended, and the other one did not overtake it */
	CHECK_INT(world.ended, run);
	CHECK_INT(world.ended_as, OUTCOME_RUNNING);
	REQUIRE_OK(ledger_run_get(world.ledger, run, &row, &err));
	CHECK_TEXT(report_status(&row), "interrupted");
	ledger_close(&holder);
	world.wanted = 1;
	wait_for_end(&world, &err);
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_INT(world.ended, run);
	CHECK_TEXT(got, ALL_PASSED);
	world.wanted = 1;
	wait_for_end(&world, &err);
	CHECK_INT(world.ended, later);
}

TEST(a_run_is_superseded_only_when_the_newer_one_was_recorded)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	submit(&world, "HEAD", NULL, &err);
	int64_t waits = submit(&world, "HEAD", NULL, &err);

	/* its row is written, the event after it is not */
	REQUIRE_OK(db_exec_script(ledger_db(world.ledger),
		"CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.name = 'run.superseded'"
		" BEGIN SELECT RAISE(ABORT, 'full'); END",
		&err));
	CHECK_INT(submit(&world, "HEAD", NULL, &err), 0);
	CHECK_CONTAINS(err.message, "full");
	world.wanted = 2;
	scoped(text_free) char *wait = path_join(world.git.folder, "wait-one");

	REQUIRE_OK(file_remove(wait, &err));
	wait_for_end(&world, &err);
	scoped(text_free) char *got = outcome(&world, waits);

	CHECK_TEXT(got, "passed");
}

TEST(a_run_that_nobody_works_on_is_cancelled_in_the_ledger)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	bool asked = true;

	REQUIRE_OK(world_start(&world, &err));
	put_beside(&world, "wait-one", "");
	int64_t run = submit(&world, "HEAD", NULL, &err);

	run_until_waiting(&world, &err);
	engine_free(&world.engine);
	REQUIRE_OK(engine_ask_cancel(world.ledger, run, &asked, &err));
	CHECK(!asked);
	scoped(text_free) char *got = outcome(&world, run);

	CHECK_CONTAINS(got, "cancelled one/build=cancelled");
}

TEST_MAIN()
