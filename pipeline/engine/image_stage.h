/*
 * image_stage.h - the command line of `dogshore image build` for a service of a commit: the same for
 *                 a run and for `image prove`, so that the same image comes of it.
 */
#ifndef PIPELINE_ENGINE_IMAGE_STAGE_H
#define PIPELINE_ENGINE_IMAGE_STAGE_H

#include "pipeline/plan/project.h"
#include "pipeline/source/repository.h"

struct image_stage {
	const struct project_service *service;
	struct snapshot *snapshot;
	const char *output; /* what `dogshore build` left: below it artifacts/ */
	const char *files;  /* folder of our own, made anew, for files that the commit has */
};

/*
 * Appends "image build …" without --output.
 *
 * Fails with  ERROR_INVALID (the build left no such artifact), ERROR_NOT_FOUND (a file that neither build nor commit has).
 */
bool image_stage_arguments(const struct image_stage *stage, struct strings *argv, struct error *err)
	must_use;

/* What a Dockerfile's COPY takes from: the commit's files below the service's path, with the artifacts
 * of the build over them. Made anew below stage->files; owned. */
bool image_stage_context(const struct image_stage *stage, char **out_folder, struct error *err)
	must_use;

/* What the provenance of an image will say; texts borrowed, NULL: not known. */
struct image_origin {
	struct repository *repository;
	const char *key;
	int64_t run;        /* 0: none */
	int64_t started_ms; /* 0: not known */
};

/*
 * Writes the facts of the build to path, for --provenance: where the repository is (its remote
 * "origin", else its folder), the commit, the service with its buildspec, and the toolchain.
 */
bool image_stage_write_facts(const struct image_stage *stage, const struct image_origin *origin,
	const char *path, struct error *err) must_use;

#endif
