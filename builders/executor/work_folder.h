/*
 * work_folder.h - a private folder for one build, gone afterwards.
 *
 * $DOGSHORE_WORK says where; else in memory (/dev/shm) when programs may be run from there and there
 * is plenty of room; else $TMPDIR or /tmp.
 *
 * An undertaker removes the folder when we and the keepers of our commands have ended without doing
 * so. What it could not remove (it was killed too, or the power went) the next build
 * in the same place does.
 */
#ifndef BUILDERS_EXECUTOR_WORK_FOLDER_H
#define BUILDERS_EXECUTOR_WORK_FOLDER_H

#include "base/error.h"
#include "builders/executor/undertaker.h"

struct work_folder {
	char *path;  /* owned */
	int lock_fd; /* held while the folder is in use; 0 when all-zero */
	struct undertaker undertaker;
};

bool work_folder_make(struct work_folder *out_folder, struct error *err) must_use;
/* Removes it and all that is in it. */
void work_folder_remove(struct work_folder *folder);

#endif
