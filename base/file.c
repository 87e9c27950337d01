#include "base/file.h"

#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void descriptor_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

enum { PIECE = 64 * 1024 };

bool file_read(const char *path, size_t limit_bytes, struct buf *out, struct error *err)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	size_t before = out->size;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	if (fstat(fd, &status) < 0)
		return error_raise_errno(err, "look at \"%s\"", path);
	/* A first guess; what counts is what read() gives (files in /proc have size 0). */
	size_t room = status.st_size > 0 && (uint64_t)status.st_size <= limit_bytes
			      ? (size_t)status.st_size + 1
			      : 4096;

	for (;; room = PIECE) {
		ssize_t size = read(fd, buf_reserve(out, room), room);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0) {
			out->size = before;
			return error_raise_errno(err, "read \"%s\"", path);
		}
		if (size == 0)
			break;
		out->size += (size_t)size;
		if (out->size - before > limit_bytes) {
			out->size = before;
			return error_raise(err, ERROR_LIMIT,
				"\"%s\" is larger than the %zu bytes allowed for it", path,
				limit_bytes);
		}
	}
	out->data[out->size] = '\0';
	return true;
}

bool descriptor_write_all(int fd, const void *bytes, size_t size, const char *what,
	struct error *err)
{
	const char *from = bytes;

	while (size) {
		ssize_t written = write(fd, from, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_raise_errno(err, "write %s", what);
		from += written;
		size -= (size_t)written;
	}
	return true;
}

bool file_write(const char *path, struct str content, mode_t mode, bool durable, struct error *err)
{
	scoped(new_file_discard) struct new_file file = {0};
	scoped(text_free) char *what = memory_format("\"%s\"", path);

	return new_file_create(&file, path, mode, err) &&
	       descriptor_write_all(file.fd, content.data, content.size, what, err) &&
	       new_file_commit(&file, durable, err);
}

bool file_exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

bool file_is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool file_size(const char *path, int64_t *out_size_bytes, struct error *err)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_raise_errno(err, "look at \"%s\"", path);
	*out_size_bytes = status.st_size;
	return true;
}

/* The slow way; begins where the descriptors stand. */
static bool copy_by_reading(int from, int to, const char *name, const char *target,
	struct error *err)
{
	scoped(buf_free) struct buf piece = {0};
	scoped(text_free) char *what = memory_format("\"%s\", a copy of \"%s\"", target, name);
	char *room = buf_reserve(&piece, PIECE);

	for (;;) {
		ssize_t size = read(from, room, PIECE);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return error_raise_errno(err, "read \"%s\"", name);
		if (size == 0)
			return true;
		if (!descriptor_write_all(to, room, (size_t)size, what, err))
			return false;
	}
}

static bool copy_content(int from, int to, const char *name, const char *target, struct error *err)
{
	ssize_t size;

	if (ioctl(to, FICLONE, from) == 0)
		return true;
	do {
		size = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
	} while (size > 0 || (size < 0 && errno == EINTR));
	/* Done, refused (another file system), or a file that only claims to be empty: reading goes
	 * on where the kernel's copy stopped. */
	return copy_by_reading(from, to, name, target, err);
}

bool file_copy_open(int fd, const char *from, const char *to, struct error *err)
{
	scoped(new_file_discard) struct new_file file = {0};
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_raise_errno(err, "look at \"%s\"", from);
	return new_file_create(&file, to, status.st_mode & 07777, err) &&
	       copy_content(fd, file.fd, from, to, err) && new_file_commit(&file, false, err);
}

bool file_copy(const char *from, const char *to, struct error *err)
{
	scoped(descriptor_close) int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", from);
	return file_copy_open(fd, from, to, err);
}

bool file_remove(const char *path, struct error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_raise_errno(err, "remove \"%s\"", path);
	return true;
}

bool file_in_memory(const char *what, struct str content, int *out_fd, struct error *err)
{
	scoped(descriptor_close) int fd = memfd_create(what, MFD_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "make a file in memory for %s", what);
	if (!descriptor_write_all(fd, content.data, content.size, what, err))
		return false;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_raise_errno(err, "rewind %s", what);
	*out_fd = fd;
	fd = -1;
	return true;
}

int file_open_unnamed(const char *folder, mode_t mode)
{
	return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
}

int file_link_unnamed(int fd, const char *path)
{
	char self[64];

	/* For root, without a look into /proc. */
	if (linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EEXIST)
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* A name beside path, for as long as the file may not have that. */
static char *hidden_name(const char *path)
{
	scoped(text_free) char *parent = path_parent(path);
	uint32_t random;

	/* So few bytes are there at once, whole. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		abort();
	scoped(text_free) char *hidden = memory_format(".%s.%08x", path_base(path), random);

	return path_join(parent, hidden);
}

bool new_file_create(struct new_file *file, const char *path, mode_t mode, struct error *err)
{
	scoped(text_free) char *parent = path_parent(path);
	char *temporary = NULL;
	int fd = file_open_unnamed(parent, 0600);

	if (fd < 0) {
		temporary = hidden_name(path);
		fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		error_raise_errno(err, "create a file beside \"%s\"", path);
		free(temporary);
		return false;
	}
	*file = (struct new_file){fd, memory_copy_text(path), temporary};
	if (fchmod(fd, mode) < 0) {
		error_raise_errno(err, "set the permissions of \"%s\"", path);
		new_file_discard(file);
		return false;
	}
	return true;
}

/* A rename is on the disk only when its folder is. */
static bool sync_parent(const char *path, struct error *err)
{
	scoped(text_free) char *parent = path_parent(path);
	scoped(descriptor_close) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_raise_errno(err, "write folder \"%s\" to the disk", parent);
	return true;
}

/* A name can be given, or taken over from another file, but not both in one step. */
static bool name_file(struct new_file *file, struct error *err)
{
	if (file->temporary || file_link_unnamed(file->fd, file->path) == 0)
		return true;
	if (errno == EEXIST) {
		file->temporary = hidden_name(file->path);
		if (file_link_unnamed(file->fd, file->temporary) == 0)
			return true;
		text_free(&file->temporary);
	}
	return error_raise_errno(err, "put \"%s\" in place", file->path);
}

bool new_file_commit(struct new_file *file, bool durable, struct error *err)
{
	if (durable && fsync(file->fd) < 0)
		return error_raise_errno(err, "write \"%s\" to the disk", file->path);
	if (!name_file(file, err))
		return false;
	/* Closing can report that a network file system lost the bytes. */
	int closed = close(file->fd);

	file->fd = 0;
	if (closed < 0)
		return error_raise_errno(err, "close \"%s\"", file->path);
	if (file->temporary && rename(file->temporary, file->path) < 0)
		return error_raise_errno(err, "put \"%s\" in place", file->path);
	text_free(&file->temporary);
	if (durable && !sync_parent(file->path, err))
		return false;
	new_file_discard(file);
	return true;
}

void new_file_discard(struct new_file *file)
{
	if (file->fd > 0)
		close(file->fd);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->path);
	*file = (struct new_file){0};
}

static bool lock_file(const char *path, int operation, int *out_fd, struct error *err)
{
	scoped(descriptor_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int done;

	if (fd < 0)
		return error_raise_errno(err, "open lock \"%s\"", path);
	do {
		done = flock(fd, operation);
	} while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EWOULDBLOCK)
		return error_raise(err, ERROR_CONFLICT, "another process holds \"%s\"", path);
	if (done < 0)
		return error_raise_errno(err, "lock \"%s\"", path);
	*out_fd = fd;
	fd = -1;
	return true;
}

bool file_lock(const char *path, bool wait, int *out_fd, struct error *err)
{
	return lock_file(path, LOCK_EX | (wait ? 0 : LOCK_NB), out_fd, err);
}

bool file_lock_shared(const char *path, int *out_fd, struct error *err)
{
	return lock_file(path, LOCK_SH, out_fd, err);
}
