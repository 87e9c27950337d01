#include "buildspec/steady_copy.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 5 };

/* A pipe that has taken the file's place does not make us wait. */
enum { HOW = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static int open_below(int folder, const char *path)
{
	const struct open_how how = {.flags = HOW, .resolve = RESOLVE_BENEATH};

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

/* Absolute links are nothing to RESOLVE_BENEATH. What they lead to is opened by its real path, which
 * has no links left. Kernels before 5.6 and some containers have no openat2. */
static int open_real(const char *root, const char *path, bool has_openat2)
{
	char real_root[PATH_MAX], real[PATH_MAX];
	scoped(text_free) char *whole = path_join(root, path);

	if (!realpath(root, real_root) || !realpath(whole, real) ||
		!path_is_below(real, real_root)) {
		errno = ENOENT;
		return -1;
	}
	if (!has_openat2)
		return open(real, HOW | O_NOFOLLOW);
	scoped(descriptor_close) int folder = open(real_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct open_how how = {.flags = HOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	const char *rest = real + strlen(real_root);

	while (*rest == '/')
		rest++;
	return folder < 0 ? -1 : (int)syscall(SYS_openat2, folder, rest, &how, sizeof(how));
}

static int open_source(const struct steady_source *source)
{
	scoped(descriptor_close) int folder = open(source->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return -1;
	int fd = open_below(folder, source->path);

	if (fd >= 0 || (errno != EXDEV && errno != ENOSYS && errno != EPERM))
		return fd;
	return open_real(source->root, source->path, errno == EXDEV);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ELOOP: a circle of links. */
static bool is_gone(int reason)
{
	return reason == ENOENT || reason == ENOTDIR || reason == ELOOP || reason == ENXIO;
}

static bool copy_once(const struct steady_source *source, const char *to, enum steady *out_result,
	struct stat *out_status, struct error *err)
{
	scoped(descriptor_close) int fd = open_source(source);
	struct stat before, after;

	*out_result = STEADY_GONE;
	if (fd < 0)
		return is_gone(errno) || error_raise_errno(err, "open \"%s\"", source->path);
	if (fstat(fd, &before) < 0)
		return error_raise_errno(err, "look at \"%s\"", source->path);
	if (!S_ISREG(before.st_mode))
		return true;
	if (!file_copy_open(fd, source->path, to, err))
		return false;
	if (source->copied)
		source->copied(source->self);
	if (fstat(fd, &after) < 0)
		return error_raise_errno(err, "look at \"%s\"", source->path);
	*out_result = is_same(&before, &after) ? STEADY_COPIED : STEADY_CHANGED;
	*out_status = after;
	return true;
}

bool steady_copy(const struct steady_source *source, const char *to, enum steady *out_result,
	struct stat *out_status, struct error *err)
{
	struct stat status;
	enum steady result = STEADY_CHANGED;

	for (int i = 0; i < TRIES && result == STEADY_CHANGED; i++)
		if (!copy_once(source, to, &result, &status, err))
			return false;
	if (result == STEADY_CHANGED && !file_remove(to, err))
		return false;
	if (out_status && result == STEADY_COPIED)
		*out_status = status;
	*out_result = result;
	return true;
}
