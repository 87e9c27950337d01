/*
 * batch.h - what a batch build starts: the tasks that a buildspec's batch section stands for.
 *
 *     build-list    its tasks, all at once            build-matrix  one task a combination
 *     build-graph   its tasks, each after others      build-fanout  as many shards of one build
 *
 * A pure function of the file. Identifiers of a matrix and of shards are ours: "matrix_1" … in the
 * order of the file, the last axis fastest; "shard_1" ….
 *
 * Source  buildspec reference, section 11.
 */
#ifndef BUILDSPEC_BATCH_H
#define BUILDSPEC_BATCH_H

#include "base/json_writer.h"
#include "buildspec/buildspec.h"

/* More tasks are an error of the file. */
enum { BATCH_TASKS_MAX = 256 };

struct batch_plan_task {
	const char *identifier; /* CODEBUILD_BATCH_BUILD_IDENTIFIER */
	const char *buildspec;  /* relative to the source; NULL: the file that was read */
	struct batch_env env;
	size_t *after; /* indices of the tasks that come first, and must not have failed */
	size_t after_count;
	bool ignore_failure, debug_session;
};

struct batch_plan {
	bool fast_fail;                /* a failure ends the other tasks */
	struct batch_plan_task *tasks; /* one never stands before one that it waits for */
	size_t count;
};

/* Everything lives in the arena, or borrows from spec. Of a spec without errors only; one without a
 * batch section gives an empty plan. */
void batch_make_plan(const struct batch_spec *spec, struct arena *arena,
	struct batch_plan *out_plan);

/* Is there nothing to run but the tasks of the batch section? */
bool batch_is_all(const struct buildspec *spec);

/* "build-graph" */
const char *batch_kind_name(enum batch_kind kind);

/* One object: kind, fast_fail, tasks. */
void batch_plan_write(const struct batch_plan *plan, enum batch_kind kind, struct json_writer *w);

#endif
