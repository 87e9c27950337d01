/*
 * work_folder.h - a private folder for one build, gone afterwards.
 *
 * $DOGSHORE_WORK says where; else in memory (/dev/shm) when programs may be run from there and there
 * is plenty of room; else $TMPDIR or /tmp.
 *
 * A build that is killed leaves its folder behind; the next one in the same place removes it.
 */
#ifndef BUILDERS_EXECUTOR_WORK_FOLDER_H
#define BUILDERS_EXECUTOR_WORK_FOLDER_H

#include "base/error.h"

struct work_folder {
	char *path;  /* owned */
	int lock_fd; /* held while the folder is in use; 0 when all-zero */
};

bool work_folder_make(struct work_folder *out_folder, struct error *err) must_use;
/* Removes it and all that is in it. */
void work_folder_remove(struct work_folder *folder);

#endif
