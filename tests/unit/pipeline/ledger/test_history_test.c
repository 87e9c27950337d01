#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "pipeline/ledger/test_history.h"

struct fixture {
	char *folder; /* owned */
	struct ledger *ledger;
	int64_t runs; /* there are */
};

static void open_fixture(struct fixture *f)
{
	struct error err = {0};

	*f = (struct fixture){0};
	CHECK_OK(folder_make_temporary(NULL, "history", &f->folder, &err));
	scoped(text_free) char *url = memory_format("sqlite:%s/ledger.db", f->folder);

	CHECK_OK(ledger_open(url, LEDGER_WRITE, &f->ledger, &err));
}

static void close_fixture(struct fixture *f)
{
	struct error err = {0};

	ledger_close(&f->ledger);
	CHECK_OK(folder_remove(f->folder, &err));
	free(f->folder);
}

static void add_run(struct fixture *f)
{
	struct ledger_run run = {.repository = memory_copy_text("/r.git"),
		.commit = memory_copy_text("c"),
		.status = OUTCOME_PASSED};
	struct error err = {0};

	CHECK_OK(ledger_run_save(f->ledger, &run, &err));
	f->runs = run.id;
	ledger_run_free(&run);
}

/* A run of one service with one test "t" and one, "steady", that always passes. */
static void record(struct fixture *f, int64_t number, const char *branch, const char *inputs,
	enum test_outcome outcome)
{
	const struct test_run run = {.run = number,
		.app = "app",
		.service = "svc",
		.branch = branch,
		.commit = inputs,
		.key = inputs};
	const struct test_result t = {"unit", "s", "c", "t", outcome};
	const struct test_result steady = {"unit", "s", "c", "steady", TEST_PASSED};
	struct error err = {0};
	int64_t id = 0;

	CHECK_OK(ledger_begin(f->ledger, &err));
	while (f->runs < number)
		add_run(f);
	CHECK_OK(test_history_begin(f->ledger, &run, &id, &err) &&
		 test_history_add(f->ledger, id, &run, &t, &err) &&
		 test_history_add(f->ledger, id, &run, &steady, &err) &&
		 test_history_end(f->ledger, &run, &err));
	CHECK_OK(ledger_commit(f->ledger, &err));
}

/* Is "t" flaky up to the run? Its numbers are in *out. */
static bool is_flaky(struct fixture *f, int64_t number, struct flaky_test *out)
{
	scoped(flaky_tests_free) struct flaky_tests tests = {0};
	struct error err = {0};

	CHECK_OK(test_history_flaky(f->ledger, "app", "svc", number, &tests, &err));
	CHECK(tests.count <= 1);
	if (!tests.count)
		return false;
	CHECK_TEXT(tests.items[0].name, "t");
	*out = tests.items[0];
	return true;
}

TEST(a_regression_and_its_mending_are_not_flaky)
{
	struct fixture f;
	struct flaky_test found = {0};

	open_fixture(&f);
	record(&f, 1, "main", "a", TEST_PASSED);
	record(&f, 2, "main", "b", TEST_FAILED);
	record(&f, 3, "main", "c", TEST_FAILED);
	record(&f, 4, "main", "d", TEST_PASSED);
	CHECK(!is_flaky(&f, 4, &found));
	record(&f, 5, "main", "e", TEST_SKIPPED);
	record(&f, 6, "main", "f", TEST_FAILED);
	CHECK(!is_flaky(&f, 5, &found));
	REQUIRE(is_flaky(&f, 6, &found));
	CHECK_INT(found.changes, 3);
	CHECK_INT(found.passed, 2);
	CHECK_INT(found.failed, 3);
	CHECK_INT(found.last_failed, 6);
	CHECK(!found.same_inputs);
	close_fixture(&f);
}

TEST(branches_are_looked_at_one_by_one)
{
	struct fixture f;
	struct flaky_test found = {0};

	open_fixture(&f);
	/* Broken on one branch, good on the other, in turn. */
	for (int64_t i = 1; i < 20; i += 2) {
		scoped(text_free) char *inputs = memory_format("inputs%lld", (long long)i);
		scoped(text_free) char *others = memory_format("others%lld", (long long)i);

		record(&f, i, "main", inputs, TEST_PASSED);
		record(&f, i + 1, "feature", others, TEST_FAILED);
	}
	CHECK(!is_flaky(&f, 20, &found));
	close_fixture(&f);
}

TEST(both_outcomes_with_the_same_inputs_are_flaky)
{
	struct fixture f;
	struct flaky_test found = {0};

	open_fixture(&f);
	record(&f, 1, "main", "a", TEST_PASSED);
	record(&f, 2, "other", "a", TEST_FAILED);
	CHECK(!is_flaky(&f, 1, &found));
	REQUIRE(is_flaky(&f, 2, &found));
	CHECK(found.same_inputs);
	CHECK_INT(found.changes, 0);
	/* Another attempt of the same run counts instead of the first. */
	record(&f, 2, "other", "a", TEST_PASSED);
	CHECK(!is_flaky(&f, 2, &found));
	close_fixture(&f);
}

TEST(one_that_its_tool_repeated_is_flaky)
{
	struct fixture f;
	struct flaky_test found = {0};

	open_fixture(&f);
	record(&f, 1, "main", "a", TEST_REPEATED);
	REQUIRE(is_flaky(&f, 1, &found));
	CHECK_INT(found.repeated, 1);
	CHECK_INT(found.last_failed, 1);
	close_fixture(&f);
}

TEST(the_last_fifty_runs_count)
{
	struct fixture f;
	struct flaky_test found = {0};

	open_fixture(&f);
	record(&f, 1, "main", "a", TEST_FAILED);
	record(&f, 2, "main", "a", TEST_PASSED);
	CHECK(is_flaky(&f, 2, &found));
	for (int64_t i = 3; i <= 50; i++) {
		scoped(text_free) char *inputs = memory_format("inputs%lld", (long long)i);

		record(&f, i, "main", inputs, TEST_PASSED);
	}
	CHECK(is_flaky(&f, 50, &found));
	record(&f, 51, "main", "z", TEST_PASSED);
	CHECK(!is_flaky(&f, 51, &found));
	close_fixture(&f);
}

TEST_MAIN()
