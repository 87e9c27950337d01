#include "deployers/local/content.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_MS = 24 * 3600 * 1000 };

char *content_key(const char *repository, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	return memory_format("%s@%s", repository, text);
}

bool content_key_of(const char *id, const char *repository)
{
	size_t size = strlen(repository);

	return strncmp(id, repository, size) == 0 && (id[size] == '@' || id[size] == ':');
}

static char *blob_path(const struct content *content, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return path_join(content->blobs, hex);
}

/* Digests (hex) that some image needs, and whether blobs are old enough to go. */
struct sweep {
	struct content *content;
	struct strings needed, links; /* hex digests; keys of "ecr.blob" that nothing needs */
	int64_t before_ms;
};

static bool note_needed(void *context, const char *id, const struct json *image)
{
	struct sweep *sweep = context;
	const struct json *blobs = json_get(image, "_blobs");

	strings_add(&sweep->needed, id);
	for (size_t i = 0; i < json_count(blobs); i++)
		strings_printf(&sweep->needed, "%s@%s", json_get_text(image, "repositoryName", ""),
			json_text(json_at(blobs, i), ""));
	return true;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_listed(const struct strings *sorted, const char *text)
{
	return sorted->count &&
	       bsearch(&text, sorted->items, sorted->count, sizeof(*sorted->items), compare_text);
}

static bool note_unneeded(void *context, const char *id, const struct json *link)
{
	struct sweep *sweep = context;

	if (!is_listed(&sweep->needed, id) && json_get_int(link, "linked_ms", 0) < sweep->before_ms)
		strings_add(&sweep->links, id);
	return true;
}

static bool note_hex(void *context, const char *id, const struct json *value)
{
	const char *colon = strrchr(id, ':');

	(void)value;
	if (colon)
		strings_add(context, colon + 1);
	return true;
}

/* Files in the blob folder that no repository shows any more. */
static bool remove_unlinked(struct content *content, int64_t before_ms, struct error *err)
{
	scoped(strings_free) struct strings names = {0}, shown = {0};

	store_each(content->cloud->store, "ecr.blob", note_hex, &shown);
	store_each(content->cloud->store, "ecr.image", note_hex, &shown);
	strings_sort(&shown);
	if (!folder_list(content->blobs, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(content->blobs, names.items[i]);
		struct stat status;

		if (is_listed(&shown, names.items[i]) || stat(path, &status) < 0 ||
			status.st_ctim.tv_sec * 1000 >= before_ms)
			continue;
		log_trace("content", "removing %s: no image needs it", path);
		if (!file_remove(path, err))
			return false;
	}
	return true;
}

/* A push may be under way across a restart, so what is younger than a day stays. */
static bool sweep_blobs(struct content *content, struct error *err)
{
	struct sweep sweep = {.content = content,
		.before_ms = clock_now(content->cloud->clock) - DAY_MS};
	bool ok = true;

	store_each(content->cloud->store, "ecr.image", note_needed, &sweep);
	strings_sort(&sweep.needed);
	store_each(content->cloud->store, "ecr.blob", note_unneeded, &sweep);
	for (size_t i = 0; ok && i < sweep.links.count; i++)
		ok = store_remove(content->cloud->store, "ecr.blob", sweep.links.items[i], err);
	ok = ok && remove_unlinked(content, sweep.before_ms, err);
	strings_free(&sweep.needed);
	strings_free(&sweep.links);
	return ok;
}

bool content_open(struct cloud *cloud, struct content **out_content, struct error *err)
{
	scoped(content_close) struct content *content = memory_new(sizeof(*content));

	content->cloud = cloud;
	content->blobs = path_join(cloud->state, "content/blobs/sha256");
	content->uploads = path_join(cloud->state, "content/uploads");
	/* Uploads do not outlive the process that received them. */
	if (!folder_make(content->blobs, 0755, err) || !folder_remove(content->uploads, err) ||
		!folder_make(content->uploads, 0755, err) || !sweep_blobs(content, err))
		return error_while(err, "opening the images of the local cloud");
	*out_content = content;
	content = NULL;
	return true;
}

void content_close(struct content **address)
{
	struct content *content = *address;

	if (!content)
		return;
	free(content->blobs);
	free(content->uploads);
	free(content);
	*address = NULL;
}

bool content_blob_path(struct content *content, const struct digest *digest, char **out_path,
	struct error *err)
{
	scoped(text_free) char *path = blob_path(content, digest);
	char text[DIGEST_TEXT_SIZE];

	if (!file_exists(path)) {
		digest_to_text(digest, text);
		return error_raise(err, ERROR_NOT_FOUND, "the local registry has no blob %s", text);
	}
	*out_path = path;
	path = NULL;
	return true;
}

bool new_blob_create(struct content *content, struct new_blob *out_blob, struct error *err)
{
	struct new_blob blob = {0};

	blob.fd = open(content->uploads, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (blob.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		blob.temporary = path_join(content->uploads, "XXXXXX");
		blob.fd = mkostemp(blob.temporary, O_CLOEXEC);
	}
	if (blob.fd < 0) {
		error_raise_errno(err, "make a file for an upload in \"%s\"", content->uploads);
		free(blob.temporary);
		return false;
	}
	blob.hasher = hasher_new();
	*out_blob = blob;
	return true;
}

bool new_blob_append(struct new_blob *blob, const void *bytes, size_t size, struct error *err)
{
	if (blob->broken)
		return error_raise(err, ERROR_SYSTEM, "an earlier write of this upload failed");
	if (!descriptor_write_all(blob->fd, bytes, size, "an upload", err)) {
		blob->broken = true;
		return false;
	}
	hasher_add(blob->hasher, bytes, size);
	blob->size_bytes += (int64_t)size;
	return true;
}

static bool name_blob(struct new_blob *blob, const char *path, struct error *err)
{
	scoped(text_free) char *self = memory_format("/proc/self/fd/%d", blob->fd);

	if (blob->temporary) {
		if (fchmod(blob->fd, 0644) < 0 || rename(blob->temporary, path) < 0)
			return error_raise_errno(err, "name blob \"%s\"", path);
		text_free(&blob->temporary);
		return true;
	}
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return true;
	if (errno != EEXIST)
		return error_raise_errno(err, "name blob \"%s\"", path);

	/* It is there already. The same bytes, unless the machine lost power in between. */
	int64_t size = -1;

	if (!file_size(path, &size, err))
		return false;
	if (size == blob->size_bytes)
		return true;
	return file_remove(path, err) && name_blob(blob, path, err);
}

bool new_blob_commit(struct content *content, struct new_blob *blob, const char *repository,
	const struct digest *expected, struct digest *out_digest, struct error *err)
{
	struct digest digest = hasher_finish(blob->hasher);
	scoped(text_free) char *path = blob_path(content, &digest);
	char got[DIGEST_TEXT_SIZE], wanted[DIGEST_TEXT_SIZE];
	bool ok;

	hasher_free(&blob->hasher);
	if (expected && !digest_equal(&digest, expected)) {
		digest_to_text(&digest, got);
		digest_to_text(expected, wanted);
		new_blob_discard(blob);
		return error_raise(err, ERROR_INVALID, "the content's digest is %s, not %s", got,
			wanted);
	}
	ok = name_blob(blob, path, err) &&
	     (!repository || content_link_blob(content, repository, &digest, err));
	new_blob_discard(blob);
	if (ok)
		*out_digest = digest;
	return ok;
}

void new_blob_discard(struct new_blob *blob)
{
	if (blob->fd > 0)
		close(blob->fd);
	if (blob->temporary)
		unlink(blob->temporary);
	free(blob->temporary);
	hasher_free(&blob->hasher);
	*blob = (struct new_blob){0};
}

struct search {
	const char *digest; /* text */
	const struct json *found;
};

static bool match_digest(void *context, const char *id, const struct json *value)
{
	struct search *search = context;

	if (text_ends_with(id, search->digest))
		search->found = value;
	return !search->found;
}

/* The size that the store remembers for a blob the repository (NULL: any) shows; -1: none. */
static int64_t remembered_size(struct content *content, const char *repository,
	const struct digest *digest)
{
	static const char *const kinds[] = {"ecr.blob", "ecr.image"};
	char text[DIGEST_TEXT_SIZE];
	struct search search = {.digest = text};

	digest_to_text(digest, text);
	for (size_t i = 0; !search.found && i < countof(kinds); i++) {
		if (repository) {
			scoped(text_free) char *key = content_key(repository, digest);

			search.found = store_get(content->cloud->store, kinds[i], key);
		} else {
			store_each(content->cloud->store, kinds[i], match_digest, &search);
		}
	}
	return search.found ? json_get_int(search.found, "_size", -1) : -1;
}

bool content_has_blob(struct content *content, const char *repository, const struct digest *digest,
	int64_t *out_size_bytes)
{
	scoped(text_free) char *path = blob_path(content, digest);
	int64_t expected = remembered_size(content, repository, digest);
	struct stat status;

	if (expected < 0 || stat(path, &status) < 0 || status.st_size != expected)
		return false;
	if (out_size_bytes)
		*out_size_bytes = expected;
	return true;
}

bool content_link_blob(struct content *content, const char *repository, const struct digest *digest,
	struct error *err)
{
	scoped(text_free) char *path = blob_path(content, digest),
			       *key = content_key(repository, digest);
	int64_t size;

	if (!file_size(path, &size, err))
		return false;
	return store_put(content->cloud->store, "ecr.blob", key,
		json_object_of("_size", json_int_new(size), "linked_ms",
			json_int_new(clock_now(content->cloud->clock)), NULL),
		err);
}
