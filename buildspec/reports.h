/*
 * reports.h - the test and coverage reports of a finished build: found, copied, read and summed up.
 *
 *     reports_begin -> reports_collect (each group) -> reports_end
 *
 * Copies of the files lie in output/reports/GROUP/, masked like the log: tests print secrets, too. What
 * they say is summed up in struct report_group; every case and every covered file is one line of JSON in
 * output/reports.jsonl, masked as well, those that failed with message and details.
 *
 * A report that is missing or cannot be read is a line in the log and stands in the result; it never
 * fails a build.
 *
 * Limits  200,000 lines and 64 MiB in reports.jsonl, 20,000 files and 1 GiB of reports: what goes
 *         beyond is counted, not kept. Of those that failed 50 of a build are in the result itself.
 */
#ifndef BUILDSPEC_REPORTS_H
#define BUILDSPEC_REPORTS_H

#include "base/file.h"
#include "base/json_writer.h"
#include "base/masker.h"
#include "buildspec/artifacts.h"
#include "buildspec/report.h"

#define REPORTS_FOLDER "reports"
#define REPORTS_LINES "reports.jsonl"

enum {
	REPORTS_LINES_MAX = 200000,
	REPORTS_SLOWEST = 10,    /* of a group */
	REPORTS_FAILED_MAX = 50, /* of a build, in the result */
	REPORTS_NAMED_MAX = 100, /* files of a group, in the result */
};

/* A case that is kept; its texts are owned. */
struct report_kept {
	enum report_status status;
	int64_t duration_us;
	char *suite, *class_name, *name, *message, *details, *file;
	int line;
};

struct report_unread {
	char *file, *why; /* owned */
};

struct report_group {
	char *name, *folder; /* owned; folder is relative to the output */
	const struct report_format *format;
	struct strings files; /* relative to folder; the first REPORTS_NAMED_MAX */
	int64_t file_count;
	int64_t counts[REPORT_STATUS_COUNT]; /* cases by status */
	int64_t flaky;                       /* of those that passed */
	int64_t duration_us;
	struct report_kept *failed; /* owned */
	size_t failed_count;
	struct report_kept slowest[REPORTS_SLOWEST]; /* the slowest first */
	size_t slowest_count;
	struct report_coverage coverage; /* all files; .file is NULL */
	int64_t coverage_files;
	int64_t left_out;             /* cases and covered files that reports.jsonl has not */
	struct report_unread *unread; /* owned; the first REPORTS_NAMED_MAX */
	size_t unread_count;
};

struct reports {
	struct report_group *groups; /* owned */
	size_t count;
	bool any_lines; /* there is a reports.jsonl */
};
void reports_free(struct reports *reports);

/* What is under way between reports_begin and reports_end. */
struct reporting {
	const struct artifact_place *given; /* borrowed; folder is not used */
	struct artifact_place place;        /* of the group under way */
	void (*say)(void *self, const char *line);
	void *self;
	struct reports *out; /* borrowed */

	struct masker masker;
	struct new_file *lines; /* reports.jsonl; NULL until there is one */
	struct buf line, pending, scratch;
	int64_t line_count, lines_bytes, copied_bytes, files;
	size_t failed_count;
	struct report_group *group; /* the one under way */
	struct error failure;       /* the first in writing */
};

/*
 * place    source and inside as for artifacts; output exists
 * secrets  what the copies and texts must not show
 * say      gets a line for each report that is missing or bad, and one for what a group says
 */
void reports_begin(struct reporting *reporting, const struct artifact_place *place,
	const struct strings *secrets, void (*say)(void *self, const char *line), void *self,
	struct reports *out);
/*
 * One group. name is the evaluated one.
 *
 * quiet  nothing is said when no file is there: the build did not come that far
 *
 * Fails when a copy or a line cannot be written.
 */
bool reports_collect(struct reporting *reporting, const struct report_spec *spec, const char *name,
	bool quiet, struct error *err) must_use;
bool reports_end(struct reporting *reporting, struct error *err) must_use;
/* For scoped(): also when reports_end was not reached. */
void reporting_free(struct reporting *reporting);

/* "reports":[…] as a member of an open object. */
void reports_write(const struct reports *reports, struct json_writer *w);
/* "120 passed, 1 failed, 2 skipped", "coverage 81.5 % of lines", …; owned. */
char *report_group_summary(const struct report_group *group) must_use;

#endif
