#include "deployers/local/content.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { TOUCH_MS = 3600 * 1000 };

char *content_key(const char *repository, const char *name)
{
	return memory_format("%s@%s", repository, name);
}

bool content_key_of(const char *id, const char *repository)
{
	size_t size = strlen(repository);

	return strncmp(id, repository, size) == 0 && (id[size] == '@' || id[size] == ':');
}

char *content_path(const struct content *content, const char *name)
{
	return memory_format("%s/%.6s/%s", content->blobs, name, name + 7);
}

bool content_open(struct cloud *cloud, struct content **out_content, struct error *err)
{
	scoped(content_close) struct content *content = memory_new(sizeof(*content));

	content->cloud = cloud;
	content->blobs = path_join(cloud->state, "content/blobs");
	content->uploads = path_join(cloud->state, "content/uploads");
	scoped(text_free) char *sha256 = path_join(content->blobs, "sha256"),
			       *sha512 = path_join(content->blobs, "sha512");

	if (!folder_make(sha256, 0755, err) || !folder_make(sha512, 0755, err) ||
		!folder_make(content->uploads, 0755, err) || !content_collect(content, err))
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

bool content_blob_file(struct content *content, const char *name, char **out_path,
	struct error *err)
{
	scoped(text_free) char *path = content_path(content, name);

	if (!file_exists(path))
		return error_raise(err, ERROR_NOT_FOUND, "the local registry has no blob %s", name);
	*out_path = path;
	path = NULL;
	return true;
}

bool content_blob_path(struct content *content, const struct digest *digest, char **out_path,
	struct error *err)
{
	char name[DIGEST_TEXT_SIZE];

	digest_to_text(digest, name);
	return content_blob_file(content, name, out_path, err);
}

struct search {
	const char *name;
	const struct json *found;
};

static bool match_name(void *context, const char *id, const struct json *value)
{
	struct search *search = context;

	if (text_ends_with(id, search->name))
		search->found = value;
	return !search->found;
}

/* The size that the store remembers for a blob the repository (NULL: any) shows; -1: none. */
static int64_t remembered_size(struct content *content, const char *repository, const char *name)
{
	static const char *const kinds[] = {"ecr.blob", "ecr.image"};
	struct search search = {.name = name};

	for (size_t i = 0; !search.found && i < countof(kinds); i++) {
		if (repository) {
			scoped(text_free) char *key = content_key(repository, name);

			search.found = store_get(content->cloud->store, kinds[i], key);
		} else {
			store_each(content->cloud->store, kinds[i], match_name, &search);
		}
	}
	return search.found ? json_get_int(search.found, "_size", -1) : -1;
}

bool content_has_blob(struct content *content, const char *repository, const char *name,
	int64_t *out_size_bytes)
{
	int64_t expected = remembered_size(content, repository, name);
	struct stat status;

	if (expected < 0)
		return false;
	scoped(text_free) char *path = content_path(content, name);

	if (stat(path, &status) < 0 || status.st_size != expected)
		return false;
	if (out_size_bytes)
		*out_size_bytes = expected;
	return true;
}

bool content_link_blob(struct content *content, const char *repository, const char *name,
	struct error *err)
{
	scoped(text_free) char *path = content_path(content, name),
			       *key = content_key(repository, name);
	int64_t size;

	if (!file_size(path, &size, err))
		return false;
	return store_put(content->cloud->store, "ecr.blob", key,
		json_object_of("_size", json_int_new(size), "linked_ms",
			json_int_new(clock_now(content->cloud->clock)), NULL),
		err);
}

void content_touch_blob(struct content *content, const char *repository, const char *name)
{
	scoped(text_free) char *key = content_key(repository, name);
	const struct json *link = store_get(content->cloud->store, "ecr.blob", key);
	struct error err = {0};

	/* An hour of the day is not worth a write for every question. */
	if (!link ||
		json_get_int(link, "linked_ms", 0) > clock_now(content->cloud->clock) - TOUCH_MS)
		return;
	if (!content_link_blob(content, repository, name, &err))
		error_ignore(&err, "who was told may have to push it again");
}

struct user_search {
	const char *name;
	const char *digest; /* of an image that needs it */
};

static bool match_user(void *context, const char *digest, const struct json *image)
{
	struct user_search *search = context;
	const struct json *blobs = json_get(image, "_blobs");

	for (size_t i = 0; !search->digest && i < json_count(blobs); i++)
		if (text_equal(json_text(json_at(blobs, i), ""), search->name))
			search->digest = digest;
	return !search->digest;
}

bool content_unlink_blob(struct content *content, const char *repository, const char *name,
	struct error *err)
{
	scoped(text_free) char *key = content_key(repository, name);
	struct user_search search = {.name = name};

	if (!store_get(content->cloud->store, "ecr.blob", key))
		return error_raise(err, ERROR_NOT_FOUND, "repository %s has no blob %s", repository,
			name);
	content_each_image(content, repository, match_user, &search);
	if (search.digest)
		return error_raise(err, ERROR_CONFLICT, "blob %s is needed by image %s", name,
			search.digest);
	return store_remove(content->cloud->store, "ecr.blob", key, err);
}
