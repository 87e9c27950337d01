/*
 * opened.h - a commit of a repository with its project file: what most commands begin with.
 */
#ifndef PIPELINE_CLI_OPENED_H
#define PIPELINE_CLI_OPENED_H

#include "pipeline/plan/plan.h"

struct opened {
	struct repository *repository;
	struct commit commit;
	struct snapshot *snapshot;
	struct project *project;
};

/* folder NULL: here; rev NULL: HEAD. */
bool opened_read(struct opened *opened, const char *folder, const char *rev, struct error *err)
	must_use;
/* The same through the cache of parsed project files in the state folder. */
bool opened_read_cached(struct opened *opened, const char *folder, const char *rev,
	const char *state, struct error *err) must_use;
void opened_free(struct opened *opened);

#endif
