/*
 * test_history.h - how each test came out in the last builds of its service: what flaky is said by.
 *
 * A test is known by application, service, report group, suite, class and name. Of every service the last
 * TEST_HISTORY_RUNS runs that ran its tests are kept; what is older goes when a run is recorded.
 *
 * A test is flaky when, in these runs,
 *   - it passed and failed with the same inputs (the same step key or the same commit), or
 *   - the tool itself repeated it until it passed, or
 *   - it changed between passed and failed more than twice from one run of a branch to the next: once is a
 *     regression, twice a regression and its mending.
 * Skipped and missing tests say nothing.
 */
#ifndef PIPELINE_LEDGER_TEST_HISTORY_H
#define PIPELINE_LEDGER_TEST_HISTORY_H

#include "pipeline/ledger/ledger.h"

enum { TEST_HISTORY_RUNS = 50, TEST_CHANGES_MAX = 2 };

/* Of two in one run the worse one counts: the order matters. */
enum test_outcome {
	TEST_PASSED,
	TEST_SKIPPED,
	TEST_REPEATED, /* it failed, and passed when it was repeated */
	TEST_FAILED,
};

struct test_run {
	int64_t run;
	const char *app, *service, *branch, *commit, *key; /* "" when not known */
};
struct test_result {
	const char *group, *suite, *class_name, *name;
	enum test_outcome outcome;
};

/* Forgets what an earlier attempt of the same run recorded. Within a transaction, like all below. */
bool test_history_begin(struct ledger *ledger, const struct test_run *run, int64_t *out_id,
	struct error *err) must_use;
bool test_history_add(struct ledger *ledger, int64_t id, const struct test_run *run,
	const struct test_result *result, struct error *err) must_use;
/* Removes what is too old. */
bool test_history_end(struct ledger *ledger, const struct test_run *run, struct error *err)
	must_use;

struct flaky_test {
	char *group, *suite, *class_name, *name; /* owned */
	int64_t passed, failed, repeated;        /* runs that ended so */
	int64_t changes;
	bool same_inputs;    /* both outcomes with the same inputs */
	int64_t last_failed; /* the newest run in which it failed or was repeated */
};
struct flaky_tests {
	struct flaky_test *items; /* owned */
	size_t count;
	int64_t runs; /* looked at */
};
void flaky_tests_free(struct flaky_tests *tests);

/* Of the last TEST_HISTORY_RUNS runs up to this one. */
bool test_history_flaky(struct ledger *ledger, const char *app, const char *service, int64_t run,
	struct flaky_tests *out_tests, struct error *err) must_use;

#endif
