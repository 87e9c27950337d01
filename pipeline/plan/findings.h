/*
 * findings.h - everything that is wrong with some files, gathered instead of stopping at the first.
 *
 * A finding is printed as "dogshore.yml:12:5: unknown key "serivce"; did you mean "service"?".
 */
#ifndef PIPELINE_PLAN_FINDINGS_H
#define PIPELINE_PLAN_FINDINGS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json_writer.h"

struct finding {
	char *file;       /* owned */
	int line, column; /* from 1; 0: the whole file */
	char *message;    /* owned */
	char *next;       /* owned; NULL when there is no advice */
	bool warning;     /* it works, but perhaps not as meant */
};

enum { FINDINGS_MAX = 1000 }; /* more are counted, not kept */

struct findings {
	struct finding *items; /* owned */
	size_t count;
	size_t dropped;
};

struct finding *findings_add(struct findings *findings, const char *file, int line, int column,
	const char *format, ...) printf_like(5, 6);
/* Sets the advice of a finding; NULL finding or name is fine: then there is none. */
void finding_suggest(struct finding *finding, const char *nearest);
/* A finding out of an error whose message may start with "file:line:column: ". */
void findings_add_error(struct findings *findings, const char *file, const struct error *err);

/* How many are no warnings; those that were dropped count as errors. */
size_t findings_errors(const struct findings *findings);

/* Sorts by file, line and column. */
void findings_sort(struct findings *findings);
/* One line per finding. */
void findings_print(FILE *out, const struct findings *findings);
void findings_write(struct json_writer *w, const struct findings *findings);
/* ERROR_INVALID: the first finding and how many more there are. Returns false. */
bool findings_raise(const struct findings *findings, struct error *err);
void findings_free(struct findings *findings);

#endif
