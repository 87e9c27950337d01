#include "builders/executor/work_folder.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/statvfs.h>
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

bool work_folder_make(struct work_folder *out_folder, struct error *err)
{
	const char *wanted = getenv("DOGSHORE_WORK");

	if (!wanted || !wanted[0])
		wanted = memory_will_do() ? IN_MEMORY : NULL;
	return folder_make_temporary(wanted, "dogshore-build-", &out_folder->path, err) ||
	       error_next(err, "say where builds may work: DOGSHORE_WORK=DIR");
}

void work_folder_remove(struct work_folder *folder)
{
	struct error err = {0};

	if (folder->path && !folder_remove(folder->path, &err)) {
		log_write(LOG_WARNING, "a build's folder could not be removed", "why", err.message,
			NULL);
		error_free(&err);
	}
	text_free(&folder->path);
}
