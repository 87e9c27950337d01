/*
 * build_merge.h - what the tasks of a batch left, put together as the build of their service.
 *
 * The primary artifacts of all tasks that succeeded, in the order of the plan. Two tasks may leave the same
 * path when the bytes are the same.
 *
 * And what they read: a file counts when one of them read it. What a task read that failed, or that left no
 * record to trust, is not known, and so neither is that of them all.
 */
#ifndef PIPELINE_CLI_BUILD_MERGE_H
#define PIPELINE_CLI_BUILD_MERGE_H

#include "pipeline/engine/batch_file.h"

struct build_merge {
	const struct batch_file *batch;
	const char *service, *commit;
	const char *tasks;  /* folder with build:ID/, each the output folder of a task */
	const char *output; /* folder; what an earlier build left there goes */
	bool reads;         /* the tasks say what they read */
};

/*
 * Appends the stage's result and writes it to output, too.
 *
 * Fails with ERROR_FAILED (two tasks left a path with different bytes), ERROR_NOT_FOUND (a task that may
 * not fail left no result).
 */
bool build_merge(const struct build_merge *merge, struct buf *out_result, struct error *err)
	must_use;

#endif
