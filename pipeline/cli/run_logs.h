/*
 * run_logs.h - `logs RUN [SERVICE [STEP]]`: what the steps of a run printed.
 */
#ifndef PIPELINE_CLI_RUN_LOGS_H
#define PIPELINE_CLI_RUN_LOGS_H

#include "pipeline/cli/command.h"

struct run_logs_options {
	int64_t run;
	const char *service, *step; /* NULL: all */
	int64_t lines;              /* of each step the last ones; 0: all */
	bool timestamps;
	bool follow; /* goes on while the steps run */
};

/* Prints to stdout; to a terminal only what is harmless there. */
bool run_logs_print(struct command_context *context, const struct run_logs_options *options,
	struct error *err) must_use;

#endif
