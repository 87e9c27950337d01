#include "pipeline/cli/command.h"
#include "pipeline/engine/report.h"

static const struct option_set options = {
	.usage = "show RUN",
	.about = "show a run, its steps and where their logs are",
	.word_min = 1,
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(ledger_close) struct ledger *ledger = NULL;
	scoped(ledger_run_free) struct ledger_run found = {0};
	int64_t id = 0;

	if (!str_to_int(str_of(context->words.items[0]), &id)) {
		error_raise(err, ERROR_USAGE, "\"%s\" is no number of a run",
			context->words.items[0]);
		return error_next(err, "\"dogshore runs\" lists them");
	}
	if (!ledger_open(context->ledger, LEDGER_READ, &ledger, err))
		return error_next(err, "there are no runs yet: dogshore run");
	if (!ledger_run_get(ledger, id, &found, err))
		return false;
	if (!context->json)
		return report_print(stdout, ledger, &found, err);
	struct json_writer w = json_writer_start(&context->result);

	return report_write(ledger, &found, true, &w, err);
}

const struct command show_command = {"show", &options, run, false};
