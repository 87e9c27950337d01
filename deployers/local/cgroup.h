/*
 * cgroup.h - where this machine keeps control groups: version 2, version 1, or version 1 with a
 *            version 2 tree beside it ("hybrid").
 *
 * Source  kernel Documentation/admin-guide/cgroup-v1 and cgroup-v2.
 */
#ifndef DEPLOYERS_LOCAL_CGROUP_H
#define DEPLOYERS_LOCAL_CGROUP_H

#include "base/buf.h"
#include "base/error.h"

enum cgroup_kind {
	CGROUP_V2,
	CGROUP_V1,
	CGROUP_HYBRID,
};
enum cgroup_kind cgroup_kind(void);

/* The file whose "oom_kill N" counts processes ended for memory in the group "/a/b"; owned. */
char *cgroup_oom_file(const char *group) must_use;

/*
 * crun refuses hybrid hosts unless it does not see the version 2 tree: gives this process (and those
 * it starts) a mount namespace of its own without that tree. Mounts made outside still come in. Does
 * nothing on other hosts.
 */
bool cgroup_hide_hybrid(struct error *err) must_use;

/* Removes the group "/a" and those below it in every hierarchy. Processes still inside are ended
 * first. Not to be called after cgroup_hide_hybrid(), which would leave one out. */
bool cgroup_remove(const char *group, struct error *err) must_use;

#endif
