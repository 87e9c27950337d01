#include "pipeline/ledger/test_history.h"

#include "base/memory.h"
#include "pipeline/ledger/rows.h"

#include <stdlib.h>

bool test_history_begin(struct ledger *ledger, const struct test_run *run, int64_t *out_id,
	struct error *err)
{
	struct db *db = ledger_db(ledger);

	if (!db_exec(db,
		    "DELETE FROM test_results WHERE test_run IN (SELECT id FROM test_runs"
		    " WHERE app = $1 AND service = $2 AND run = $3)",
		    db_values(row_text(run->app), row_text(run->service), db_of_int(run->run)),
		    NULL, err) ||
		!db_exec(db, "DELETE FROM test_runs WHERE app = $1 AND service = $2 AND run = $3",
			db_values(row_text(run->app), row_text(run->service), db_of_int(run->run)),
			NULL, err) ||
		!db_exec(db,
			"INSERT INTO test_runs (run, app, service, branch, commit_id, key)"
			" VALUES ($1, $2, $3, $4, $5, $6)",
			db_values(db_of_int(run->run), row_text(run->app), row_text(run->service),
				row_text(run->branch), row_text(run->commit), row_text(run->key)),
			NULL, err))
		return error_while(err, "recording the tests of %s", run->service);
	*out_id = db_last_id(db);
	return true;
}

bool test_history_add(struct ledger *ledger, int64_t id, const struct test_run *run,
	const struct test_result *result, struct error *err)
{
	struct db *db = ledger_db(ledger);
	const struct db_value values[] = {row_text(run->app), row_text(run->service),
		row_text(result->group), row_text(result->suite), row_text(result->class_name),
		row_text(result->name), db_of_int(id), db_of_int(result->outcome)};

	return db_exec(db,
		       "INSERT INTO tests (app, service, grp, suite, class, name)"
		       " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		       values, countof(values) - 2, NULL, err) &&
	       db_exec(db,
		       "INSERT INTO test_results (test, test_run, outcome)"
		       " SELECT id, $7, $8 FROM tests WHERE app = $1 AND service = $2"
		       " AND grp = $3 AND suite = $4 AND class = $5 AND name = $6"
		       " ON CONFLICT (test, test_run) DO UPDATE"
		       " SET outcome = max(outcome, excluded.outcome)",
		       values, countof(values), NULL, err);
}

bool test_history_end(struct ledger *ledger, const struct test_run *run, struct error *err)
{
	struct db *db = ledger_db(ledger);
	const struct db_value values[] = {row_text(run->app), row_text(run->service),
		db_of_int(TEST_HISTORY_RUNS)};
	int64_t removed = 0;

	if (!db_exec(db,
		    "DELETE FROM test_results WHERE test_run IN (SELECT id FROM test_runs"
		    " WHERE app = $1 AND service = $2 ORDER BY run DESC LIMIT -1 OFFSET $3)",
		    values, countof(values), &removed, err) ||
		!db_exec(db,
			"DELETE FROM test_runs WHERE id IN (SELECT id FROM test_runs"
			" WHERE app = $1 AND service = $2 ORDER BY run DESC LIMIT -1 OFFSET $3)",
			values, countof(values), NULL, err))
		return error_while(err, "forgetting old tests of %s", run->service);
	/* Tests that were renamed or removed long ago. */
	return !removed ||
	       db_exec(db,
		       "DELETE FROM tests WHERE app = $1 AND service = $2 AND NOT EXISTS"
		       " (SELECT 1 FROM test_results WHERE test = tests.id)",
		       values, countof(values) - 1, NULL, err);
}

void flaky_tests_free(struct flaky_tests *tests)
{
	for (size_t i = 0; i < tests->count; i++) {
		free(tests->items[i].group);
		free(tests->items[i].suite);
		free(tests->items[i].class_name);
		free(tests->items[i].name);
	}
	free(tests->items);
	*tests = (struct flaky_tests){0};
}

/* One result of the test that is looked at. */
struct observation {
	char *branch, *commit, *key; /* owned */
	int64_t run;
	bool failed;
};

struct looking {
	struct flaky_test test;
	int64_t id; /* 0: none yet */
	struct observation seen[TEST_HISTORY_RUNS];
	size_t count;
};

static void looking_clear(struct looking *looking)
{
	free(looking->test.group);
	free(looking->test.suite);
	free(looking->test.class_name);
	free(looking->test.name);
	for (size_t i = 0; i < looking->count; i++) {
		free(looking->seen[i].branch);
		free(looking->seen[i].commit);
		free(looking->seen[i].key);
	}
	*looking = (struct looking){0};
}

static bool is_same(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

/* Rows come by branch, then by run. */
static void judge(struct looking *looking)
{
	struct flaky_test *test = &looking->test;

	for (size_t i = 1; i < looking->count; i++) {
		const struct observation *one = &looking->seen[i];

		test->changes +=
			strcmp(one->branch, one[-1].branch) == 0 && one->failed != one[-1].failed;
		for (size_t j = 0; j < i; j++)
			test->same_inputs =
				test->same_inputs ||
				(one->failed != looking->seen[j].failed &&
					(is_same(one->key, looking->seen[j].key) ||
						is_same(one->commit, looking->seen[j].commit)));
	}
}

static void end_test(struct looking *looking, struct flaky_tests *out)
{
	if (looking->id) {
		judge(looking);
		if (looking->test.same_inputs || looking->test.repeated ||
			looking->test.changes > TEST_CHANGES_MAX) {
			out->items =
				memory_resize(out->items, (out->count + 1) * sizeof(*out->items));
			out->items[out->count++] = looking->test;
			looking->test = (struct flaky_test){0};
		}
	}
	looking_clear(looking);
}

static void begin_test(struct looking *looking, struct db_rows *rows)
{
	looking->id = db_int(rows, 0);
	looking->test = (struct flaky_test){.group = row_column(rows, 1),
		.suite = row_column(rows, 2),
		.class_name = row_column(rows, 3),
		.name = row_column(rows, 4)};
}

static void look_at(struct looking *looking, struct db_rows *rows)
{
	int64_t outcome = db_int(rows, 5), run = db_int(rows, 6);
	struct flaky_test *test = &looking->test;

	test->passed += outcome == TEST_PASSED;
	test->failed += outcome == TEST_FAILED;
	test->repeated += outcome == TEST_REPEATED;
	if (outcome != TEST_PASSED && run > test->last_failed)
		test->last_failed = run;
	if (outcome == TEST_REPEATED || looking->count == TEST_HISTORY_RUNS)
		return;
	looking->seen[looking->count++] = (struct observation){.branch = row_column(rows, 7),
		.commit = row_column(rows, 8),
		.key = row_column(rows, 9),
		.run = run,
		.failed = outcome == TEST_FAILED};
}

#define RECENT                                                                                     \
	"(SELECT id FROM test_runs WHERE app = $1 AND service = $2 AND run <= $3"                  \
	" ORDER BY run DESC LIMIT $4)"

/* Only tests that did not always pass; 1 is TEST_SKIPPED. */
static const char question[] =
	"SELECT t.id, t.grp, t.suite, t.class, t.name, r.outcome, u.run, u.branch, u.commit_id,"
	" u.key FROM test_results r JOIN test_runs u ON u.id = r.test_run"
	" JOIN tests t ON t.id = r.test WHERE r.outcome <> 1 AND r.test_run IN " RECENT
	" AND r.test IN (SELECT test FROM test_results WHERE outcome > 1 AND test_run IN " RECENT
	")"
	" ORDER BY r.test, u.branch, u.run";

bool test_history_flaky(struct ledger *ledger, const char *app, const char *service, int64_t run,
	struct flaky_tests *out_tests, struct error *err)
{
	const struct db_value values[] = {row_text(app), row_text(service), db_of_int(run),
		db_of_int(TEST_HISTORY_RUNS)};
	scoped(flaky_tests_free) struct flaky_tests tests = {0};
	scoped(looking_clear) struct looking looking = {0};
	scoped(db_rows_free) struct db_rows rows = {0};
	bool more = false, found = false;

	if (!db_get_int(ledger_db(ledger), "SELECT count(*) FROM " RECENT, values, countof(values),
		    &tests.runs, &found, err) ||
		!db_query(ledger_db(ledger), question, values, countof(values), &rows, err))
		return error_while(err, "looking for flaky tests of %s", service);
	for (;;) {
		if (!db_next(&rows, &more, err))
			return false;
		if (!more || db_int(&rows, 0) != looking.id)
			end_test(&looking, &tests);
		if (!more)
			break;
		if (!looking.id)
			begin_test(&looking, &rows);
		look_at(&looking, &rows);
	}
	*out_tests = tests;
	tests = (struct flaky_tests){0};
	return true;
}
