#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/image_stage.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct laying {
	const char *from, *to;
};

static bool lay_link(const char *from, const char *to, struct error *err)
{
	char target[PATH_MAX];
	ssize_t size = readlink(from, target, sizeof(target) - 1);

	if (size < 0)
		return error_raise_errno(err, "read the link \"%s\"", from);
	target[size] = 0;
	if ((unlink(to) < 0 && errno != ENOENT) || symlink(target, to) < 0)
		return error_raise_errno(err, "make the link \"%s\"", to);
	return true;
}

/* What the build made comes before the commit's file of that name. */
static bool lay(void *context, const char *relative, const struct stat *status, struct error *err)
{
	const struct laying *laying = context;
	scoped(text_free) char *from = path_join(laying->from, relative);
	scoped(text_free) char *to = path_join(laying->to, relative);

	if (S_ISDIR(status->st_mode))
		return folder_make(to, 0755, err);
	if (S_ISLNK(status->st_mode))
		return lay_link(from, to, err);
	return !S_ISREG(status->st_mode) || file_copy(from, to, err);
}

bool image_stage_context(const struct image_stage *stage, char **out_folder, struct error *err)
{
	scoped(text_free) char *artifacts = path_join(stage->output, "artifacts");
	scoped(text_free) char *folder = path_join(stage->files, stage->service->path);
	const char *only[] = {stage->service->path};
	struct laying laying = {artifacts, folder};

	if (!folder_remove(stage->files, err) ||
		!snapshot_checkout(stage->snapshot, only, 1, stage->files, NULL, err))
		return false;
	if (file_is_folder(artifacts) && !folder_walk(artifacts, lay, &laying, err))
		return error_while(err, "laying the artifacts of \"%s\" over its files",
			stage->service->name);
	*out_folder = folder;
	folder = NULL;
	return true;
}
