#include "buildspec/disk_watch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"

#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	WALK_LEAST_MS = 10000,
	WALK_SHARE = 50, /* walks without a reason take at most a fiftieth of the time */
	RESERVE_BYTES = 512 << 20,
};

static bool find_free(const char *folder, int64_t *out_bytes)
{
	struct statvfs status;

	if (statvfs(folder, &status) < 0)
		return false;
	*out_bytes = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
	return true;
}

enum { TOO_DEEP = -1 };

/* What is on its disk below folder. A file with several names counts in parts; what vanishes
 * meanwhile does not. TOO_DEEP when there are paths that no program can name. */
static int64_t measure(const char *folder)
{
	scoped(text_free) char *path = memory_copy_text(folder);
	char *const paths[] = {path, NULL};
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	int64_t sum = 0;

	if (!walk)
		return 0;
	for (const FTSENT *entry; (entry = fts_read(walk));) {
		const struct stat *status = entry->fts_statp;

		if ((entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR) &&
			entry->fts_errno == ENAMETOOLONG) {
			sum = TOO_DEEP;
			break;
		}
		if (entry->fts_info == FTS_F || entry->fts_info == FTS_D)
			sum += (int64_t)status->st_blocks * 512 /
			       (entry->fts_info == FTS_F && status->st_nlink
					       ? (int64_t)status->st_nlink
					       : 1);
	}
	fts_close(walk);
	return sum;
}

void disk_watch_start(struct disk_watch *watch, const char *folder, int64_t limit_bytes)
{
	int64_t now = clock_elapsed(&system_clock);

	*watch = (struct disk_watch){.folder = folder,
		.limit_bytes = limit_bytes,
		.asked_ms = now,
		.walked_ms = now,
		.pause_ms = WALK_LEAST_MS};
	if (!find_free(folder, &watch->free_bytes)) {
		watch->folder = NULL;
		return;
	}
	int64_t most = watch->free_bytes / 10 * 9;

	watch->limit_bytes = limit_bytes < most ? limit_bytes : most;
	watch->reserve_bytes =
		watch->free_bytes / 20 < RESERVE_BYTES ? watch->free_bytes / 20 : RESERVE_BYTES;
}

static void walk(struct disk_watch *watch, int64_t free_bytes, int64_t now)
{
	watch->used_bytes = measure(watch->folder);
	watch->free_bytes = free_bytes;
	watch->walked_ms = clock_elapsed(&system_clock);
	int64_t pause = (watch->walked_ms - now) * WALK_SHARE;

	watch->pause_ms = pause > WALK_LEAST_MS ? pause : WALK_LEAST_MS;
}

bool disk_watch_is_over(struct disk_watch *watch, char **out_why)
{
	int64_t now = clock_elapsed(&system_clock), free_bytes;
	char limit[SIZE_TEXT_SIZE];

	if (!watch->folder || now - watch->asked_ms < DISK_WATCH_MS ||
		!find_free(watch->folder, &free_bytes))
		return false;
	watch->asked_ms = now;
	if (free_bytes < watch->reserve_bytes) {
		size_to_text(free_bytes, limit);
		*out_why = memory_format("it has filled the disk: %s are left in \"%s\"", limit,
			watch->folder);
		return true;
	}
	if (watch->used_bytes + watch->free_bytes - free_bytes < watch->limit_bytes &&
		now - watch->walked_ms < watch->pause_ms)
		return false;
	walk(watch, free_bytes, now);
	if (watch->used_bytes == TOO_DEEP) {
		*out_why = memory_copy_text(
			"it has nested folders so deep that nobody can tell what they hold");
		return true;
	}
	if (watch->used_bytes < watch->limit_bytes)
		return false;
	size_to_text(watch->limit_bytes, limit);
	*out_why = memory_format("it has used the %s of disk that a build may use", limit);
	return true;
}
