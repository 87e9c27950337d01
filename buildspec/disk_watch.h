/*
 * disk_watch.h - has a build filled its folder? Asked ten times a second, answered in microseconds.
 *
 * Only a walk knows what a folder holds, and walking costs; but a folder cannot have grown by more
 * than its file system has lost. So it is walked when that much is gone, and now and then besides, in
 * case somebody else has freed as much meanwhile. What is deleted and still open is found by neither;
 * it counts once the file system is nearly full.
 */
#ifndef BUILDSPEC_DISK_WATCH_H
#define BUILDSPEC_DISK_WATCH_H

#include "base/buf.h"

struct disk_watch {
	const char *folder; /* borrowed; NULL: nothing is watched */
	int64_t limit_bytes;
	int64_t reserve_bytes;       /* what the file system must have free */
	int64_t used_bytes;          /* at the last walk */
	int64_t free_bytes;          /* then */
	int64_t asked_ms, walked_ms; /* of clock_elapsed() */
	int64_t pause_ms;            /* between walks without a reason */
};

enum { DISK_WATCH_MS = 100 };

/* Lowers the limit to nine tenths of what is free. */
void disk_watch_start(struct disk_watch *watch, const char *folder, int64_t limit_bytes);
/* Is it over the limit? Then *out_why, which is owned, says so to the user. */
bool disk_watch_is_over(struct disk_watch *watch, char **out_why);

#endif
