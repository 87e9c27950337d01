/*
 * report.h - what test and coverage reports say, whatever tool wrote them.
 *
 * A format is a row of the table in report_format.c and a file report_<format>.c that turns the
 * format's elements into cases or into coverage, one by one, as they are met:
 *
 *     report_format_find("JUNITXML") -> report_read_file(format, path, &sink, err)
 *
 * Memory  XML is read in pieces and nothing of it is kept; JSON (Cucumber, SimpleCov) is read whole.
 * Limits  files of 256 MiB (XML) and 64 MiB (JSON); names of 1 KiB, messages of 4 KiB, details of
 *         16 KiB: what is longer is cut.
 */
#ifndef BUILDSPEC_REPORT_H
#define BUILDSPEC_REPORT_H

#include "base/buf.h"
#include "base/error.h"

enum report_status {
	REPORT_PASSED,
	REPORT_SKIPPED,
	REPORT_FAILED, /* it ran and something was not as it should be */
	REPORT_ERROR,  /* it could not run to its end */
};
enum { REPORT_STATUS_COUNT = REPORT_ERROR + 1 };
/* "passed", "skipped", "failed", "error" */
const char *report_status_name(enum report_status status);
bool report_status_of_name(const char *name, enum report_status *out_status) must_use;

struct report_case {
	enum report_status status;
	bool flaky;          /* it passed, but only when the tool repeated it */
	int64_t duration_us; /* 0: not known */
	/* "" when the report does not say; borrowed */
	const char *suite, *class_name, *name;
	const char *message, *details; /* why it did not pass; details: a stack, the output */
	const char *file;              /* where the test stands */
	int line;                      /* 0: not known */
};

/* Of one source file; what a report has no word for is 0. */
struct report_coverage {
	const char *file; /* borrowed */
	int64_t lines_covered, lines_valid, branches_covered, branches_valid;
};

struct report_sink {
	void (*take_case)(void *self, const struct report_case *found);
	void (*take_coverage)(void *self, const struct report_coverage *found);
	void *self;
};

struct report_format {
	const char *name;                   /* "JUNITXML", as file-format has it */
	bool coverage;                      /* else it has cases */
	const struct report_elements *xml;  /* report_xml.h; or */
	const struct report_document *json; /* report_json.h */
};

/* In any case of letters; NULL when there is none. */
const struct report_format *report_format_find(const char *name);
/* All names, and NULL. */
const char *const *report_format_names(void);

/*
 * Reads one report.
 *
 * Fails with  ERROR_INVALID (not in that format, with the place), ERROR_LIMIT. What was found before
 *             has been given to sink and counts.
 */
bool report_read_file(const struct report_format *format, const char *path,
	const struct report_sink *sink, struct error *err) must_use;
bool report_read(const struct report_format *format, struct str text,
	const struct report_sink *sink, struct error *err) must_use;

#endif
