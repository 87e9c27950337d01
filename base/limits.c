#include "base/limits.h"

#include "base/file.h"
#include "base/memory.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

void limits_complete(struct limits *limits)
{
	if (!limits->disk_bytes)
		limits->disk_bytes = LIMITS_DISK_BYTES;
}

int64_t limits_scratch_bytes(const struct limits *limits)
{
	struct sysinfo machine;

	if (limits->memory_bytes)
		return limits->memory_bytes / 4;
	return sysinfo(&machine) == 0 ? (int64_t)((uint64_t)machine.totalram * machine.mem_unit / 5)
				      : 0;
}

static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};

bool size_parse(struct str text, int64_t *out_size_bytes)
{
	for (size_t i = 0; i < countof(units); i++) {
		int64_t number, unit = (int64_t)1 << (10 * (i + 1));

		if (!str_ends_with(text, units[i]))
			continue;
		if (!str_to_int((struct str){text.data, text.size - 3}, &number) || number < 1 ||
			number > INT64_MAX / unit)
			return false;
		*out_size_bytes = number * unit;
		return true;
	}
	return false;
}

void size_to_text(int64_t size_bytes, char out[SIZE_TEXT_SIZE])
{
	size_t unit = 0;
	double size = (double)size_bytes / 1024;

	for (; size >= 1024 && unit + 1 < countof(units); unit++)
		size /= 1024;
	bool whole = size == (double)(int64_t)size;

	snprintf(out, SIZE_TEXT_SIZE, "%.*f %s", whole ? 0 : 1, size, units[unit]);
}

static void lower(__rlimit_resource_t resource, int64_t value)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return;
	rlim_t wanted = (rlim_t)value < now.rlim_max ? (rlim_t)value : now.rlim_max;

	now.rlim_cur = now.rlim_max = wanted;
	setrlimit(resource, &now);
}

void limits_set(const struct limits *limits, int64_t processes_now)
{
	lower(RLIMIT_CORE, 0);
	if (limits->disk_bytes)
		lower(RLIMIT_FSIZE, limits->disk_bytes);
	if (limits->processes && processes_now >= 0)
		lower(RLIMIT_NPROC, limits->processes + processes_now);
}

/* Each thread is a folder. */
static int64_t count_threads(const char *process)
{
	scoped(text_free) char *path = memory_format("/proc/%s/task", process);
	struct stat status;

	/* Threads, "." and ".." */
	return stat(path, &status) == 0 && status.st_uid == getuid() && status.st_nlink > 2
		       ? (int64_t)status.st_nlink - 2
		       : 0;
}

int64_t limits_count_processes(void)
{
	scoped(strings_free) struct strings names = {0};
	scoped(error_free) struct error err = {0};
	int64_t count = 0, pid;

	if (!folder_list("/proc", &names, &err))
		error_ignore(&err, "then none are counted");
	for (size_t i = 0; i < names.count; i++)
		if (str_to_int(str_of(names.items[i]), &pid))
			count += count_threads(names.items[i]);
	return count;
}

void limits_set_processors(int64_t cpus)
{
	cpu_set_t now, wanted;

	if (cpus <= 0 || sched_getaffinity(0, sizeof(now), &now) < 0 || CPU_COUNT(&now) <= cpus)
		return;
	CPU_ZERO(&wanted);
	for (int at = (int)(getpid() % CPU_SETSIZE); CPU_COUNT(&wanted) < cpus;
		at = (at + 1) % CPU_SETSIZE)
		if (CPU_ISSET(at, &now))
			CPU_SET(at, &wanted);
	sched_setaffinity(0, sizeof(wanted), &wanted);
}
