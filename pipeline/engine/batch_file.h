/*
 * batch_file.h - a buildspec that is built as a batch, and the tasks it stands for: of a service
 *                (`build: {batch: true}`) the same in the engine, which makes a step of each, and in the
 *                stage that runs one; of a folder in `buildspec run --batch`.
 */
#ifndef PIPELINE_ENGINE_BATCH_FILE_H
#define PIPELINE_ENGINE_BATCH_FILE_H

#include "buildspec/batch.h"
#include "pipeline/plan/project.h"
#include "pipeline/source/repository.h"

/* What the shard of a build-fanout is told by: "2/7". */
#define BATCH_SHARD_VARIABLE "DOGSHORE_SHARD"

struct batch_file {
	struct batch_plan plan; /* lives in the arena */
	enum batch_kind kind;
	char *path; /* owned: of the buildspec, from the repository's root or the source */
	struct arena arena;
};
void batch_file_free(struct batch_file *file);

/* Fails with ERROR_INVALID (no batch section, or the first mistake with its line), ERROR_NOT_FOUND. */
bool batch_file_read(const struct project_service *service, struct snapshot *snapshot,
	struct batch_file *out, struct error *err) must_use;

/* The same for a folder; buildspec is relative to it. */
bool batch_file_load(const char *source, const char *buildspec, struct batch_file *out,
	struct error *err) must_use;

/* SIZE_MAX when there is none of that identifier. */
size_t batch_file_find(const struct batch_file *file, const char *identifier);
/* The same, with ERROR_USAGE that suggests the nearest. */
bool batch_file_need(const struct batch_file *file, const char *identifier, size_t *out_task,
	struct error *err) must_use;

/* Where a task's buildspec lies, from where path starts. Fails with ERROR_INVALID when that is
 * outside. Owned. */
bool batch_file_buildspec(const struct batch_file *file, size_t task, char **out_path,
	struct error *err) must_use;
/* Appends the "NAME=value" that a task gets, besides those of its service. */
void batch_file_variables(const struct batch_file *file, size_t task, struct strings *env);

#endif
