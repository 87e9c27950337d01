#include "pipeline/cli/command.h"
#include "pipeline/engine/report.h"

static struct {
	const char *environment, *branch;
	int64_t limit;
} given = {.limit = 20};

static const struct option_row rows[] = {
	{"env", OPTION_TEXT, &given.environment, "ENV", "only runs to this environment", NULL},
	{"branch", OPTION_TEXT, &given.branch, "NAME", "only runs of this branch", NULL},
	{"limit", OPTION_INT, &given.limit, "N", "how many at most (20)", NULL},
};

static const struct option_set options = {
	.usage = "runs [--env ENV] [--branch NAME] [--limit N]",
	.about = "list runs, the newest first",
	.rows = rows,
	.count = countof(rows),
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(ledger_close) struct ledger *ledger = NULL;
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	const struct ledger_run_filter filter = {
		.environment = given.environment,
		.branch = given.branch,
		.limit = (size_t)given.limit,
	};

	if (given.limit < 1)
		return error_raise(err, ERROR_USAGE, "--limit must be 1 or more");
	if (!ledger_open(context->ledger, LEDGER_READ, &ledger, err))
		return error_next(err, "there are no runs yet: dogshore run");
	if (!ledger_runs_find(ledger, &filter, &runs, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_key(&w, "runs");
		json_array_begin(&w);
		for (size_t i = 0; i < runs.count; i++)
			report_write_line(&runs.items[i], &w);
		json_array_end(&w);
		json_object_end(&w);
		return true;
	}
	report_print_head(stdout);
	for (size_t i = 0; i < runs.count; i++)
		report_print_line(stdout, &runs.items[i]);
	return true;
}

const struct command runs_command = {"runs", &options, run, false};
