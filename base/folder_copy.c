#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

struct copying {
	const char *from, *to;
};

static bool copy_link(const char *from, const char *to, struct error *err)
{
	char target[PATH_MAX];
	ssize_t size = readlink(from, target, sizeof(target) - 1);

	if (size < 0)
		return error_raise_errno(err, "read link \"%s\"", from);
	target[size] = '\0';
	if (symlink(target, to) < 0)
		return error_raise_errno(err, "make link \"%s\"", to);
	return true;
}

/* Without file_copy()'s temporary name: a copy that fails is thrown away as a whole, and a source
 * tree has many small files. */
static bool copy_file(const char *from, const char *to, const struct stat *status,
	struct error *err)
{
	scoped(descriptor_close) int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	scoped(descriptor_close) int out =
		open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status->st_mode & 0777);
	ssize_t size;

	if (in < 0)
		return error_raise_errno(err, "open \"%s\"", from);
	if (out < 0)
		return error_raise_errno(err, "create \"%s\"", to);
	do {
		size = sendfile(out, in, NULL, 1 << 30);
	} while (size > 0 || (size < 0 && errno == EINTR));
	if (size < 0)
		return error_raise_errno(err, "copy \"%s\"", from);
	/* The umask may have taken bits away. */
	if (fchmod(out, status->st_mode & 0777) < 0)
		return error_raise_errno(err, "set the permissions of \"%s\"", to);
	return true;
}

static bool copy_entry(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	const struct copying *copying = context;
	scoped(text_free) char *from = path_join(copying->from, relative);
	scoped(text_free) char *to = path_join(copying->to, relative);

	if (S_ISLNK(status->st_mode))
		return copy_link(from, to, err);
	if (S_ISREG(status->st_mode))
		return copy_file(from, to, status, err);
	if (!S_ISDIR(status->st_mode))
		return true;
	/* Writable for us: what is below still has to go in. */
	if (mkdir(to, (status->st_mode & 0777) | 0700) < 0)
		return error_raise_errno(err, "make folder \"%s\"", to);
	return true;
}

bool folder_copy(const char *from, const char *to, struct error *err)
{
	struct copying copying = {from, to};

	if (!file_is_folder(from))
		return error_raise(err, ERROR_NOT_FOUND, "there is no folder \"%s\"", from);
	return folder_make(to, 0755, err) && folder_walk(from, copy_entry, &copying, err);
}
