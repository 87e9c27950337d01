#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/run.h"

#include <stdlib.h>

static const char cancel_name[] = "cancel";

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

bool run_is_asked_to_cancel(const struct run *run)
{
	scoped(text_free) char *path = path_join(run->row.folder, cancel_name);

	return file_exists(path);
}

bool run_close_steps(struct ledger *ledger, int64_t run, const char *reason, struct error *err)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	if (!ledger_steps_find(ledger, run, &steps, err))
		return false;
	for (size_t i = 0; i < steps.count; i++) {
		if (outcome_is_final(steps.items[i].status))
			continue;
		steps.items[i].status = OUTCOME_CANCELLED;
		free(steps.items[i].reason);
		steps.items[i].reason = memory_copy_text(reason);
		if (!ledger_step_save(ledger, &steps.items[i], err))
			return false;
	}
	return true;
}

bool engine_ask_cancel(struct ledger *ledger, int64_t id, bool *out_asked, struct error *err)
{
	scoped(ledger_run_free) struct ledger_run run = {0};
	scoped(ledger_rollback) struct ledger *open = ledger;

	*out_asked = false;
	if (!ledger_run_get(ledger, id, &run, err))
		return false;
	if (outcome_is_final(run.status))
		return error_raise(err, ERROR_CONFLICT, "run %lld has ended already: it %s",
			(long long)id, outcome_name(run.status));
	if (engine_is_alive(&run)) {
		scoped(text_free) char *path = path_join(run.folder, cancel_name);

		*out_asked = true;
		if (!file_write(path, str_literal("cancel\n"), 0600, false, err))
			return false;
		bell_ring(run.folder);
		return true;
	}
	free(run.reason);
	run.reason = memory_copy_text("it was cancelled; its engine had died before");
	run.status = OUTCOME_CANCELLED;
	run.ended_ms = clock_now(&system_clock);
	return ledger_begin(ledger, err) && run_close_steps(ledger, id, run.reason, err) &&
	       ledger_run_save(ledger, &run, err) && ledger_commit(ledger, err);
}
