/*
 * descendants.h - the processes below one, whatever they have done to hide: a session, a group or a
 *                 parent of their own (a subreaper keeps those whose parent ended).
 *
 * Source  proc(5), /proc/PID/task/TID/children: needs CONFIG_PROC_CHILDREN. The list may miss what is
 *         forked meanwhile, so who must get all of them asks again.
 */
#ifndef BASE_DESCENDANTS_H
#define BASE_DESCENDANTS_H

#include "base/attributes.h"

#include <sys/types.h>

struct descendants {
	pid_t *pids; /* owned; parents before their children */
	size_t count;
};

/* Those of root, without itself. */
void descendants_find(pid_t root, struct descendants *out);
void descendants_free(struct descendants *descendants);

#endif
