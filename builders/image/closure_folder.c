#include "builders/image/closure_inside.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	struct closure *closure;
	const char *source, *image_path;
};

/* Opening every file of a large tree would cost more than all else. */
static bool may_be_elf(const char *relative, const struct stat *status)
{
	const char *name = path_base(relative);
	const char *mark = strstr(name, ".so");

	return S_ISREG(status->st_mode) && status->st_size > 0 &&
	       ((status->st_mode & S_IXUSR) || (mark && (mark[3] == 0 || mark[3] == '.')));
}

static bool is_elf(const char *path)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char start[4];

	return fd >= 0 && read(fd, start, sizeof(start)) == (ssize_t)sizeof(start) &&
	       elf_is((struct str){start, sizeof(start)});
}

static bool look(void *context, const char *relative, const struct stat *status, struct error *err)
{
	struct walk *walk = context;
	struct error odd = {0};

	if (!may_be_elf(relative, status))
		return true;
	scoped(text_free) char *source = path_join(walk->source, relative);
	scoped(text_free) char *path = memory_format("%s/%s", walk->image_path, relative);
	if (!is_elf(source) || closure_add(walk->closure, source, path, &odd))
		return true;
	if (odd.kind != ERROR_INVALID && odd.kind != ERROR_NOT_FOUND) {
		*err = odd;
		return false;
	}
	strings_printf(walk->closure->warnings, "%s cannot be used in the image: %s", path,
		odd.message);
	error_free(&odd);
	return true;
}

bool closure_add_folder(struct closure *closure, const char *source, const char *image_path,
	struct error *err)
{
	struct walk walk = {closure, source, image_path};

	return folder_walk(source, look, &walk, err);
}
