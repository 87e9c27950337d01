/*
 * test_record.h - the tests of a build step: what its result says of them in a few words, and their way
 *                 into the ledger's history.
 */
#ifndef PIPELINE_ENGINE_TEST_RECORD_H
#define PIPELINE_ENGINE_TEST_RECORD_H

#include "pipeline/ledger/test_history.h"

/* All groups of a step together. */
struct test_totals {
	bool any; /* there are reports of tests */
	int64_t passed, failed, errors, skipped;
	bool covered; /* there is coverage */
	int64_t lines_covered, lines_valid;
};
/* result is the stage's, NULL for none. */
struct test_totals test_totals_of(const struct json *result);
/* "tests: 120 passed, 1 failed; 81.5 % of lines covered"; owned, NULL when there is nothing to say. */
char *test_totals_text(const struct test_totals *totals) must_use;

/* Under which name they are recorded: the service's, "SERVICE:ID" for a task of its batch, whose tests
 * are not those of the other tasks. Owned. */
char *test_record_name(const char *service, const char *step) must_use;

/*
 * Records how the tests of a step came out. Nothing when it ran none: a build that was restored is no
 * observation of its own. Of the tests that passed 10,000 are recorded, of those that failed 1,000.
 *
 * output  the build's output folder, with reports.jsonl; without it nothing is recorded
 */
bool test_record(struct ledger *ledger, const struct test_run *run, const char *output,
	const struct json *result, struct error *err) must_use;

#endif
