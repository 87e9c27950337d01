/*
 * steady_copy.h - copies a file out of a folder in which commands may still be writing: one state of
 *                 it, or none, and nothing of what lies outside of the folder.
 *
 * Links are followed as long as they stay below the folder, whatever a process that still runs puts
 * in the way meanwhile. A file whose size or times have changed when its copy is done is copied
 * again, five times at most.
 *
 * Source  openat2(2), RESOLVE_BENEATH.
 */
#ifndef BUILDSPEC_STEADY_COPY_H
#define BUILDSPEC_STEADY_COPY_H

#include "base/error.h"

#include <sys/stat.h>

enum steady {
	STEADY_COPIED,
	STEADY_GONE,    /* it is not there, no regular file, or lies outside */
	STEADY_CHANGED, /* each time while it was copied */
};

struct steady_source {
	const char *root; /* the folder */
	const char *path; /* below root */
	/* For tests: called behind each copy. NULL: nothing. */
	void (*copied)(void *self);
	void *self;
};

/*
 * to          replaced as a whole; its folder exists
 * out_status  what was copied; may be NULL
 */
bool steady_copy(const struct steady_source *source, const char *to, enum steady *out_result,
	struct stat *out_status, struct error *err) must_use;

#endif
