/*
 * control_group.h - a control group of its own for one command and all that it starts: memory,
 *                   processes and processors that it may use, as far as this machine lets us.
 *
 * Version 2  a sibling of our own group (or, for root, below the top): there controllers can be
 *            handed down, while a group with processes cannot have them. As a normal user that is
 *            allowed in what systemd delegates (Delegate=yes with DelegateSubgroup=).
 * Version 1  below our own group in the hierarchy of each controller; root only.
 *
 * Source     kernel Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/{memory,pids}.rst.
 * Left over  by a maker that was killed: removed by the next one, once no process is in it.
 */
#ifndef BASE_CONTROL_GROUP_H
#define BASE_CONTROL_GROUP_H

#include "base/error.h"
#include "base/limits.h"

#include <sys/types.h>

enum control {
	CONTROL_MEMORY,
	CONTROL_PROCESSES,
	CONTROL_CPUS,
	CONTROL_COUNT,
};
const char *control_name(enum control control); /* "memory", "processes", "cpus" */

struct control_group {
	struct {
		char *folder; /* owned; NULL: not in force. The same one for all in version 2 */
		char *why;    /* owned; when it was wanted and is not in force */
		int64_t hits; /* already told by control_group_hits() */
	} of[CONTROL_COUNT];
	int64_t processes; /* the limit, which control_group_kill() lowers to 0 */
};

/* Makes the group with those of the limits that are not 0. What this machine refuses is no error: the
 * member's folder is NULL then. */
void control_group_make(const struct limits *limits, struct control_group *out_group);
/* Is the limit wanted and held? */
bool control_group_holds(const struct control_group *group, enum control control);
/* Moves a process, not its children, into the group. A process that has ended is no error. */
bool control_group_add(const struct control_group *group, pid_t pid, struct error *err) must_use;
/* How often since the last time it was asked a process was killed for memory, or not made because
 * there were enough. */
int64_t control_group_hits(struct control_group *group, enum control control);
/* No new process is made in it any more, and those in it are killed; they may take a moment. */
void control_group_kill(const struct control_group *group);
/* Lets it have processes again after control_group_kill(). */
void control_group_reopen(const struct control_group *group);
/* Kills what is in it and removes it. False when something would not go within five seconds. */
bool control_group_remove(struct control_group *group);
/* Forgets it without touching the group. */
void control_group_free(struct control_group *group);

#endif
