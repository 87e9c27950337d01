/*
 * file.h - files and folders: whole reads with a limit, writes that are whole or not at all.
 *
 * Errors name the path and the system's reason.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/* A descriptor that closes itself: scoped(descriptor_close) int fd = -1; */
void descriptor_close(int *fd);

/* Appends the whole file to out. ERROR_LIMIT beyond limit_bytes (checked while reading). */
bool file_read(const char *path, size_t limit_bytes, struct buf *out, struct error *err) must_use;

/* Replaces path by content in one step: a temporary file beside it, fsync when durable, rename. */
bool file_write(const char *path, struct str content, mode_t mode, bool durable, struct error *err)
	must_use;

/* Writes all bytes to fd, retrying short writes and EINTR. what is for errors. */
bool descriptor_write_all(int fd, const void *bytes, size_t size, const char *what,
	struct error *err) must_use;

bool file_exists(const char *path); /* any kind; does not follow the last link */
bool file_is_folder(const char *path);
bool file_size(const char *path, int64_t *out_size_bytes, struct error *err) must_use;
/* Copies contents and permission bits; uses reflink or copy_file_range where it can. */
bool file_copy(const char *from, const char *to, struct error *err) must_use;
/* The same from a descriptor's position to the file's end; from is for errors. */
bool file_copy_open(int fd, const char *from, const char *to, struct error *err) must_use;
bool file_remove(const char *path, struct error *err) must_use; /* missing is fine */

bool folder_make(const char *path, mode_t mode, struct error *err)
	must_use; /* with parents; existing is fine */
/* Removes everything below and the folder itself, however deep; never follows links, never leaves the
 * file system. Missing is fine. */
bool folder_remove(const char *path, struct error *err) must_use;
/* Names in the folder without "." and "..", sorted bytewise. */
bool folder_list(const char *path, struct strings *out_names, struct error *err) must_use;
/* Makes a private folder (0700) "<parent>/<prefix>XXXXXX"; *out_path is owned. parent NULL is
 * $TMPDIR or /tmp. */
bool folder_make_temporary(const char *parent, const char *prefix, char **out_path,
	struct error *err) must_use;

/* Copies what is below from into to (made when missing): folders, files with their permission bits,
 * links as they are. Sockets, pipes and devices are left out. */
bool folder_copy(const char *from, const char *to, struct error *err) must_use;

/* Calls visit for every entry below root, parents first, names sorted bytewise; relative is the
 * path below root. Does not follow links. visit returning false stops the walk with its error. */
struct stat;
bool folder_walk(const char *root,
	bool (*visit)(void *context, const char *relative, const struct stat *status,
		struct error *err),
	void *context, struct error *err) must_use;

/* Opens a file that has no name yet (O_TMPFILE), for reading and writing: nothing is left of it when we
 * die. -1 when it cannot be had; file systems without such files say so in several ways, so try one with
 * a name then, and tell of that what is wrong. */
int file_open_unnamed(const char *folder, mode_t mode);
/* Gives it its name. -1 with errno: EEXIST when something else has the name. */
int file_link_unnamed(int fd, const char *path);

/* A file in memory that holds content, to be read from its beginning. what: names it in errors.
 * *out_fd is the caller's. */
bool file_in_memory(const char *what, struct str content, int *out_fd, struct error *err) must_use;

/* A file that appears whole under its name at commit, or never. A process that is killed leaves nothing
 * beside it either, but where the file system has only files with names. */
struct new_file {
	int fd;          /* open for writing between create and commit/discard; 0 when all-zero */
	char *path;      /* owned: the final name */
	char *temporary; /* owned: its name until then; NULL: it has none */
};
bool new_file_create(struct new_file *file, const char *path, mode_t mode, struct error *err)
	must_use;
bool new_file_commit(struct new_file *file, bool durable, struct error *err) must_use;
void new_file_discard(struct new_file *file); /* nothing left to do after commit */

/* An exclusive lock on a file (made when missing), held until descriptor_close(fd).
 * wait false: ERROR_CONFLICT when another process holds it. */
bool file_lock(const char *path, bool wait, int *out_fd, struct error *err) must_use;
/* The same, held by several at once, and waited for: nobody holds it exclusively meanwhile. */
bool file_lock_shared(const char *path, int *out_fd, struct error *err) must_use;

#endif
