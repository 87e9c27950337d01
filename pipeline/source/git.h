/*
 * git.h - what the files of this folder share of libgit2; nobody else includes it.
 */
#ifndef PIPELINE_SOURCE_GIT_H
#define PIPELINE_SOURCE_GIT_H

#include "pipeline/source/repository.h"

#include <git2.h>

struct repository {
	git_repository *git; /* owned */
	char *git_folder;    /* owned */
	char *work_folder;   /* owned; NULL for a bare repository */
};

/* The repository that a snapshot was opened in. */
struct repository *snapshot_repository(struct snapshot *snapshot);

/* Starts libgit2 at the first call. Without this nothing of it is touched, for it costs 4 ms. */
bool git_start(struct error *err) must_use;

/* Makes TLS possible: libgit2 reads 140 certificates at start, which we put off until here. */
bool git_load_certificates(struct error *err) must_use;

/* A folder or URL for errors: without the user and password that may stand in a URL; the caller's. */
char *git_public_place(const char *place) must_use;

/* Raises libgit2's last error behind an action and an object; code decides the kind. */
bool git_raise(struct error *err, int code, const char *format, ...) printf_like(3, 4);

#endif
