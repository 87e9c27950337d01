#include "builders/executor/work_folder.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define IN_MEMORY "/dev/shm"

/* Builds run what they have built, so "noexec" (as containers have it) will not do. */
static bool memory_will_do(void)
{
	const unsigned long long wanted_bytes = 2ull << 30;
	struct statvfs status;

	return access(IN_MEMORY, W_OK) == 0 && statvfs(IN_MEMORY, &status) == 0 &&
	       !(status.f_flag & ST_NOEXEC) &&
	       (unsigned long long)status.f_bavail * status.f_frsize >= wanted_bytes;
}

#define PREFIX "dogshore-build-"

/* Between making a folder and locking it somebody may look: young ones are left alone. */
enum { YOUNG_SECONDS = 60 };

/* Ours, old enough, and nobody holds it. */
static bool is_left_behind(const char *path)
{
	scoped(descriptor_close) int fd =
		open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
	       status.st_ctime < time(NULL) - YOUNG_SECONDS && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep(const char *parent)
{
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};

	if (!folder_list(parent, &names, &err))
		error_ignore(&err, "then making a folder here tells why");
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(parent, names.items[i]);

		if (!text_starts_with(names.items[i], PREFIX) || !is_left_behind(path))
			continue;
		log_trace("build", "removing \"%s\", which a killed build left", path);
		if (!folder_remove(path, &err))
			error_ignore(&err, "the next build tries again");
	}
}

static const char *place(void)
{
	const char *wanted = getenv("DOGSHORE_WORK"), *temporary = getenv("TMPDIR");

	if (wanted && wanted[0])
		return wanted;
	if (memory_will_do())
		return IN_MEMORY;
	return temporary && temporary[0] ? temporary : "/tmp";
}

bool work_folder_make(struct work_folder *out_folder, struct error *err)
{
	const char *parent = place();
	char random[17];

	sweep(parent);
	random_hex(random, sizeof(random) - 1);
	out_folder->path = memory_format("%s/" PREFIX "%s", parent, random);
	/* First, so that there is never a folder that nobody would remove. */
	undertaker_start(&out_folder->undertaker, out_folder->path);
	if (mkdir(out_folder->path, 0700) < 0) {
		error_raise_errno(err, "make a private folder in \"%s\"", parent);
		undertaker_dismiss(&out_folder->undertaker);
		text_free(&out_folder->path);
		return error_next(err, "say where builds may work: DOGSHORE_WORK=DIR");
	}
	int fd = open(out_folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		out_folder->lock_fd = fd;
		return true;
	}
	error_raise_errno(err, "lock \"%s\"", out_folder->path);
	descriptor_close(&fd);
	work_folder_remove(out_folder);
	return false;
}

void work_folder_remove(struct work_folder *folder)
{
	struct error err = {0};

	if (folder->path && !folder_remove(folder->path, &err)) {
		log_write(LOG_WARNING, "a build's folder could not be removed", "why", err.message,
			NULL);
		error_free(&err);
	}
	undertaker_end(&folder->undertaker);
	if (folder->lock_fd)
		close(folder->lock_fd);
	text_free(&folder->path);
	*folder = (struct work_folder){0};
}
