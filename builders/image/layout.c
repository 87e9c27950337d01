#include "builders/image/layout.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAMAGED "the layout is damaged: build the image again into a new folder"
#define REF_NAME "org.opencontainers.image.ref.name"
/* Ours: the digest of the blob that says why each file is in the image. */
#define REASONS "dev.dogshore.reasons"

static const char version_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

void layout_free(struct layout *layout)
{
	text_free(&layout->path);
}

/* Replaces path in one step by a temporary file of our own. Not synced to disk: after a power cut
 * a layout is simply built again. */
static bool put_file(const char *path, struct str content, struct error *err)
{
	return file_write(path, content, 0644, false, err);
}

/* The version file must be there and say 1.x. */
static bool check_version(const char *path, struct error *err)
{
	scoped(text_free) char *file = path_join(path, "oci-layout");
	scoped(json_free) struct json *value = NULL;

	if (!json_read_file(file, 4096, &value, err)) {
		error_while(err, "opening the image layout \"%s\"", path);
		return error_next(err, "name a folder that `dogshore image build --output` made");
	}
	const char *version = json_get_text(value, "imageLayoutVersion", "");
	if (!text_starts_with(version, "1."))
		return error_raise(err, ERROR_INVALID,
			"\"%s\" is an image layout of version \"%s\"; 1.0.0 is known here", path,
			version);
	return true;
}

bool layout_open(const char *path, struct layout *out_layout, struct error *err)
{
	if (!check_version(path, err))
		return false;
	out_layout->path = memory_copy_text(path);
	return true;
}

static bool is_empty(const char *path)
{
	struct strings names = {0};
	bool empty = folder_list(path, &names, NULL) && names.count == 0;

	strings_free(&names);
	return empty;
}

bool layout_create(const char *path, struct layout *out_layout, struct error *err)
{
	scoped(text_free) char *file = path_join(path, "oci-layout");
	scoped(text_free) char *blobs = path_join(path, "blobs/sha256");

	if (file_exists(file)) {
		if (!check_version(path, err))
			return false;
	} else {
		if (file_exists(path) && !is_empty(path) && !file_exists(blobs)) {
			error_raise(err, ERROR_CONFLICT,
				"\"%s\" holds other things and is no image layout", path);
			return error_next(err, "name a new folder");
		}
		if (!folder_make(blobs, 0755, err) || !put_file(file, str_of(version_text), err))
			return error_while(err, "making the image layout \"%s\"", path);
	}
	if (!folder_make(blobs, 0755, err))
		return false;
	out_layout->path = memory_copy_text(path);
	return true;
}

static bool is_tag(const char *tag)
{
	/* distribution-spec: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
	if (*tag == 0 || *tag == '.' || *tag == '-' || strlen(tag) > 128)
		return false;
	for (; *tag; tag++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
			    *tag))
			return false;
	return true;
}

bool layout_reference_parse(const char *text, char **out_path, char **out_tag, struct error *err)
{
	const char *colon = strrchr(text, ':');
	bool has_tag = colon && !strchr(colon, '/');

	if (*text == 0 || colon == text) {
		error_raise(err, ERROR_USAGE, "\"%s\" names no image layout", text);
		return error_next(err, "write it FOLDER:TAG, for example out/rooms:1.4");
	}
	if (has_tag && !is_tag(colon + 1)) {
		error_raise(err, ERROR_USAGE, "\"%s\" is no tag", colon + 1);
		return error_next(err, "a tag has up to 128 letters, digits, '_', '.', '-' and "
				       "starts with none of the "
				       "last two");
	}
	*out_path = has_tag ? memory_copy(text, (size_t)(colon - text)) : memory_copy_text(text);
	*out_tag = memory_copy_text(has_tag ? colon + 1 : "latest");
	return true;
}

char *layout_blob_path(const struct layout *layout, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return memory_format("%s/blobs/sha256/%s", layout->path, hex);
}

bool layout_has_blob(const struct layout *layout, const struct digest *digest, int64_t size_bytes)
{
	scoped(text_free) char *path = layout_blob_path(layout, digest);
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == size_bytes;
}

bool layout_write_blob(const struct layout *layout, struct str content, struct digest *out_digest,
	struct error *err)
{
	struct digest digest = digest_of_str(content);
	scoped(text_free) char *path = layout_blob_path(layout, &digest);

	if (!layout_has_blob(layout, &digest, (int64_t)content.size) &&
		!file_write(path, content, 0644, false, err))
		return false;
	*out_digest = digest;
	return true;
}

bool layout_read_blob(const struct layout *layout, const struct digest *digest, size_t limit_bytes,
	struct buf *out, struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(layout, digest);
	size_t before = out->size;

	if (!file_read(path, limit_bytes, out, err)) {
		error_while(err, "reading the image layout \"%s\"", layout->path);
		return error_next(err, DAMAGED);
	}
	struct digest real = digest_of(out->data + before, out->size - before);
	if (digest_equal(&real, digest))
		return true;
	error_raise(err, ERROR_INVALID, "the content of \"%s\" has another digest than its name",
		path);
	return error_next(err, DAMAGED);
}

/* A name beside the blobs that no other process has. */
static char *temporary_name(const struct layout *layout)
{
	uint64_t random;

	random_bytes(&random, sizeof(random));
	return memory_format("%s/blobs/sha256/.new-%016llx", layout->path,
		(unsigned long long)random);
}

/* A file without a name where the file system has such, so that a kill leaves nothing behind. */
static int open_blob(const struct layout *layout, char **out_temporary)
{
	scoped(text_free) char *folder = path_join(layout->path, "blobs/sha256");
	int fd = file_open_unnamed(folder, 0644);

	*out_temporary = NULL;
	if (fd >= 0)
		return fd;
	*out_temporary = temporary_name(layout);
	return open(*out_temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

bool layout_blob_create(const struct layout *layout, struct layout_blob *out_blob,
	struct error *err)
{
	struct layout_blob blob = {0};

	blob.fd = open_blob(layout, &blob.temporary);
	if (blob.fd < 0) {
		error_raise_errno(err, "create a blob in \"%s\"", layout->path);
		text_free(&blob.temporary);
		return false;
	}
	/* Whatever the umask: a layout is read by other users' tools. */
	if (fchmod(blob.fd, 0644) < 0) {
		error_raise_errno(err, "set the mode of a blob in \"%s\"", layout->path);
		layout_blob_discard(&blob);
		return false;
	}
	*out_blob = blob;
	return true;
}

bool layout_blob_commit(const struct layout *layout, struct layout_blob *blob,
	const struct digest *digest, struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(layout, digest);

	if (!blob->temporary && file_link_unnamed(blob->fd, path) < 0) {
		/* What has the name may be damaged; it is replaced in one step. */
		char *name = errno == EEXIST ? temporary_name(layout) : NULL;
		if (!name || file_link_unnamed(blob->fd, name) < 0) {
			error_raise_errno(err, "name the blob \"%s\"", path);
			free(name);
			return false;
		}
		blob->temporary = name;
	}
	if (blob->temporary && rename(blob->temporary, path) < 0)
		return error_raise_errno(err, "rename \"%s\" to \"%s\"", blob->temporary, path);
	text_free(&blob->temporary);
	layout_blob_discard(blob);
	return true;
}

void layout_blob_discard(struct layout_blob *blob)
{
	if (blob->temporary)
		unlink(blob->temporary);
	if (blob->fd > 0)
		close(blob->fd);
	text_free(&blob->temporary);
	blob->fd = 0;
}

bool layout_read_index(const struct layout *layout, struct json **out_index, struct error *err)
{
	scoped(text_free) char *path = path_join(layout->path, "index.json");

	return json_read_file(path, MANIFEST_LIMIT, out_index, err) || error_next(err, DAMAGED);
}

/* An index that is wrong about a size may be wrong about the digest too: somebody changed it. */
static bool check_size(const struct layout *layout, const char *tag,
	const struct layout_entry *entry, struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(layout, &entry->digest);
	struct stat status;

	if (stat(path, &status) < 0 || status.st_size == entry->size_bytes)
		return true; /* one that is missing is found when it is read */
	error_raise(err, ERROR_INVALID,
		"\"%s/index.json\" says that the tag \"%s\" has %lld bytes, its blob has %lld",
		layout->path, tag, (long long)entry->size_bytes, (long long)status.st_size);
	return error_next(err, DAMAGED);
}

bool layout_write_index(const struct layout *layout, const struct json *index, struct error *err)
{
	scoped(text_free) char *path = path_join(layout->path, "index.json");
	scoped(buf_free) struct buf text = {0};

	json_write(index, &text);
	return put_file(path, buf_str(&text), err);
}

const char *layout_tag_of(const struct json *descriptor)
{
	return json_get_text(json_get(descriptor, "annotations"), REF_NAME, "");
}

bool layout_find_tag(const struct layout *layout, const char *tag, struct layout_entry *out_entry,
	struct error *err)
{
	scoped(json_free) struct json *index = NULL;
	scoped(buf_free) struct buf known = {0};

	if (!layout_read_index(layout, &index, err))
		return false;
	const struct json *manifests = json_get(index, "manifests");
	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *descriptor = json_at(manifests, i);
		const char *name = layout_tag_of(descriptor);

		if (!text_equal(name, tag)) {
			if (*name)
				buf_printf(&known, "%s%s", known.size ? ", " : "", name);
			continue;
		}
		if (!digest_parse(json_str(json_get(descriptor, "digest")), &out_entry->digest)) {
			error_raise(err, ERROR_INVALID,
				"the tag \"%s\" in \"%s\" has no sha256 digest", tag, layout->path);
			return error_next(err, DAMAGED);
		}
		out_entry->size_bytes = json_get_int(descriptor, "size", 0);
		snprintf(out_entry->media_type, sizeof(out_entry->media_type), "%s",
			json_get_text(descriptor, "mediaType", MEDIA_TYPE_MANIFEST));
		return check_size(layout, tag, out_entry, err);
	}
	error_raise(err, ERROR_NOT_FOUND, "the image layout \"%s\" has no tag \"%s\"", layout->path,
		tag);
	return error_next(err, "it has: %s", known.size ? buf_text(&known) : "none");
}

const char *layout_reasons_of(const struct json *descriptor)
{
	return json_get_text(json_get(descriptor, "annotations"), REASONS, "");
}

bool layout_find_reasons(const struct layout *layout, const char *tag, struct digest *out_digest,
	struct error *err)
{
	scoped(json_free) struct json *index = NULL;
	struct layout_entry entry;

	*out_digest = (struct digest){0};
	/* For its error when there is no such tag. */
	if (!layout_find_tag(layout, tag, &entry, err) || !layout_read_index(layout, &index, err))
		return false;
	const struct json *manifests = json_get(index, "manifests");
	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *descriptor = json_at(manifests, i);
		if (text_equal(layout_tag_of(descriptor), tag) &&
			!digest_parse(str_of(layout_reasons_of(descriptor)), out_digest))
			*out_digest = (struct digest){0};
	}
	return true;
}

static void put_descriptor(struct json_writer *w, const char *tag, const struct layout_entry *entry,
	const char *architecture, const struct digest *reasons)
{
	json_object_begin(w);
	descriptor_put(w, entry->media_type, &entry->digest, entry->size_bytes);
	if (architecture) {
		json_key(w, "platform");
		json_object_begin(w);
		json_put_text(w, "architecture", architecture);
		json_put_text(w, "os", "linux");
		json_object_end(w);
	}
	json_key(w, "annotations");
	json_object_begin(w);
	json_put_text(w, REF_NAME, tag);
	if (reasons)
		descriptor_put_digest(w, REASONS, reasons);
	json_object_end(w);
	json_object_end(w);
}

/* An index with nothing but this tag. */
static void put_index(struct json_writer *w, const char *tag, const struct layout_entry *entry,
	const char *architecture, const struct digest *reasons)
{
	json_object_begin(w);
	json_put_int(w, "schemaVersion", 2);
	json_put_text(w, "mediaType", MEDIA_TYPE_INDEX);
	json_key(w, "manifests");
	json_array_begin(w);
	put_descriptor(w, tag, entry, architecture, reasons);
	json_array_end(w);
	json_object_end(w);
}

bool layout_lock(const struct layout *layout, int *out_fd, struct error *err)
{
	int fd = open(layout->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", layout->path);
	do
		result = flock(fd, LOCK_EX);
	while (result < 0 && errno == EINTR);
	if (result < 0) {
		error_raise_errno(err, "lock \"%s\"", layout->path);
		close(fd);
		return false;
	}
	*out_fd = fd;
	return true;
}

/* The index without the tag; an empty one when there is none yet. */
static bool index_without(const struct layout *layout, const char *tag, struct json **out_index,
	struct error *err)
{
	scoped(text_free) char *path = path_join(layout->path, "index.json");

	if (!file_exists(path))
		*out_index = json_object_of("schemaVersion", json_int_new(2), "mediaType",
			json_text_new(MEDIA_TYPE_INDEX), "manifests", json_array_new(), NULL);
	else if (!layout_read_index(layout, out_index, err))
		return false;
	struct json *manifests = json_get(*out_index, "manifests");
	if (!json_is_array(manifests)) {
		json_free(out_index);
		return error_raise(err, ERROR_INVALID, "\"%s\" has no list \"manifests\"", path);
	}
	for (size_t i = json_count(manifests); i-- > 0;)
		if (text_equal(layout_tag_of(json_at(manifests, i)), tag))
			json_remove_at(manifests, i);
	return true;
}

/* Most layouts hold one tag, and most builds change nothing: neither needs the JSON library, whose
 * loading is a good part of such a build. */
static bool set_only_tag(const char *path, struct str index, bool *out_done, struct error *err)
{
	scoped(buf_free) struct buf old = {0};

	*out_done = true;
	if (!file_exists(path))
		return put_file(path, index, err);
	if (!file_read(path, MANIFEST_LIMIT, &old, err))
		return error_next(err, DAMAGED);
	*out_done = str_equal(buf_str(&old), index);
	return true;
}

bool layout_set_image(const struct layout *layout, const char *tag,
	const struct layout_entry *entry, const char *architecture, const struct digest *reasons,
	struct error *err)
{
	scoped(descriptor_close) int locked = -1;
	scoped(json_free) struct json *index = NULL, *descriptor = NULL;
	scoped(buf_free) struct buf text = {0}, alone = {0};
	scoped(text_free) char *path = path_join(layout->path, "index.json");
	struct json_writer one = json_writer_start(&text), all = json_writer_start(&alone);
	bool done;

	put_index(&all, tag, entry, architecture, reasons);
	if (!layout_lock(layout, &locked, err) || !set_only_tag(path, buf_str(&alone), &done, err))
		return false;
	if (done)
		return true;
	put_descriptor(&one, tag, entry, architecture, reasons);
	if (!json_parse(buf_str(&text), "descriptor", NULL, &descriptor, err) ||
		!index_without(layout, tag, &index, err))
		return false;
	json_append(json_get(index, "manifests"), json_keep(descriptor));
	return layout_write_index(layout, index, err);
}

bool layout_set_tag(const struct layout *layout, const char *tag, const struct layout_entry *entry,
	const char *architecture, struct error *err)
{
	return layout_set_image(layout, tag, entry, architecture, NULL, err);
}

bool layout_list(const struct layout *layout, struct json *descriptor, struct error *err)
{
	scoped(json_free) struct json *taken = descriptor, *index = NULL;
	scoped(descriptor_close) int locked = -1;

	if (!layout_lock(layout, &locked, err) || !index_without(layout, NULL, &index, err))
		return false;
	struct json *manifests = json_get(index, "manifests");
	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json *other = json_at(manifests, i);
		if (!*layout_tag_of(other) &&
			json_equal(json_get(other, "digest"), json_get(taken, "digest")))
			return true;
	}
	json_append(manifests, json_keep(taken));
	return layout_write_index(layout, index, err);
}
