#include "base/control_group.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"
#define PREFIX "dogshore-build-"

enum { FILE_BYTES_MAX = 1 << 20, REMOVE_MS = 5000, CPU_PERIOD_US = 100000 };

static const struct control_row {
	const char *name, *controller;
	const char *events[2], *event; /* file of version 1, of version 2; the count's name in it */
} rows[CONTROL_COUNT] = {
	[CONTROL_MEMORY] = {"memory", "memory", {"memory.oom_control", "memory.events"},
		"oom_kill "},
	[CONTROL_PROCESSES] = {"processes", "pids", {"pids.events", "pids.events"}, "max "},
	[CONTROL_CPUS] = {"cpus", "cpu", {NULL, NULL}, NULL},
};

const char *control_name(enum control control)
{
	return rows[control].name;
}

static bool is_version_2(void)
{
	struct statfs status;

	return statfs(ROOT, &status) == 0 && (unsigned long)status.f_type == CGROUP2_SUPER_MAGIC;
}

/* One write: these files take no other. */
static bool put(const char *folder, const char *name, const char *text)
{
	scoped(text_free) char *path = path_join(folder, name);
	scoped(descriptor_close) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool put_number(const char *folder, const char *name, int64_t number)
{
	scoped(text_free) char *text = memory_format("%lld", (long long)number);

	return put(folder, name, text);
}

static void read_all(const char *folder, const char *name, struct buf *out)
{
	scoped(text_free) char *path = path_join(folder, name);
	scoped(error_free) struct error err = {0};

	if (!file_read(path, FILE_BYTES_MAX, out, &err))
		error_ignore(&err, "then it says nothing");
}

/* Is word one of those in list, which separator is between? */
static bool has_word(struct str list, const char *word, char separator)
{
	while (list.data)
		if (str_equal_text(str_trim(str_cut(&list, separator)), word))
			return true;
	return false;
}

/* Our own group in a controller's hierarchy ("" for version 2); owned, NULL when there is none.
 * Lines of /proc/self/cgroup are "4:cpu,cpuacct:/path". */
static char *own_group(const char *controller)
{
	scoped(buf_free) struct buf text = {0};

	read_all("/proc/self", "cgroup", &text);
	struct str rest = buf_str(&text);

	while (rest.data) {
		struct str path = str_cut(&rest, '\n');

		str_cut(&path, ':');
		struct str controllers = str_cut(&path, ':');

		if (path.size && has_word(controllers, controller, ','))
			return str_copy(path);
	}
	return NULL;
}

/* What a maker that was killed left; rmdir takes only groups without processes. */
static void sweep(const char *parent)
{
	scoped(strings_free) struct strings names = {0};
	scoped(error_free) struct error err = {0};

	if (!folder_list(parent, &names, &err))
		error_ignore(&err, "then there is nothing to remove");
	for (size_t i = 0; i < names.count; i++) {
		struct str rest = str_of(names.items[i]);
		int64_t pid;

		if (!str_starts_with(rest, PREFIX))
			continue;
		rest = str_of(names.items[i] + strlen(PREFIX));
		if (!str_to_int(str_cut(&rest, '-'), &pid) || pid < 2 || kill((pid_t)pid, 0) == 0 ||
			errno != ESRCH)
			continue;
		scoped(text_free) char *path = path_join(parent, names.items[i]);

		rmdir(path);
	}
}

static char *make_below(const char *parent, const char **out_why)
{
	static int number;
	char *folder = memory_format("%s/" PREFIX "%d-%d", parent, (int)getpid(), ++number);

	sweep(parent);
	if (mkdir(folder, 0755) == 0)
		return folder;
	*out_why = errno == EROFS                      ? "control groups are read-only here"
		   : errno == EACCES || errno == EPERM ? "only root may make control groups here"
						       : strerror(errno);
	text_free(&folder);
	return NULL;
}

static bool set(enum control control, bool version_2, const char *folder,
	const struct limits *limits)
{
	scoped(text_free) char *quota =
		memory_format("%lld %d", (long long)limits->cpus * CPU_PERIOD_US, CPU_PERIOD_US);

	switch (control) {
	case CONTROL_MEMORY:
		/* Swap would only make the same memory slow; not every system counts it. */
		if (!put_number(folder, version_2 ? "memory.max" : "memory.limit_in_bytes",
			    limits->memory_bytes))
			return false;
		if (version_2)
			put(folder, "memory.swap.max", "0");
		else
			put_number(folder, "memory.memsw.limit_in_bytes", limits->memory_bytes);
		return true;
	case CONTROL_PROCESSES:
		return put_number(folder, "pids.max", limits->processes);
	case CONTROL_CPUS:
		if (version_2)
			return put(folder, "cpu.max", quota);
		return put_number(folder, "cpu.cfs_period_us", CPU_PERIOD_US) &&
		       put_number(folder, "cpu.cfs_quota_us", limits->cpus * CPU_PERIOD_US);
	case CONTROL_COUNT:
		break;
	}
	return false;
}

static void refuse(struct control_group *group, enum control control, const char *why)
{
	text_free(&group->of[control].folder);
	if (!group->of[control].why)
		group->of[control].why = memory_copy_text(why);
}

/* Where a group lies: in a container that names groups as its host does, the top is ours. Owned. */
static char *place_of(const char *top, const char *group)
{
	char *path = memory_format("%s%s", top, group);

	if (file_is_folder(path))
		return path;
	free(path);
	return memory_copy_text(top);
}

static void make_version_1(const struct limits *limits, enum control control,
	struct control_group *group)
{
	const char *why = "this kernel has no such control group";
	scoped(text_free) char *own = own_group(rows[control].controller);
	scoped(text_free) char *top = memory_format(ROOT "/%s", rows[control].controller);
	scoped(text_free) char *parent = own ? place_of(top, own) : NULL;

	group->of[control].folder = parent ? make_below(parent, &why) : NULL;
	char *folder = group->of[control].folder;

	if (folder && set(control, false, folder, limits))
		return;
	if (folder) {
		why = strerror(errno);
		rmdir(folder);
	}
	refuse(group, control, why);
}

/* Hands a controller down to the groups below parent, unless it is already. */
static bool hand_down(const char *parent, const char *controller)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *add = memory_format("+%s", controller);

	read_all(parent, "cgroup.subtree_control", &text);
	return has_word(str_trim(buf_str(&text)), controller, ' ') ||
	       put(parent, "cgroup.subtree_control", add);
}

static void make_version_2(const struct limits *limits, const bool wanted[CONTROL_COUNT],
	struct control_group *group)
{
	const char *why = "this kernel has no such control group";
	scoped(text_free) char *own = own_group("");
	scoped(text_free) char *above = path_parent(own ? own : "/");
	scoped(text_free) char *parent = place_of(ROOT, above);
	scoped(text_free) char *folder = make_below(parent, &why);
	size_t held = 0;

	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (!wanted[i])
			continue;
		if (folder && hand_down(parent, rows[i].controller) &&
			set((enum control)i, true, folder, limits)) {
			group->of[i].folder = memory_copy_text(folder);
			held++;
		} else {
			refuse(group, (enum control)i,
				folder ? "the group above does not hand it down" : why);
		}
	}
	if (folder && !held)
		rmdir(folder);
}

void control_group_make(const struct limits *limits, struct control_group *out_group)
{
	const bool wanted[CONTROL_COUNT] = {[CONTROL_MEMORY] = limits->memory_bytes > 0,
		[CONTROL_PROCESSES] = limits->processes > 0,
		[CONTROL_CPUS] = limits->cpus > 0};
	struct control_group group = {.processes = limits->processes};

	if (is_version_2()) {
		make_version_2(limits, wanted, &group);
	} else {
		for (int i = 0; i < CONTROL_COUNT; i++)
			if (wanted[i])
				make_version_1(limits, (enum control)i, &group);
	}
	*out_group = group;
}

bool control_group_holds(const struct control_group *group, enum control control)
{
	return group->of[control].folder != NULL;
}

/* In version 2 all limits share one folder, which is visited once. */
static const char *folder_of(const struct control_group *group, int i)
{
	const char *folder = group->of[i].folder;

	for (int before = 0; folder && before < i; before++)
		if (text_equal(group->of[before].folder, folder))
			return NULL;
	return folder;
}

bool control_group_add(const struct control_group *group, pid_t pid, struct error *err)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		const char *folder = folder_of(group, i);

		if (folder && !put_number(folder, "cgroup.procs", pid) && errno != ESRCH)
			return error_raise_errno(err, "limit %s in \"%s\"", rows[i].name, folder);
	}
	return true;
}

int64_t control_group_hits(struct control_group *group, enum control control)
{
	scoped(buf_free) struct buf text = {0};
	const char *event = rows[control].event;
	int64_t count, fresh = 0;

	if (!group->of[control].folder || !event)
		return 0;
	read_all(group->of[control].folder, rows[control].events[is_version_2()], &text);
	struct str rest = buf_str(&text);

	while (rest.data) {
		struct str line = str_cut(&rest, '\n');

		if (!str_starts_with(line, event))
			continue;
		str_cut(&line, ' ');
		if (str_to_int(line, &count)) {
			fresh = count - group->of[control].hits;
			group->of[control].hits = count;
		}
	}
	return fresh;
}

void control_group_kill(const struct control_group *group)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		const char *folder = folder_of(group, i);
		scoped(buf_free) struct buf text = {0};
		int64_t pid;

		if (!folder)
			continue;
		if (group->of[CONTROL_PROCESSES].folder)
			put(group->of[CONTROL_PROCESSES].folder, "pids.max", "0");
		read_all(folder, "cgroup.procs", &text);
		struct str rest = buf_str(&text);

		while (rest.data)
			if (str_to_int(str_cut(&rest, '\n'), &pid) && pid > 1)
				kill((pid_t)pid, SIGKILL);
	}
}

void control_group_reopen(const struct control_group *group)
{
	const char *folder = group->of[CONTROL_PROCESSES].folder;

	if (folder)
		put_number(folder, "pids.max", group->processes);
}

bool control_group_remove(struct control_group *group)
{
	int64_t deadline = clock_elapsed(&system_clock) + REMOVE_MS;
	bool gone = true;

	for (int i = 0; i < CONTROL_COUNT; i++) {
		const char *folder = folder_of(group, i);

		/* Busy while a process in it has not been reaped. */
		while (folder && rmdir(folder) < 0 && errno == EBUSY) {
			if (clock_elapsed(&system_clock) > deadline) {
				gone = false;
				break;
			}
			control_group_kill(group);
			clock_sleep(&system_clock, 1);
		}
	}
	control_group_free(group);
	return gone;
}

void control_group_free(struct control_group *group)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		text_free(&group->of[i].folder);
		text_free(&group->of[i].why);
	}
	*group = (struct control_group){0};
}
