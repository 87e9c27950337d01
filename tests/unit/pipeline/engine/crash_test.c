#include "tests/unit/pipeline/engine/engine_fixture.h"

#include <signal.h>

/*
 * kill -9 after each write of the ledger, one after the other: the first engine dies after its N-th
 * write, the second takes over what it finds, for N = 1 until the first one gets through.
 */

/* What one engine process does: takes over what is left, else begins; ends when the run has. */
static int engine_process(struct world *world, const char *crash_after)
{
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run before = {0};
	int64_t run = 0;

	if (crash_after)
		setenv("DOGSHORE_CRASH_AFTER_WRITE", crash_after, 1);
	if (!loop_new(&world->loop, &err) ||
		!ledger_open(world->url, LEDGER_ENGINE, &world->ledger, &err) ||
		!repository_open(world->git.work, &world->repository, &err))
		return 2;
	open_engine(world);
	world->wanted = 1;
	if (!engine_resume(world->engine, NULL, NULL, &run, &err))
		return 3;
	if (!run && ledger_run_get(world->ledger, 1, &before, NULL))
		return 0; /* it had ended when it died */
	if (!run) {
		world->wanted = 0;
		submit(world, "HEAD", NULL, &err);
	}
	wait_for_end(world, &err);
	return world->ended ? 0 : 4;
}

/* Forks it; returns its exit status, or -1 when it was killed. */
static int run_process(struct world *world, const char *crash_after)
{
	int status = 0;

	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0)
		_exit(engine_process(world, crash_after));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) == SIGKILL ? -1 : 98;
}

/* Everything that world_start() makes, without opening any of it: that is for the processes. */
static bool prepare(struct world *world, struct error *err)
{
	if (!world_start(world, err))
		return false;
	engine_free(&world->engine);
	repository_free(&world->repository);
	ledger_close(&world->ledger);
	loop_free(&world->loop);
	return true;
}

static size_t names_with(const struct strings *names, const char *start)
{
	size_t count = 0;

	for (size_t i = 0; i < names->count; i++)
		count += text_starts_with(names->items[i], start);
	return count;
}

static void check_effects(struct world *world, int number)
{
	static const char *const once[] = {"push-one-", "push-two-", "deploy-one-", "deploy-two-"};
	scoped(text_free) char *path = path_join(world->git.folder, "effects");
	scoped(strings_free) struct strings effects = {0};

	if (!folder_list(path, &effects, NULL))
		TEST_FAIL("after a crash at write %d there are no effects", number);
	for (size_t i = 0; i < countof(once); i++)
		if (names_with(&effects, once[i]) != 1)
			TEST_FAIL("after a crash at write %d, \"%s\" happened %zu times", number,
				once[i], names_with(&effects, once[i]));
}

static void check_ledger(struct world *world, int number)
{
	scoped(error_free) struct error err = {0};
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	REQUIRE_OK(ledger_open(world->url, LEDGER_READ, &world->ledger, &err));
	REQUIRE_OK(ledger_runs_find(world->ledger, &(struct ledger_run_filter){0}, &runs, &err));
	if (runs.count != 1)
		TEST_FAIL("after a crash at write %d there are %zu runs", number, runs.count);
	scoped(text_free) char *got = outcome(world, 1);

	CHECK_TEXT(got, ALL_PASSED);
	REQUIRE_OK(ledger_currents_find(world->ledger, "test", "local", &currents, &err));
	CHECK_INT(currents.count, 2);
}

TEST(a_crash_after_any_write_changes_nothing_in_the_end)
{
	int first = -1, number = 0;

	while (first == -1 && number < 100) {
		scoped(world_free) struct world world = {0};
		scoped(error_free) struct error err = {0};
		scoped(text_free) char *text = memory_format("%d", ++number);

		REQUIRE_OK(prepare(&world, &err));
		first = run_process(&world, text);
		if (first == -1)
			CHECK_INT(run_process(&world, NULL), 0);
		else
			CHECK_INT(first, 0);
		check_effects(&world, number);
		check_ledger(&world, number);
	}
	/* the record of the run, its start, and at least one write for each of the eight steps that is
	 * not in the same turn as another */
	CHECK(number > 5);
	printf("# %d writes were crashed after\n", number - 1);
}

TEST(an_engine_that_crashes_again_and_again_gets_through)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	int status = -1, tries = 0;

	REQUIRE_OK(prepare(&world, &err));
	/* each one gets two writes further */
	while (status == -1 && tries++ < 100)
		status = run_process(&world, "2");
	CHECK_INT(status, 0);
	check_effects(&world, 2);
	check_ledger(&world, 2);
}

TEST_MAIN()
