#include "builders/store/store.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/store/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 256 * 1024, MODE_BITS = 07777 };

struct store store_of(const char *folder, int64_t limit_bytes)
{
	return (struct store){memory_copy_text(folder), limit_bytes};
}

void store_free(struct store *store)
{
	free(store->folder);
	*store = (struct store){0};
}

bool store_limit_parse(const char *text, int64_t *out_bytes, struct error *err)
{
	static const char units[] = "KMGT";
	struct str rest = str_of(text);
	size_t digits = 0;
	int64_t number = 0, unit = 1;

	if (!rest.size) {
		*out_bytes = STORE_LIMIT_DEFAULT_BYTES;
		return true;
	}
	while (digits < rest.size && rest.data[digits] >= '0' && rest.data[digits] <= '9')
		digits++;
	const char *suffix = text + digits;
	const char *known = *suffix ? strchr(units, *suffix) : NULL;

	if (known) {
		unit <<= 10 * (known - units + 1);
		suffix++;
	}
	bool ends = !*suffix || strcmp(suffix, "B") == 0 || (known && strcmp(suffix, "iB") == 0);

	if (!ends || !str_to_int((struct str){text, digits}, &number) ||
		number > INT64_MAX / unit) {
		error_raise(err, ERROR_USAGE, STORE_LIMIT_VARIABLE "=\"%s\" is no size", text);
		return error_next(err, "as in 500MiB, 10GiB or 0");
	}
	*out_bytes = number * unit;
	return true;
}

void store_origin_free(struct store_origin *origin)
{
	free(origin->commit);
	*origin = (struct store_origin){0};
}

char *store_origin_text(const struct store_origin *origin)
{
	return origin->run ? memory_format("run %lld, commit %.12s", (long long)origin->run,
				     origin->commit)
			   : memory_format("commit %.12s", origin->commit);
}

char *store_entry_path(const struct store *store, const char *key)
{
	return memory_format("%s/entries/%s", store->folder, key);
}

char *store_blob_path(const struct store *store, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return memory_format("%s/blobs/%.2s/%s", store->folder, hex, hex);
}

bool store_lock(const struct store *store, bool alone, int *out_fd, struct error *err)
{
	scoped(text_free) char *path = path_join(store->folder, "lock");

	return alone ? file_lock(path, true, out_fd, err) : file_lock_shared(path, out_fd, err);
}

/* Copies what is left of a file and hashes it on the way: what is hashed is what was written. */
static bool copy(int from, int to, const char *what, struct digest *out_digest,
	int64_t *out_size_bytes, struct error *err)
{
	scoped(hasher_free) struct hasher *hasher = hasher_new();
	scoped(buf_free) struct buf piece = {0};

	*out_size_bytes = 0;
	for (;;) {
		char *room = buf_reserve(&piece, PIECE_BYTES);
		ssize_t size = read(from, room, PIECE_BYTES);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return error_raise_errno(err, "read \"%s\"", what);
		if (size == 0)
			break;
		hasher_add(hasher, room, (size_t)size);
		if (!descriptor_write_all(to, room, (size_t)size, what, err))
			return false;
		*out_size_bytes += size;
	}
	*out_digest = hasher_finish(hasher);
	return true;
}

/* ---- keeping */

struct keeping {
	const struct store *store;
	const char *folder, *name; /* what is walked now, for the walk */
	struct store_entry entry;
	int64_t added_bytes; /* blobs that were not there */
	bool too_large;
};

static void keeping_free(struct keeping *keeping)
{
	store_entry_free(&keeping->entry);
}

static bool keep_blob(struct keeping *keeping, const char *from, struct store_file *file,
	struct error *err)
{
	scoped(new_file_discard) struct new_file made = {0};
	scoped(descriptor_close) int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	scoped(text_free) char *incoming = path_join(keeping->store->folder, "blobs/incoming");
	int64_t there = -1;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", from);
	if (!new_file_create(&made, incoming, 0400, err) ||
		!copy(fd, made.fd, from, &file->digest, &file->size_bytes, err))
		return false;
	scoped(text_free) char *path = store_blob_path(keeping->store, &file->digest);
	scoped(text_free) char *parent = path_parent(path);

	/* Half a blob of that name, which a power cut may leave, is replaced. */
	if (file_exists(path) && file_size(path, &there, NULL) && there == file->size_bytes)
		return true;
	if (!folder_make(parent, 0700, err))
		return false;
	free(made.path);
	made.path = memory_copy_text(path);
	keeping->added_bytes += file->size_bytes;
	return new_file_commit(&made, false, err);
}

static bool keep_link(const char *from, struct store_file *file, struct error *err)
{
	char target[PATH_MAX];
	ssize_t size = readlink(from, target, sizeof(target) - 1);

	if (size < 0)
		return error_raise_errno(err, "read the link \"%s\"", from);
	target[size] = 0;
	file->kind = STORE_LINK;
	file->target = memory_copy_text(target);
	return true;
}

/* relative NULL: the name itself. */
static bool keep_one(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct keeping *keeping = context;
	scoped(text_free) char *path =
		relative ? path_join(keeping->name, relative) : memory_copy_text(keeping->name);
	scoped(text_free) char *from = path_join(keeping->folder, path);

	if (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode) && !S_ISLNK(status->st_mode))
		return true;
	struct store_file *file = store_entry_add(&keeping->entry);

	file->path = path;
	path = NULL;
	file->mode = status->st_mode & MODE_BITS;
	if (S_ISLNK(status->st_mode))
		return keep_link(from, file, err);
	if (S_ISDIR(status->st_mode)) {
		file->kind = STORE_FOLDER;
		return true;
	}
	keeping->entry.origin.size_bytes += status->st_size;
	keeping->too_large |= keeping->entry.origin.size_bytes > keeping->store->limit_bytes;
	return keeping->too_large || keep_blob(keeping, from, file, err);
}

static bool keep_name(struct keeping *keeping, const char *name, struct error *err)
{
	scoped(text_free) char *from = path_join(keeping->folder, name);
	struct stat status;

	keeping->name = name;
	if (lstat(from, &status) < 0)
		return errno == ENOENT || error_raise_errno(err, "look at \"%s\"", from);
	return keep_one(keeping, NULL, &status, err) &&
	       (!S_ISDIR(status.st_mode) || folder_walk(from, keep_one, keeping, err));
}

static bool prepare(const struct store *store, struct error *err)
{
	scoped(text_free) char *entries = path_join(store->folder, "entries");
	scoped(text_free) char *blobs = path_join(store->folder, "blobs");

	return folder_make(entries, 0700, err) && folder_make(blobs, 0700, err);
}

/* Under the shared lock, so that no blob goes before its entry is there. */
static bool keep_all(struct keeping *keeping, const char *key, const char *const *names,
	size_t count, bool *out_full, struct error *err)
{
	const struct store *store = keeping->store;
	scoped(descriptor_close) int lock = -1;
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *path = store_entry_path(store, key);

	if (!prepare(store, err) || !store_lock(store, false, &lock, err))
		return false;
	for (size_t i = 0; i < count && !keeping->too_large; i++)
		if (!keep_name(keeping, names[i], err))
			return false;
	store_entry_write(&keeping->entry, &text);
	return (keeping->too_large || file_write(path, buf_str(&text), 0600, false, err)) &&
	       store_add_used(store, keeping->added_bytes, out_full, err);
}

bool store_keep(const struct store *store, const char *key, const struct store_origin *origin,
	const char *folder, const char *const *names, size_t count, bool *out_kept,
	struct error *err)
{
	scoped(keeping_free) struct keeping keeping = {.store = store, .folder = folder};
	bool full = false;

	*out_kept = false;
	if (store->limit_bytes <= 0)
		return true;
	keeping.entry.origin = (struct store_origin){memory_copy_text(origin->commit), origin->run,
		origin->made_ms, 0};
	if (!keep_all(&keeping, key, names, count, &full, err))
		return error_while(err, "keeping the build in \"%s\"", store->folder);
	*out_kept = !keeping.too_large;
	return !full || store_prune(store, err) ||
	       error_while(err, "making room in \"%s\"", store->folder);
}

/* ---- restoring */

bool store_find(const struct store *store, const char *key, struct store_origin *out_origin)
{
	scoped(text_free) char *path = store_entry_path(store, key);
	scoped(store_entry_free) struct store_entry entry = {0};

	if (!store_entry_read(path, &entry))
		return false;
	*out_origin = entry.origin;
	entry.origin = (struct store_origin){0};
	return true;
}

/* *out_broken: the blob is missing or not what its name says; it is removed then. */
static bool restore_file(const struct store *store, const struct store_file *file, const char *to,
	char **out_broken, struct error *err)
{
	scoped(text_free) char *path = store_blob_path(store, &file->digest);
	scoped(descriptor_close) int from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	scoped(descriptor_close) int fd = -1;
	struct digest digest;
	int64_t size_bytes;

	if (from < 0) {
		*out_broken = memory_format("the store has \"%s\" no more", file->path);
		return true;
	}
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_raise_errno(err, "create \"%s\"", to);
	if (!copy(from, fd, to, &digest, &size_bytes, err))
		return false;
	if (!digest_equal(&digest, &file->digest)) {
		*out_broken =
			memory_format("\"%s\" in the store is not what was kept: it was removed",
				file->path);
		return file_remove(path, err);
	}
	return fchmod(fd, file->mode) == 0 || error_raise_errno(err, "set the mode of \"%s\"", to);
}

static bool restore_one(const struct store *store, const struct store_file *file,
	const char *folder, char **out_broken, struct error *err)
{
	scoped(text_free) char *to = path_join(folder, file->path);

	switch (file->kind) {
	case STORE_FILE:
		return restore_file(store, file, to, out_broken, err);
	case STORE_FOLDER:
		/* Its own mode comes last: it may forbid writing into it. */
		return mkdir(to, 0700) == 0 || error_raise_errno(err, "make the folder \"%s\"", to);
	case STORE_LINK:
		return symlink(file->target, to) == 0 ||
		       error_raise_errno(err, "make the link \"%s\"", to);
	}
	return true;
}

static bool close_folders(const struct store_entry *entry, const char *folder, struct error *err)
{
	for (size_t i = entry->count; i-- > 0;) {
		scoped(text_free) char *path = path_join(folder, entry->files[i].path);

		if (entry->files[i].kind == STORE_FOLDER && chmod(path, entry->files[i].mode) != 0)
			return error_raise_errno(err, "set the mode of \"%s\"", path);
	}
	return true;
}

/* What stands in folder itself is all there is to remove. */
static void undo(const struct store_entry *entry, const char *folder)
{
	for (size_t i = 0; i < entry->count; i++) {
		scoped(text_free) char *path = path_join(folder, entry->files[i].path);
		struct error err = {0};

		if (!strchr(entry->files[i].path, '/') && !folder_remove(path, &err))
			error_ignore(&err, "the build that follows clears the folder and tells");
	}
}

static bool restore_all(const struct store *store, const struct store_entry *entry,
	const char *folder, char **out_broken, struct error *err)
{
	bool done = true;

	for (size_t i = 0; done && !*out_broken && i < entry->count; i++)
		done = restore_one(store, &entry->files[i], folder, out_broken, err);
	done = done && (*out_broken || close_folders(entry, folder, err));
	if (!done || *out_broken)
		undo(entry, folder);
	return done;
}

bool store_restore(const struct store *store, const char *key, const char *folder,
	struct store_origin *out_origin, bool *out_found, char **out_broken, struct error *err)
{
	scoped(text_free) char *path = store_entry_path(store, key), *broken = NULL;
	scoped(store_entry_free) struct store_entry entry = {0};
	scoped(descriptor_close) int lock = -1;

	*out_found = false;
	*out_broken = NULL;
	if (!file_exists(path))
		return true;
	if (!store_lock(store, false, &lock, err))
		return false;
	if (!file_exists(path))
		return true; /* removed while we waited */
	if (!store_entry_read(path, &entry))
		broken = memory_format("its entry in the store is not what was written");
	else if (!restore_all(store, &entry, folder, &broken, err))
		return error_while(err, "restoring the build from \"%s\"", store->folder);
	if (broken) {
		*out_broken = broken;
		broken = NULL;
		return file_remove(path, err);
	}
	utimensat(AT_FDCWD, path, NULL, 0); /* used now */
	*out_origin = entry.origin;
	entry.origin = (struct store_origin){0};
	*out_found = true;
	return true;
}
