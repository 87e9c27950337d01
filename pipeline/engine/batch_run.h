/*
 * batch_run.h - runs the tasks of a batch one after the other, here and now: no ledger, no stages.
 *
 * What comes next is decided as in a run of the engine (schedule.h), with one job.
 */
#ifndef PIPELINE_ENGINE_BATCH_RUN_H
#define PIPELINE_ENGINE_BATCH_RUN_H

#include "buildspec/build.h"
#include "pipeline/engine/batch_file.h"
#include "pipeline/ledger/ledger.h"

struct batch_run_task {
	enum outcome status;
	char *reason; /* owned; NULL for one that passed */
	bool built;   /* there is a result, whatever it is */
	struct build_result result;
	struct error failure; /* why there is none */
};

struct batch_run {
	struct batch_run_task *tasks; /* owned; as many as the plan has, in its order */
	size_t count;
	enum outcome status; /* of the whole */
	size_t telling;      /* the task whose failure it is; SIZE_MAX: it passed */
	int64_t started_at, duration_ms;
};
void batch_run_free(struct batch_run *run);

/* Builds one task, as build_run() does. After ERROR_CANCELLED no other is started. */
typedef bool batch_build(void *self, size_t task, struct build_result *out_result,
	struct error *err);

void batch_run(const struct batch_file *file, batch_build *build, void *self,
	struct batch_run *out_run);

/* One object: status in the words of CodeBuild, kind, fast_fail, tasks: each with identifier, buildspec,
 * ignore_failure, reason, and what build_result_write() says of it. */
void batch_run_write(const struct batch_file *file, const struct batch_run *run,
	struct json_writer *w);

#endif
