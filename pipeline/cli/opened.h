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
void opened_free(struct opened *opened);

#endif
