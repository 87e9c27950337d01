#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool folder_make(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) == 0 || (errno == EEXIST && file_is_folder(path)))
		return true;
	if (errno != ENOENT)
		return error_raise_errno(err, "make folder \"%s\"", path);
	scoped(text_free) char *parent = path_parent(path);

	/* Parents get ordinary permissions: mode is about the folder asked for. */
	if (text_equal(parent, path) || !folder_make(parent, 0755, err))
		return false;
	if (mkdir(path, mode) < 0 && !(errno == EEXIST && file_is_folder(path)))
		return error_raise_errno(err, "make folder \"%s\"", path);
	return true;
}

static void folder_close(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static bool is_dots(const char *name)
{
	return text_equal(name, ".") || text_equal(name, "..");
}

/* Takes fd. Unsorted names of a folder. */
static bool read_names(int fd, const char *path, struct strings *out_names, struct error *err)
{
	scoped(folder_close) DIR *folder = fdopendir(fd);
	struct dirent *entry;

	if (!folder) {
		error_raise_errno(err, "list folder \"%s\"", path);
		close(fd);
		return false;
	}
	for (errno = 0; (entry = readdir(folder)); errno = 0)
		if (!is_dots(entry->d_name))
			strings_add(out_names, entry->d_name);
	if (errno)
		return error_raise_errno(err, "list folder \"%s\"", path);
	return true;
}

bool folder_list(const char *path, struct strings *out_names, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "list folder \"%s\"", path);
	if (!read_names(fd, path, out_names, err))
		return false;
	strings_sort(out_names);
	return true;
}

enum { DEPTH_MAX = 512 }; /* one descriptor a level */

/* A folder tree on its way out. */
struct removal {
	int top; /* the folder that was named */
	dev_t device;
	int depth;      /* below top */
	unsigned moved; /* how many folders that lay too deep were moved up into top */
};

static bool remove_entry(struct removal *removal, int parent, const char *name, const char *path,
	struct error *err);

static bool remove_content(struct removal *removal, int fd, const char *path, struct error *err)
{
	scoped(strings_free) struct strings names = {0};
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (again < 0)
		return error_raise_errno(err, "list folder \"%s\"", path);
	if (!read_names(again, path, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *below = path_join(path, names.items[i]);

		if (!remove_entry(removal, fd, names.items[i], below, err))
			return false;
	}
	return true;
}

static int open_folder(int parent, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);

	/* A build may have taken its own permissions away: "chmod 000 cache". */
	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, flags);
	return fd;
}

/* Up into the top, where it is found by the next round. A build may nest folders as deep as it wants,
 * we may not. */
static bool move_up(struct removal *removal, int parent, const char *name, const char *path,
	struct error *err)
{
	for (;;) {
		char fresh[32];

		snprintf(fresh, sizeof(fresh), ".removed-%u", removal->moved++);
		if (renameat2(parent, name, removal->top, fresh, RENAME_NOREPLACE) == 0)
			return true;
		if (errno != EEXIST)
			return error_raise_errno(err, "move folder \"%s\"", path);
	}
}

/* path is for errors only: everything is opened relative to its parent, so a link that somebody
 * puts in the way while we work leads nowhere. */
static bool remove_entry(struct removal *removal, int parent, const char *name, const char *path,
	struct error *err)
{
	struct stat status;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return error_raise_errno(err, "remove \"%s\"", path);
	scoped(descriptor_close) int fd = open_folder(parent, name);

	if (fd < 0 && errno == ENOENT)
		return true; /* somebody else removes it, too */
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_raise_errno(err, "open folder \"%s\"", path);
	if (status.st_dev != removal->device) {
		error_raise(err, ERROR_CONFLICT,
			"\"%s\" is on another file system, so it was not removed", path);
		return error_next(err, "unmount it: umount %s", path);
	}
	if ((status.st_mode & 0300) != 0300)
		fchmod(fd, 0700);
	if (removal->depth >= DEPTH_MAX)
		return move_up(removal, parent, name, path, err);
	removal->depth++;
	bool done = remove_content(removal, fd, path, err);

	removal->depth--;
	if (!done)
		return false;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_raise_errno(err, "remove folder \"%s\"", path);
	return true;
}

/* Until a round has moved nothing. */
static bool remove_tree(const char *path, int top, struct error *err)
{
	struct removal removal = {.top = top};
	struct stat status;
	unsigned moved;

	if (fstat(top, &status) < 0)
		return error_raise_errno(err, "open folder \"%s\"", path);
	if ((status.st_mode & 0300) != 0300)
		fchmod(top, 0700);
	removal.device = status.st_dev;
	do {
		moved = removal.moved;
		if (!remove_content(&removal, top, path, err))
			return false;
	} while (removal.moved != moved);
	return rmdir(path) == 0 || errno == ENOENT ||
	       error_raise_errno(err, "remove folder \"%s\"", path);
}

bool folder_remove(const char *path, struct error *err)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return error_raise_errno(err, "remove \"%s\"", path);
	scoped(descriptor_close) int top = open_folder(AT_FDCWD, path);

	if (top < 0)
		return errno == ENOENT || error_raise_errno(err, "open folder \"%s\"", path);
	return remove_tree(path, top, err);
}

bool folder_make_temporary(const char *parent, const char *prefix, char **out_path,
	struct error *err)
{
	const char *from_environment = getenv("TMPDIR");
	scoped(text_free) char *name = memory_format("%sXXXXXX", prefix);

	if (!parent)
		parent = from_environment && from_environment[0] ? from_environment : "/tmp";
	char *path = path_join(parent, name);

	if (!mkdtemp(path)) {
		error_raise_errno(err, "make a private folder in \"%s\"", parent);
		free(path);
		return false;
	}
	*out_path = path;
	return true;
}

struct walk {
	bool (*visit)(void *context, const char *relative, const struct stat *status,
		struct error *err);
	void *context;
	const char *root;
};

/* Takes fd. */
static bool walk_folder(const struct walk *walk, int fd, const char *relative, int depth,
	struct error *err)
{
	scoped(strings_free) struct strings names = {0};
	scoped(descriptor_close) int folder = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (!read_names(fd, relative[0] ? relative : walk->root, &names, err))
		return false;
	strings_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *below = path_join(relative, names.items[i]);
		struct stat status;

		if (fstatat(folder, names.items[i], &status, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue; /* gone since the listing */
			return error_raise_errno(err, "look at \"%s/%s\"", walk->root, below);
		}
		if (!walk->visit(walk->context, below, &status, err))
			return false;
		if (!S_ISDIR(status.st_mode))
			continue;
		if (depth >= DEPTH_MAX)
			return error_raise(err, ERROR_LIMIT,
				"\"%s/%s\" lies more than %d folders deep", walk->root, below,
				DEPTH_MAX);
		int next = openat(folder, names.items[i],
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0)
			return error_raise_errno(err, "open folder \"%s/%s\"", walk->root, below);
		if (!walk_folder(walk, next, below, depth + 1, err))
			return false;
	}
	return true;
}

bool folder_walk(const char *root,
	bool (*visit)(void *context, const char *relative, const struct stat *status,
		struct error *err),
	void *context, struct error *err)
{
	const struct walk walk = {visit, context, root};
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "open folder \"%s\"", root);
	return walk_folder(&walk, fd, "", 0, err);
}
