#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/layout_prune.h"
#include "pipeline/engine/run.h"

#include <stdlib.h>

/*
 * Whoever works with images holds the lock shared, whoever removes some holds it alone: what is pruned
 * is neither being made nor about to be pushed. A server that is never idle prunes later.
 */

enum { FOLDERS_KEPT = 200, FOLDERS_AT_ONCE = 20, IMAGES_KEPT = 20 };

static char *lock_path(const struct run *run)
{
	return path_join(run->options->state, "locks/images.lock");
}

bool prune_hold_off(struct run *run, struct error *err)
{
	scoped(text_free) char *path = lock_path(run), *folder = path_parent(path);
	int fd = -1;

	if (run->images_lock)
		return true;
	if (!folder_make(folder, 0700, err) || !file_lock_shared(path, &fd, err))
		return false;
	run->images_lock = fd;
	return true;
}

/* The number that a run's folder "<number>-xxxx" begins with; 0 when it is none. */
static int64_t number_of(const char *name)
{
	struct str rest = str_of(name), digits = str_cut(&rest, '-');
	int64_t number = 0;

	return str_to_int(digits, &number) ? number : 0;
}

/* Is it the folder of a run that ended? By its name, for the state folder may have been moved. */
static bool is_over(const struct run *run, const char *name)
{
	scoped(ledger_run_free) struct ledger_run old = {0};
	scoped(error_free) struct error err = {0};

	if (!ledger_run_get(run->options->ledger, number_of(name), &old, &err)) {
		error_ignore(&err, "then it is another ledger's");
		return false;
	}
	return outcome_is_final(old.status) && strcmp(path_base(old.folder), name) == 0;
}

/* Logs and artifacts of old runs go; what the ledger says of them stays. */
static void forget_folders(const struct run *run)
{
	scoped(text_free) char *runs = path_join(run->options->state, "runs");
	scoped(strings_free) struct strings names = {0};
	size_t done = 0;

	if (run->row.id <= FOLDERS_KEPT || !folder_list(runs, &names, NULL))
		return;
	/* A few at once: nobody waits for the clearing of a thousand. */
	for (size_t i = 0; i < names.count && done < FOLDERS_AT_ONCE; i++) {
		const char *name = names.items[i];
		int64_t number = number_of(name);
		scoped(error_free) struct error err = {0};

		if (number < 1 || number > run->row.id - FOLDERS_KEPT || !is_over(run, name))
			continue;
		scoped(text_free) char *folder = path_join(runs, name);

		if (folder_remove(folder, &err))
			done++;
		else
			error_ignore(&err, "space is all that is lost");
	}
}

/* The layouts first: what the ledger has and the layout has not is built again. */
static bool prune_builds(const struct run *run, const struct ledger_builds *builds,
	struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = run->options->ledger;
	scoped(text_free) char *images = path_join(run->options->state, "images");
	scoped(text_free) char *folder = NULL;
	scoped(strings_free) struct strings tags = {0};
	scoped(layout_free) struct layout layout = {0};
	struct layout_pruned pruned = {0};

	for (size_t i = 0; i < builds->count; i++) {
		scoped(text_free) char *tag = NULL, *path = NULL;

		if (!layout_reference_parse(builds->items[i].layout, &path, &tag, err))
			return false;
		/* One layout at once, and only ours: the rest is for another time. */
		if (!path_is_below(path, images) || (folder && strcmp(folder, path) != 0))
			continue;
		strings_add(&tags, tag);
		if (!folder)
			folder = memory_copy_text(path);
	}
	if (!folder)
		return true;
	if (file_exists(folder) &&
		(!layout_open(folder, &layout, err) || !layout_prune(&layout, &tags, &pruned, err)))
		return false;
	if (!ledger_begin(open, err))
		return false;
	for (size_t i = 0; i < builds->count; i++)
		if (text_starts_with(builds->items[i].layout, folder) &&
			builds->items[i].layout[strlen(folder)] == ':' &&
			!ledger_build_forget(open, &builds->items[i], err))
			return false;
	return ledger_commit(open, err);
}

static bool prune_service(const struct run *run, const char *service, struct error *err)
{
	scoped(ledger_builds_free) struct ledger_builds unused = {0};

	return ledger_builds_unused(run->options->ledger, run->row.app, service, IMAGES_KEPT,
		       &unused, err) &&
	       (!unused.count || prune_builds(run, &unused, err));
}

static bool made_images(const struct run *run)
{
	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].kind == STEP_IMAGE && run->steps[i].row.status == OUTCOME_PASSED)
			return true;
	return false;
}

static void prune_images(struct run *run)
{
	scoped(text_free) char *path = lock_path(run);
	scoped(descriptor_close) int alone = -1;

	if (!run->images_lock || !made_images(run))
		return;
	descriptor_close(&run->images_lock);
	run->images_lock = 0;
	if (!file_lock(path, false, &alone, NULL))
		return;
	for (size_t i = 0; i < run->step_count; i++) {
		scoped(error_free) struct error err = {0};

		if (run->steps[i].kind == STEP_IMAGE &&
			run->steps[i].row.status == OUTCOME_PASSED &&
			!prune_service(run, run->steps[i].row.service, &err))
			error_ignore(&err, "space is all that is lost");
	}
}

void prune_after(struct run *run)
{
	if (run->unrecorded)
		return;
	forget_folders(run);
	prune_images(run);
}
