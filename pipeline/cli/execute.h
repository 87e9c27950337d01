/*
 * execute.h - one run in the foreground, for `run` and `rerun`.
 */
#ifndef PIPELINE_CLI_EXECUTE_H
#define PIPELINE_CLI_EXECUTE_H

#include "pipeline/cli/command.h"
#include "pipeline/source/repository.h"

struct execute_options {
	const char *repository;  /* NULL: here */
	const char *rev;         /* NULL: HEAD */
	const char *environment; /* NULL: the only one */
	const char *force;       /* NULL: nothing */
	bool fresh;              /* restore nothing */
	int64_t jobs;            /* 0: as many as there are processors */
};

/* Takes over what is left of a run of this commit and environment, else makes a new one; tells how
 * it ended in context. */
bool execute(struct command_context *context, const struct execute_options *options,
	struct error *err) must_use;

#endif
