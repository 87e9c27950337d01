#include "deployers/local/layers.h"

#include "base/archive_library.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	CHUNK = 128 * 1024,
	/* gzip packs 1,032 bytes into one at best, zstd far more: beyond this, and beyond what a disk
	 * has to spare, it is a bomb. */
	BOMB_RATIO = 1100,
};
static const int64_t bomb_least_bytes = INT64_C(1) << 30;
static const int64_t layer_limit_bytes = INT64_C(20) << 30;
static const int64_t entry_limit = 2000000;

/* Two libarchive readers in a row: the first undoes the compression, what it gives is hashed and
 * read as a tar by the second. */
struct unpacking {
	struct archive *packed; /* owned */
	struct archive *tar;    /* owned */
	struct archive *disk;   /* owned */
	struct hasher *hasher;  /* owned */
	int64_t size_bytes, blob_bytes;
	const char *name; /* of the blob, for errors */
	char chunk[CHUNK];
};

static void unpacking_free(struct unpacking **unpacking)
{
	struct unpacking *u = *unpacking;

	if (!u)
		return;
	if (u->tar)
		libarchive.read_free(u->tar);
	if (u->packed)
		libarchive.read_free(u->packed);
	if (u->disk)
		libarchive.write_free(u->disk);
	hasher_free(&u->hasher);
	free(u);
	*unpacking = NULL;
}

static la_ssize_t read_unpacked(struct archive *tar, void *context, const void **out_bytes)
{
	struct unpacking *u = context;
	la_ssize_t size = libarchive.read_data(u->packed, u->chunk, sizeof(u->chunk));

	if (size < 0) {
		libarchive.set_error(tar, EINVAL, "%s", libarchive.error_string(u->packed));
		return -1;
	}
	u->size_bytes += size;
	if (u->size_bytes > layer_limit_bytes) {
		libarchive.set_error(tar, EFBIG, "the layer unpacks to more than 20 GiB");
		return -1;
	}
	if (u->size_bytes > bomb_least_bytes && u->size_bytes / BOMB_RATIO > u->blob_bytes) {
		libarchive.set_error(tar, EFBIG, "the layer unpacks to more than %d times its size",
			BOMB_RATIO);
		return -1;
	}
	if (size)
		hasher_add(u->hasher, u->chunk, (size_t)size);
	*out_bytes = u->chunk;
	return size;
}

static bool raise_archive(struct unpacking *u, struct archive *archive, struct error *err)
{
	const char *why = libarchive.error_string(archive);
	int number = libarchive.error_number(archive);

	if (number != ENOSPC)
		return error_raise(err, ERROR_INVALID, "unpacking layer %s: %s", u->name,
			why ? why : "the archive is broken");
	errno = number;
	return error_raise_errno(err, "unpack layer %s", u->name);
}

static bool open_readers(struct unpacking *u, int fd, struct error *err)
{
	struct archive_entry *entry;

	u->packed = libarchive.read_new();
	libarchive.read_support_filter_gzip(u->packed);
	libarchive.read_support_filter_zstd(u->packed);
	libarchive.read_support_format_raw(u->packed);
	libarchive.read_support_format_empty(u->packed);
	if (libarchive.read_open_fd(u->packed, fd, CHUNK) != ARCHIVE_OK ||
		libarchive.read_next_header(u->packed, &entry) != ARCHIVE_OK)
		return raise_archive(u, u->packed, err);
	u->hasher = hasher_new();
	u->tar = libarchive.read_new();
	libarchive.read_support_format_tar(u->tar);
	libarchive.read_support_format_empty(u->tar);
	if (libarchive.read_open(u->tar, u, NULL, read_unpacked, NULL) != ARCHIVE_OK)
		return raise_archive(u, u->tar, err);
	u->disk = libarchive.write_disk_new();
	/* The root directory is ours alone; the checks keep entries from going through links that
	 * the same archive made. */
	libarchive.write_disk_set_options(u->disk,
		ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
			ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
			ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
	return true;
}

/* trusted.* steers overlayfs and may not come from an archive. */
static void filter_attributes(struct archive_entry *entry)
{
	struct strings names = {0};
	struct buf values = {0};
	size_t sizes[64], offsets[64], size;
	const char *name;
	const void *value;

	libarchive.entry_xattr_reset(entry);
	while (names.count < countof(sizes) &&
		libarchive.entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!text_equal(name, "security.capability") && !text_starts_with(name, "user."))
			continue;
		sizes[names.count] = size;
		offsets[names.count] = values.size;
		buf_append(&values, value, size);
		strings_add(&names, name);
	}
	libarchive.entry_xattr_clear(entry);
	for (size_t i = 0; i < names.count; i++)
		libarchive.entry_xattr_add_entry(entry, names.items[i],
			buf_text(&values) + offsets[i], sizes[i]);
	strings_free(&names);
	buf_free(&values);
}

/* "/etc/x", "./etc/x" and "etc/x" are one name; false for one that climbs out. */
static bool clean_name(const char *name, char **out_name)
{
	while (*name == '/')
		name++;
	scoped(text_free) char *normal = path_normalise(*name ? name : ".");

	if (text_equal(normal, "..") || text_starts_with(normal, "../") || *normal == '/')
		return false;
	*out_name = normal;
	normal = NULL;
	return true;
}

/* ".wh.name" hides name of the layers below, ".wh..wh..opq" everything in its folder. */
static bool apply_whiteout(const char *name, struct error *err)
{
	const char *hidden = path_base(name) + strlen(".wh.");
	scoped(text_free) char *folder = path_parent(name);

	if (!folder_make(folder, 0755, err))
		return false;
	if (text_equal(hidden, ".wh..opq")) {
		if (setxattr(folder, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return error_raise_errno(err, "mark \"%s\" as opaque", folder);
		return true;
	}
	if (text_starts_with(hidden, ".wh."))
		return true; /* other marks of aufs mean nothing here */
	scoped(text_free) char *path = path_join(folder, hidden);

	if (mknod(path, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
		return error_raise_errno(err, "hide \"%s\"", path);
	return true;
}

static bool copy_data(struct unpacking *u, struct error *err)
{
	const void *bytes;
	la_int64_t offset;
	size_t size;
	int status;

	while ((status = libarchive.read_data_block(u->tar, &bytes, &size, &offset)) == ARCHIVE_OK)
		if (libarchive.write_data_block(u->disk, bytes, size, offset) < ARCHIVE_OK)
			return raise_archive(u, u->disk, err);
	return status == ARCHIVE_EOF || raise_archive(u, u->tar, err);
}

static bool unpack_entry(struct unpacking *u, struct archive_entry *entry, struct error *err)
{
	scoped(text_free) char *name = NULL, *target = NULL;
	const char *given = libarchive.entry_pathname(entry),
		   *link = libarchive.entry_hardlink(entry);

	if (!given || !clean_name(given, &name) || (link && !clean_name(link, &target)))
		return error_raise(err, ERROR_INVALID,
			"layer %s has an entry \"%s\" that leads out of the image", u->name,
			given ? given : "(not UTF-8)");
	if (text_starts_with(path_base(name), ".wh."))
		return apply_whiteout(name, err);
	/* A container has the devices that it is given, not those that an image brings; and device 0/0
	 * would hide what lies below. */
	unsigned type = libarchive.entry_filetype(entry);
	if (type == AE_IFCHR || type == AE_IFBLK)
		return true;
	if (libarchive.entry_size(entry) > layer_limit_bytes)
		return error_raise(err, ERROR_LIMIT, "layer %s says that \"%s\" has %lld bytes",
			u->name, name, (long long)libarchive.entry_size(entry));
	libarchive.entry_set_pathname(entry, name);
	if (target)
		libarchive.entry_set_hardlink(entry, target);
	filter_attributes(entry);
	if (libarchive.write_header(u->disk, entry) < ARCHIVE_OK)
		return raise_archive(u, u->disk, err);
	if (libarchive.entry_size(entry) > 0 && !copy_data(u, err))
		return false;
	if (libarchive.write_finish_entry(u->disk) < ARCHIVE_OK)
		return raise_archive(u, u->disk, err);
	return true;
}

static bool unpack_all(struct unpacking *u, struct error *err)
{
	struct archive_entry *entry;
	int64_t count = 0;
	int status;
	const void *rest;

	while ((status = libarchive.read_next_header(u->tar, &entry)) == ARCHIVE_OK ||
		status == ARCHIVE_WARN) {
		if (++count > entry_limit)
			return error_raise(err, ERROR_LIMIT, "layer %s has more than %lld entries",
				u->name, (long long)entry_limit);
		if (!unpack_entry(u, entry, err))
			return false;
	}
	if (status != ARCHIVE_EOF)
		return raise_archive(u, u->tar, err);
	/* What follows the tar's end belongs to the diff id too. */
	la_ssize_t more;
	while ((more = read_unpacked(u->tar, u, &rest)) > 0)
		;
	if (more < 0)
		return raise_archive(u, u->tar, err);
	/* Writes what was put off: times and modes of folders. */
	if (libarchive.write_close(u->disk) < ARCHIVE_OK)
		return raise_archive(u, u->disk, err);
	return true;
}

bool layer_unpack(const char *blob_path, const struct digest *diff_id, const char *folder,
	struct error *err)
{
	scoped(unpacking_free) struct unpacking *u = memory_new(sizeof(*u));
	scoped(descriptor_close) int fd = open(blob_path, O_RDONLY | O_CLOEXEC);
	char expected[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];

	struct stat status;

	u->name = path_base(blob_path);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_raise_errno(err, "open layer \"%s\"", blob_path);
	u->blob_bytes = status.st_size;
	/* Before the root directory changes: there is no library below the new one. */
	if (!archive_library_load(err))
		return false;
	/* Names are UTF-8 whatever the locale of our caller. */
	setlocale(LC_CTYPE, "C.UTF-8");
	umask(0);
	if (chroot(folder) < 0 || chdir("/") < 0)
		return error_raise_errno(err, "make \"%s\" the root directory", folder);
	if (!open_readers(u, fd, err) || !unpack_all(u, err))
		return false;
	struct digest digest = hasher_finish(u->hasher);

	if (digest_equal(&digest, diff_id))
		return true;
	digest_to_text(diff_id, expected);
	digest_to_text(&digest, got);
	return error_raise(err, ERROR_INVALID, "layer %s holds %s, the config says %s", u->name,
		got, expected);
}
