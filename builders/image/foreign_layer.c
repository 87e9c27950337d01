#include "builders/image/foreign_layer.h"

#include "base/archive_library.h"
#include "base/file.h"
#include "base/path.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024, PATH_LIMIT = 4096 };

/* Two libarchive readers in a row: the first undoes the compression, what it gives is hashed and
 * read as a tar by the second. */
struct reading {
	struct archive *packed, *tar; /* owned */
	struct hasher *hasher;        /* owned */
	struct foreign_spool *spool;
	struct foreign_tree tree;
	int64_t unpacked_bytes;
	locale_t locale, before; /* locale is owned */
	char chunk[CHUNK], data[CHUNK];
};

static void reading_free(struct reading **reading)
{
	struct reading *r = *reading;

	if (!r)
		return;
	if (r->tar)
		libarchive.read_free(r->tar);
	if (r->packed)
		libarchive.read_free(r->packed);
	hasher_free(&r->hasher);
	foreign_tree_free(&r->tree);
	if (r->locale) {
		uselocale(r->before);
		freelocale(r->locale);
	}
	free(r);
	*reading = NULL;
}

static la_ssize_t read_unpacked(struct archive *tar, void *context, const void **out_bytes)
{
	struct reading *r = context;
	la_ssize_t size = libarchive.read_data(r->packed, r->chunk, sizeof(r->chunk));

	if (size < 0) {
		const char *why = libarchive.error_string(r->packed);
		libarchive.set_error(tar, EINVAL, "%s", why ? why : "the compression is broken");
		return -1;
	}
	r->unpacked_bytes += size;
	/* Headers and padding come on top of contents: at most three blocks for an entry. */
	if (r->unpacked_bytes >
		r->spool->size_limit + r->spool->text_limit + r->spool->entry_limit * 3 * 512) {
		libarchive.set_error(tar, EFBIG, "it unpacks to more than is accepted here");
		return -1;
	}
	hasher_add(r->hasher, r->chunk, (size_t)size);
	*out_bytes = r->chunk;
	return size;
}

static bool raise_archive(struct archive *archive, struct error *err)
{
	const char *why = libarchive.error_string(archive);
	bool large = libarchive.error_number(archive) == EFBIG;

	return error_raise(err, large ? ERROR_LIMIT : ERROR_INVALID, "reading the archive: %s",
		why ? why : "it is broken");
}

static bool open_readers(struct reading *r, int fd, struct error *err)
{
	struct archive_entry *entry;

	r->packed = libarchive.read_new();
	libarchive.read_support_filter_gzip(r->packed);
	libarchive.read_support_filter_zstd(r->packed);
	libarchive.read_support_format_raw(r->packed);
	libarchive.read_support_format_empty(r->packed);
	if (libarchive.read_open_fd(r->packed, fd, CHUNK) != ARCHIVE_OK ||
		libarchive.read_next_header(r->packed, &entry) != ARCHIVE_OK)
		return raise_archive(r->packed, err);
	r->tar = libarchive.read_new();
	libarchive.read_support_format_tar(r->tar);
	libarchive.read_support_format_empty(r->tar);
	return libarchive.read_open(r->tar, r, NULL, read_unpacked, NULL) == ARCHIVE_OK ||
	       raise_archive(r->tar, err);
}

/* "./etc/x" and "etc//x" are one name. Owned; "" is the root. */
static bool clean_name(const char *name, char **out_name, struct error *err)
{
	if (!name || !str_is_utf8(str_of(name)))
		return error_raise(err, ERROR_INVALID, "an entry's name is not UTF-8");
	if (strlen(name) > PATH_LIMIT)
		return error_raise(err, ERROR_INVALID,
			"the name \"%.64s…\" is longer than %d bytes", name, PATH_LIMIT);
	if (name[0] == '/')
		return error_raise(err, ERROR_INVALID, "the name \"%s\" is absolute", name);
	for (const char *at = name; *at;) {
		size_t size = strcspn(at, "/");
		if (size == 2 && at[0] == '.' && at[1] == '.')
			return error_raise(err, ERROR_INVALID,
				"the name \"%s\" leads out of the image", name);
		at += size + (at[size] == '/');
	}
	char *normal = path_normalise(*name ? name : ".");

	if (text_equal(normal, "."))
		normal[0] = 0;
	*out_name = normal;
	return true;
}

/*
 * The value without the root of a user namespace: version 3 (24 bytes) has it behind what version 2
 * (20 bytes) has. linux/capability.h, struct vfs_cap_data; little-endian, version in the top byte.
 */
static bool read_capability(struct archive_entry *entry, char out[20], struct str *out_value,
	struct error *err)
{
	const char *name;
	const void *value;
	size_t size;

	libarchive.entry_xattr_reset(entry);
	while (libarchive.entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		const unsigned char *bytes = value;

		if (!text_equal(name, "security.capability") || size == 0)
			continue;
		if (!(size == 20 && bytes[3] == 2) && !(size == 24 && bytes[3] == 3))
			return error_raise(err, ERROR_INVALID,
				"a file capability of %zu bytes makes no sense", size);
		memcpy(out, value, 20);
		out[3] = 2;
		*out_value = (struct str){out, 20};
	}
	return true;
}

static bool raise_over(const char *what, int64_t limit, struct error *err)
{
	return error_raise(err, ERROR_LIMIT, "%s more than %lld", what, (long long)limit);
}

static bool spool_content(struct reading *r, int64_t size_bytes, int64_t *out_offset,
	struct error *err)
{
	struct foreign_spool *spool = r->spool;
	int64_t left = size_bytes;

	if (size_bytes < 0 || size_bytes > spool->size_limit - spool->size_bytes)
		return raise_over("its files have together, in bytes,", spool->size_limit, err);
	*out_offset = spool->size_bytes;
	while (left > 0) {
		la_ssize_t size = libarchive.read_data(r->tar, r->data, sizeof(r->data));

		if (size < 0)
			return raise_archive(r->tar, err);
		if (size == 0 || size > left)
			return error_raise(err, ERROR_INVALID,
				"a file has another size than its header says");
		if (!descriptor_write_all(spool->fd, r->data, (size_t)size, "a temporary file",
			    err))
			return false;
		spool->size_bytes += size;
		left -= size;
	}
	return true;
}

/* ".wh.name" hides name of the layers below, ".wh..wh..opq" everything in its folder. */
static void add_whiteout(struct reading *r, const char *path)
{
	const char *name = path_base(path), *hidden = name + strlen(".wh.");
	size_t folder = (size_t)(name - path);
	const struct foreign_node none = {0};

	if (text_equal(hidden, ".wh..opq")) {
		foreign_tree_add(&r->tree, FOREIGN_OPAQUE,
			(struct str){path, folder ? folder - 1 : 0}, NULL, &none);
	} else if (hidden[0] && !text_starts_with(hidden, ".wh.")) {
		scoped(text_free) char *full = memory_format("%.*s%s", (int)folder, path, hidden);
		foreign_tree_add(&r->tree, FOREIGN_WHITEOUT, str_of(full), NULL, &none);
	}
}

static bool read_hard_link(struct reading *r, const char *path, const char *link, struct error *err)
{
	scoped(text_free) char *target = NULL;
	const struct foreign_node none = {0};

	if (!clean_name(link, &target, err))
		return error_while(err, "reading what the hard link \"%s\" names", path);
	foreign_tree_add(&r->tree, FOREIGN_HARD_LINK, str_of(path), target, &none);
	return true;
}

static bool read_link(struct reading *r, const char *path, const char *target,
	struct foreign_node *node, struct error *err)
{
	if (!target || !*target || strlen(target) > PATH_LIMIT || !str_is_utf8(str_of(target)))
		return error_raise(err, ERROR_INVALID, "the link has a target that makes no sense");
	node->mode = 0777;
	foreign_tree_add(&r->tree, FOREIGN_LINK, str_of(path), target, node);
	return true;
}

static bool read_kind(struct reading *r, struct archive_entry *entry, const char *path,
	struct foreign_node *node, struct error *err)
{
	unsigned kind = libarchive.entry_filetype(entry);

	if (kind == AE_IFDIR) {
		if (*path)
			foreign_tree_add(&r->tree, FOREIGN_FOLDER, str_of(path), NULL, node);
		return true;
	}
	if (!*path)
		return error_raise(err, ERROR_INVALID, "the root is no folder");
	if (kind == AE_IFLNK)
		return read_link(r, path, libarchive.entry_symlink(entry), node, err);
	if (kind != AE_IFREG)
		return error_raise(err, ERROR_INVALID,
			"it is %s; only files, folders and links are accepted",
			kind == AE_IFIFO   ? "a pipe"
			: kind == AE_IFCHR ? "a character device"
			: kind == AE_IFBLK ? "a block device"
					   : "of an unknown kind");
	if (libarchive.entry_sparse_count(entry) > 0)
		return error_raise(err, ERROR_INVALID, "it is stored as a sparse file");
	node->size_bytes = libarchive.entry_size(entry);
	if (!spool_content(r, node->size_bytes, &node->offset, err))
		return false;
	foreign_tree_add(&r->tree, FOREIGN_FILE, str_of(path), NULL, node);
	return true;
}

static bool read_entry(struct reading *r, struct archive_entry *entry, const char *path,
	struct error *err)
{
	struct foreign_node node = {.mode = (unsigned)libarchive.entry_perm(entry) & 07777,
		.user = libarchive.entry_uid(entry),
		.group = libarchive.entry_gid(entry)};
	const char *link = libarchive.entry_hardlink(entry);
	char capability[20];

	if (text_starts_with(path_base(path), ".wh.")) {
		add_whiteout(r, path);
		return true;
	}
	if (link)
		return read_hard_link(r, path, link, err);
	if (node.user < 0 || node.user > UINT32_MAX || node.group < 0 || node.group > UINT32_MAX)
		return error_raise(err, ERROR_INVALID, "its owner %lld:%lld makes no sense",
			(long long)node.user, (long long)node.group);
	return read_capability(entry, capability, &node.capability, err) &&
	       read_kind(r, entry, path, &node, err);
}

static int64_t text_size(struct archive_entry *entry, const char *path)
{
	const char *hard = libarchive.entry_hardlink(entry),
		   *link = libarchive.entry_symlink(entry);

	return (int64_t)(strlen(path) + (hard ? strlen(hard) : 0) + (link ? strlen(link) : 0));
}

static bool read_all(struct reading *r, struct error *err)
{
	struct foreign_spool *spool = r->spool;
	struct archive_entry *entry;
	const void *rest;
	la_ssize_t size;
	int status;

	while ((status = libarchive.read_next_header(r->tar, &entry)) == ARCHIVE_OK ||
		status == ARCHIVE_WARN) {
		scoped(text_free) char *path = NULL;

		if (++spool->entry_count > spool->entry_limit)
			return raise_over("its entries are", spool->entry_limit, err);
		if (!clean_name(libarchive.entry_pathname(entry), &path, err))
			return false;
		spool->text_bytes += text_size(entry, path);
		if (spool->text_bytes > spool->text_limit)
			return raise_over("its names have together, in bytes,", spool->text_limit,
				err);
		if (!read_entry(r, entry, path, err))
			return error_while(err, "reading the entry \"%s\"", path);
	}
	if (status != ARCHIVE_EOF)
		return raise_archive(r->tar, err);
	/* What follows the tar's end belongs to the diff_id too. */
	while ((size = read_unpacked(r->tar, r, &rest)) > 0)
		;
	return size == 0 || raise_archive(r->tar, err);
}

bool foreign_layer_read(int fd, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct digest *out_diff_id, struct error *err)
{
	scoped(reading_free) struct reading *r = memory_new(sizeof(*r));

	if (!archive_library_load(err))
		return false;
	r->spool = spool;
	r->hasher = hasher_new();
	/* Names are UTF-8 whatever the locale of our caller. */
	r->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (r->locale)
		r->before = uselocale(r->locale);
	if (!open_readers(r, fd, err) || !read_all(r, err) || !foreign_tree_settle(&r->tree, err))
		return false;
	if (out_diff_id)
		*out_diff_id = hasher_finish(r->hasher);
	*out_tree = r->tree;
	r->tree = (struct foreign_tree){0};
	return true;
}
