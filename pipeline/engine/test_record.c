#include "pipeline/engine/test_record.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSED_MAX = 10000, FAILED_MAX = 1000 };

#define LINES_NAME "reports.jsonl"

struct test_totals test_totals_of(const struct json *result)
{
	const struct json *reports = json_get(result, "reports");
	struct test_totals sum = {0};

	for (size_t i = 0; i < json_count(reports); i++) {
		const struct json *totals = json_get(json_at(reports, i), "totals");
		const struct json *coverage = json_get(json_at(reports, i), "coverage");

		sum.any = sum.any || totals;
		sum.passed += json_get_int(totals, "passed", 0);
		sum.failed += json_get_int(totals, "failed", 0);
		sum.errors += json_get_int(totals, "errors", 0);
		sum.skipped += json_get_int(totals, "skipped", 0);
		sum.covered = sum.covered || json_get_int(coverage, "lines_valid", 0) > 0;
		sum.lines_covered += json_get_int(coverage, "lines_covered", 0);
		sum.lines_valid += json_get_int(coverage, "lines_valid", 0);
	}
	return sum;
}

static void add_count(struct buf *out, int64_t count, const char *word)
{
	if (count)
		buf_printf(out, ", %lld %s", (long long)count, word);
}

char *test_totals_text(const struct test_totals *totals)
{
	scoped(buf_free) struct buf out = {0};

	if (totals->any) {
		buf_printf(&out, "tests: %lld passed", (long long)totals->passed);
		add_count(&out, totals->failed, "failed");
		add_count(&out, totals->errors, "with errors");
		add_count(&out, totals->skipped, "skipped");
	}
	if (totals->covered)
		buf_printf(&out, "%s%.1f %% of lines covered", out.size ? "; " : "",
			100.0 * (double)totals->lines_covered / (double)totals->lines_valid);
	return out.size ? buf_take(&out) : NULL;
}

char *test_record_name(const char *service, const char *step)
{
	enum step_kind kind = STEP_BUILD;

	if (!step_kind_of_name(step, &kind) || kind != STEP_TASK)
		return memory_copy_text(service);
	return memory_format("%s:%s", service, step + strlen(STEP_TASK_PREFIX));
}

struct recording {
	struct ledger *ledger;
	const struct test_run *run;
	int64_t id; /* 0 until there is something to record */
	size_t passed, failed;
};

static bool add_line(struct recording *recording, const struct json *line, struct error *err)
{
	const char *status = json_get_text(line, "status", "");
	bool failed = text_equal(status, "failed") || text_equal(status, "error");
	const struct test_result result = {.group = json_get_text(line, "group", ""),
		.suite = json_get_text(line, "suite", ""),
		.class_name = json_get_text(line, "class", ""),
		.name = json_get_text(line, "name", ""),
		.outcome = failed                                ? TEST_FAILED
			   : text_equal(status, "skipped")       ? TEST_SKIPPED
			   : json_get_bool(line, "flaky", false) ? TEST_REPEATED
								 : TEST_PASSED};

	if (failed ? recording->failed++ >= FAILED_MAX : recording->passed++ >= PASSED_MAX)
		return true;
	return (recording->id || test_history_begin(recording->ledger, recording->run,
					 &recording->id, err)) &&
	       test_history_add(recording->ledger, recording->id, recording->run, &result, err);
}

/* Lines of passed tests beyond the limit are not even parsed; those of coverage have no status. */
static bool take_line(struct recording *recording, struct str line, struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(error_free) struct error wrong = {0};
	bool failed = str_starts_with(line, "{\"status\":\"failed\"") ||
		      str_starts_with(line, "{\"status\":\"error\"");

	if (!str_starts_with(line, "{\"status\":") ||
		(failed ? recording->failed >= FAILED_MAX : recording->passed >= PASSED_MAX))
		return true;
	if (!json_parse(line, LINES_NAME, NULL, &value, &wrong)) {
		error_ignore(&wrong, "a line that is cut off is no test");
		return true;
	}
	return add_line(recording, value, err);
}

static bool take_lines(struct recording *recording, FILE *file, struct error *err)
{
	scoped(text_free) char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, file)) > 0)
		if (!take_line(recording, (struct str){line, (size_t)size}, err))
			return false;
	return !recording->id || test_history_end(recording->ledger, recording->run, err);
}

bool test_record(struct ledger *ledger, const struct test_run *run, const char *output,
	const struct json *result, struct error *err)
{
	scoped(text_free) char *path = path_join(output, LINES_NAME);
	struct recording recording = {.ledger = ledger, .run = run};

	if (json_get(result, "restored") || !test_totals_of(result).any)
		return true;
	FILE *file = fopen(path, "re");

	if (!file) {
		log_trace("engine", "no tests to record: \"%s\": %s", path, strerror(errno));
		return true;
	}
	bool done = take_lines(&recording, file, err);

	fclose(file);
	return done;
}
