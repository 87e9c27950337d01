/*
 * scratch.h - a private folder for the time of a build, in the folder of temporary files. One that a
 *             killed build left behind is removed by the next: who works in a folder holds a lock in
 *             it, and the lock ends with the process.
 */
#ifndef BUILDERS_IMAGE_SCRATCH_H
#define BUILDERS_IMAGE_SCRATCH_H

#include "base/error.h"

struct scratch {
	char *path; /* owned */
	int lock;   /* owned; 0 when all-zero */
};
/* prefix: what the folder's name begins with, and those of the ones that are swept. */
bool scratch_open(const char *prefix, struct scratch *out_scratch, struct error *err) must_use;
/* Removes it with all below. */
void scratch_close(struct scratch *scratch);

#endif
