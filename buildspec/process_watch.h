/*
 * process_watch.h - has a build more processes than a build has? For those to which nobody gave a
 *                   number, which a control group would hold (base/limits.h says why they have none).
 *
 * Asked about ten times a second: how many threads the machine has, one small file; only when those
 * have become many are the build's own processes counted.
 */
#ifndef BUILDSPEC_PROCESS_WATCH_H
#define BUILDSPEC_PROCESS_WATCH_H

#include "base/attributes.h"

#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_WATCH_LIMIT = 4096, PROCESS_WATCH_MS = 100 };

struct process_watch {
	int64_t limit;    /* 0: nothing is watched */
	int64_t at_start; /* threads of the machine */
	int64_t asked_ms; /* of clock_elapsed() */
};

void process_watch_start(struct process_watch *watch, int64_t limit);
/* Does the process have more descendants than the limit? */
bool process_watch_is_over(struct process_watch *watch, pid_t process);

#endif
