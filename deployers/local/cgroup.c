#include "deployers/local/cgroup.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

static const char root[] = "/sys/fs/cgroup";
static const char unified[] = "/sys/fs/cgroup/unified";

static bool is_kind(const char *path, unsigned long magic)
{
	struct statfs status;

	return statfs(path, &status) == 0 && (unsigned long)status.f_type == magic;
}

enum cgroup_kind cgroup_kind(void)
{
	if (is_kind(root, CGROUP2_SUPER_MAGIC))
		return CGROUP_V2;
	return is_kind(unified, CGROUP2_SUPER_MAGIC) ? CGROUP_HYBRID : CGROUP_V1;
}

char *cgroup_oom_file(const char *group)
{
	if (is_kind(root, CGROUP2_SUPER_MAGIC))
		return memory_format("%s%s/memory.events", root, group);
	return memory_format("%s/memory%s/memory.oom_control", root, group);
}

bool cgroup_hide_hybrid(struct error *err)
{
	if (cgroup_kind() != CGROUP_HYBRID)
		return true;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
		umount2(unified, MNT_DETACH) < 0) {
		error_raise_errno(err, "hide the cgroup v2 tree of a hybrid host from the runtime");
		return error_next(err, "run the local cloud as root (it needs CAP_SYS_ADMIN)");
	}
	return true;
}

/* Ends what is still in a group; its processes leave it when they are reaped. */
static void end_processes(const char *folder)
{
	scoped(text_free) char *path = path_join(folder, "cgroup.procs");
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	if (!file_read(path, 1 << 20, &text, &err)) {
		error_ignore(&err, "the group is gone, or has no processes");
		return;
	}
	struct str rest = buf_str(&text);
	int64_t pid;

	while (rest.data) {
		if (str_to_int(str_cut(&rest, '\n'), &pid) && pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
}

static bool remove_group(const char *folder, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(folder, &names, err)) {
		if (err->kind != ERROR_NOT_FOUND)
			return false;
		error_ignore(err, "already gone");
		return true;
	}
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]);

		if (file_is_folder(path) && !remove_group(path, err))
			return false;
	}
	for (int tries = 0; rmdir(folder) < 0 && errno != ENOENT; tries++) {
		if (errno != EBUSY || tries == 200)
			return error_raise_errno(err, "remove the control group \"%s\"", folder);
		end_processes(folder);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	return true;
}

/* Every hierarchy is a folder below the root, or is the root. */
static bool remove_in_all(const char *group, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (is_kind(root, CGROUP2_SUPER_MAGIC)) {
		scoped(text_free) char *folder = memory_format("%s%s", root, group);

		return remove_group(folder, err);
	}
	if (!folder_list(root, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *folder =
			memory_format("%s/%s%s", root, names.items[i], group);

		if (!remove_group(folder, err))
			return false;
	}
	return true;
}

bool cgroup_remove(const char *group, struct error *err)
{
	if (!remove_in_all(group, err))
		return error_while(err, "removing what the tasks' limits left");
	return true;
}
