#include "builders/image/scratch.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

/* Without its lock file a folder is being made, or somebody else's, which we may not look into. */
static void sweep_one(const char *folder)
{
	scoped(text_free) char *file = path_join(folder, "lock");
	scoped(descriptor_close) int lock = -1;
	struct error err = {0};

	if (!file_exists(file))
		return;
	if (!file_lock(file, false, &lock, &err) || !folder_remove(folder, &err))
		error_ignore(&err, "somebody works in it, or the next build tries again");
}

static void sweep(const char *parent, const char *prefix)
{
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};

	if (!folder_list(parent, &names, &err)) {
		error_ignore(&err, "making a folder there says what is wrong");
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *folder = path_join(parent, names.items[i]);
		if (text_starts_with(names.items[i], prefix))
			sweep_one(folder);
	}
}

bool scratch_open(const char *prefix, struct scratch *out_scratch, struct error *err)
{
	const char *parent = getenv("TMPDIR");
	struct scratch scratch = {0};

	parent = parent && *parent ? parent : "/tmp";
	sweep(parent, prefix);
	if (!folder_make_temporary(parent, prefix, &scratch.path, err))
		return false;
	scoped(text_free) char *file = path_join(scratch.path, "lock");
	if (!file_lock(file, true, &scratch.lock, err)) {
		scratch_close(&scratch);
		return false;
	}
	*out_scratch = scratch;
	return true;
}

void scratch_close(struct scratch *scratch)
{
	struct error err = {0};

	if (scratch->path && !folder_remove(scratch->path, &err))
		error_ignore(&err, "the next build sweeps it");
	if (scratch->lock > 0)
		descriptor_close(&scratch->lock);
	text_free(&scratch->path);
	*scratch = (struct scratch){0};
}
