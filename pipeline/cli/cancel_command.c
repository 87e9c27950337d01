#include "pipeline/cli/command.h"

#include "base/json_writer.h"
#include "pipeline/engine/engine.h"

#include <stdio.h>

static const struct option_set options = {
	.usage = "cancel RUN",
	.about = "end a run: its children end, the ledger says so",
	.word_min = 1,
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(ledger_close) struct ledger *ledger = NULL;
	bool asked = false;
	int64_t id = 0;

	if (!str_to_int(str_of(context->words.items[0]), &id)) {
		error_raise(err, ERROR_USAGE, "\"%s\" is no number of a run",
			context->words.items[0]);
		return error_next(err, "\"dogshore runs\" lists them");
	}
	if (!ledger_open(context->ledger, LEDGER_WRITE, &ledger, err) ||
		!engine_ask_cancel(ledger, id, &asked, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_put_int(&w, "run", id);
		json_put_text(&w, "status", asked ? "cancelling" : "cancelled");
		json_object_end(&w);
	} else {
		printf("run %lld %s\n", (long long)id,
			asked ? "is being cancelled" : "is cancelled");
	}
	return true;
}

const struct command cancel_command = {"cancel", &options, run, false};
