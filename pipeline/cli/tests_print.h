/*
 * tests_print.h - what `dogshore tests` says of one service of a run: for people and as JSON.
 */
#ifndef PIPELINE_CLI_TESTS_PRINT_H
#define PIPELINE_CLI_TESTS_PRINT_H

#include "base/json_writer.h"
#include "pipeline/engine/test_record.h"

#include <stdio.h>

struct tested_service {
	const struct ledger_step *step; /* the build */
	struct json *result;            /* owned; the stage's */
	struct test_totals totals;
	struct flaky_tests flaky;
};
void tested_service_free(struct tested_service *service);

/* slowest: how many of each group are shown. */
void tests_print(FILE *out, const struct tested_service *service, int64_t slowest);
void tests_write(const struct tested_service *service, int64_t slowest, struct json_writer *w);
/* "tests":{…} as a member of an open object. */
void tests_write_totals(const struct test_totals *totals, struct json_writer *w);

#endif
