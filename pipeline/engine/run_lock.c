#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/run.h"

#include <stdlib.h>

static char *lock_path(const char *folder)
{
	return path_join(folder, "engine.lock");
}

bool run_open_folder(struct run *run, struct error *err)
{
	scoped(text_free) char *lock = NULL;
	char suffix[5];
	int fd = -1;

	random_hex(suffix, 4);
	free(run->row.folder);
	run->row.folder = memory_format("%s/runs/%lld-%s", run->options->state,
		(long long)run->row.id, suffix);
	lock = lock_path(run->row.folder);
	if (!folder_make(run->row.folder, 0700, err) || !file_lock(lock, false, &fd, err))
		return error_while(err, "making the folder of run %lld", (long long)run->row.id);
	run->lock = fd;
	return true;
}

bool run_take(struct run *run, bool *out_got, struct error *err)
{
	scoped(text_free) char *lock = lock_path(run->row.folder);
	scoped(error_free) struct error busy = {0};
	int fd = -1;

	*out_got = false;
	/* Its folder may have been cleared away; the run can still be ended properly. */
	if (!folder_make(run->row.folder, 0700, err))
		return false;
	if (file_lock(lock, false, &fd, &busy)) {
		run->lock = fd;
		*out_got = true;
		return true;
	}
	if (busy.kind == ERROR_CONFLICT)
		return true;
	error_move(err, &busy);
	return false;
}

bool engine_is_alive(const struct ledger_run *run)
{
	scoped(text_free) char *lock = lock_path(run->folder);
	scoped(error_free) struct error busy = {0};
	scoped(descriptor_close) int fd = -1;

	if (!*run->folder || !file_exists(lock) || file_lock(lock, false, &fd, &busy))
		return false;
	return busy.kind == ERROR_CONFLICT;
}
