/*
 * command.h - one row per command of `dogshore`.
 *
 * A command is a file <name>_command.c with one `const struct command`, a row in commands.c and a
 * line in CMakeLists.txt. Parsing, --help, completion and the printing of errors follow from the row.
 *
 * Every command understands --help, --json, --trace LIST and --ledger URL, --state DIR; those are
 * the frame's (main.c) and stand in no command's table.
 *
 * Output  with --json the command writes exactly one document into context->result and prints
 *         nothing on stdout; without it, it prints for reading on stdout. Progress goes to stderr.
 *         When a command fails without a document the frame writes
 *         {"status":"failed","error":{"kind","message","while":[…],"next"}}.
 */
#ifndef PIPELINE_CLI_COMMAND_H
#define PIPELINE_CLI_COMMAND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/options.h"

struct command_context {
	bool json;
	struct strings words; /* what is not a flag */
	const char *ledger;   /* --ledger or DOGSHORE_LEDGER, else "sqlite:<state>/ledger.db" */
	const char *
		state; /* --state, DOGSHORE_STATE, XDG_STATE_HOME/dogshore, ~/.local/state/dogshore */
	struct buf result; /* the JSON document */
	int exit_status;   /* for outcomes that are no error, e.g. 4 after a rollback; 0 */
};

struct command {
	const char *name;                 /* "deploy", "image build" */
	const struct option_set *options; /* targets are static variables of the command's file */
	/* False with err set: the frame prints it and exits with error_exit_status(err->kind). */
	bool (*run)(struct command_context *context, struct error *err);
	bool hidden; /* not listed in --help (helpers that we start ourselves) */
};

extern const struct command *const commands[]; /* ends with NULL; order of --help */

#endif
