/*
 * frame.h - what every command shares: finding it in the table, the common flags, --help, the
 *           printing of results and errors, exit statuses. main() is two lines around it.
 */
#ifndef PIPELINE_CLI_FRAME_H
#define PIPELINE_CLI_FRAME_H

#include "pipeline/cli/command.h"

/* Runs the command that argv names and returns the process's exit status. */
int frame_main(int argc, char **argv);

/*
 * Finds the command that the words at arguments[0…] name, the longest name first ("image build"
 * before "image").
 *
 * out_used  how many words its name took
 * Returns NULL when there is none.
 */
const struct command *frame_find(int count, char *const *arguments, int *out_used);

/* The command's own rows and behind them the common flags that it does not define itself;
 * targets of the common flags are in *values. rows has room for FRAME_ROWS more than the command's. */
struct frame_values {
	bool json, help;
	const char *trace, *ledger, *state;
};
enum { FRAME_ROWS = 5 };
size_t frame_rows(const struct option_set *own, struct frame_values *values,
	struct option_row *out_rows);

/* $DOGSHORE_STATE, $XDG_STATE_HOME/dogshore, ~/.local/state/dogshore, else /var/lib/dogshore;
 * absolute; owned. */
char *frame_state_folder(const char *flag);

#endif
