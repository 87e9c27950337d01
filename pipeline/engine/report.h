/*
 * report.h - a run as people and programs read it.
 */
#ifndef PIPELINE_ENGINE_REPORT_H
#define PIPELINE_ENGINE_REPORT_H

#include "base/json_writer.h"
#include "pipeline/ledger/ledger.h"

/* {"run","commit","status","steps":[…],"release", …}; services that were left alone are steps that
 * are skipped, with the plan's reason. results: with what each stage printed. */
bool report_write(struct ledger *ledger, const struct ledger_run *run, bool results,
	struct json_writer *w, struct error *err) must_use;

/* The same for people: the run, then a line for each step. */
bool report_print(FILE *out, struct ledger *ledger, const struct ledger_run *run, struct error *err)
	must_use;

/* One line of a list of runs, and the line above the list. */
void report_print_head(FILE *out);
void report_print_line(FILE *out, const struct ledger_run *run);
void report_write_line(const struct ledger_run *run, struct json_writer *w);

/* The status as it is now: "interrupted" for a run that is under way but that nobody works on. */
const char *report_status(const struct ledger_run *run);

/* The last lines of the log of the first step that failed. */
void report_print_failure(FILE *out, struct ledger *ledger, const struct ledger_run *run);
/* What that step said to do next, else where its log lies; owned, NULL when no step failed.
 * *out_exit_status is the step's, 0 when no step failed. */
char *report_advice(struct ledger *ledger, const struct ledger_run *run, int *out_exit_status)
	must_use;

#endif
