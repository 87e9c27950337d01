#include "base/memory.h"
#include "builders/registry/reference.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <stdlib.h>

/* ECR's: CreateRepository, repositoryName. */
enum { REPOSITORY_MIN = 2, REPOSITORY_MAX = 256 };

bool content_repository_name_valid(struct str name)
{
	return name.size >= REPOSITORY_MIN && name.size <= REPOSITORY_MAX &&
	       reference_repository_valid(name);
}

const struct json *content_repository(struct content *content, const char *repository)
{
	return store_get(content->cloud->store, "ecr.repository", repository);
}

const struct json *content_image(struct content *content, const char *repository,
	const char *reference)
{
	scoped(text_free) char *key = NULL;
	const char *digest = reference;

	if (!strchr(reference, ':')) {
		key = memory_format("%s:%s", repository, reference);
		digest = json_get_text(store_get(content->cloud->store, "ecr.tag", key), "digest",
			NULL);
		if (!digest)
			return NULL;
		text_free(&key);
	}
	key = memory_format("%s@%s", repository, digest);
	return store_get(content->cloud->store, "ecr.image", key);
}

struct each_image {
	const char *repository;
	bool (*each)(void *context, const char *digest, const struct json *image);
	void *context;
};

static bool call_each(void *context, const char *id, const struct json *image)
{
	struct each_image *call = context;

	if (!text_equal(json_get_text(image, "repositoryName", ""), call->repository))
		return true;
	return call->each(call->context, strchr(id, '@') + 1, image);
}

void content_each_image(struct content *content, const char *repository,
	bool (*each)(void *context, const char *digest, const struct json *image), void *context)
{
	struct each_image call = {repository, each, context};

	store_each(content->cloud->store, "ecr.image", call_each, &call);
}

struct tag_list {
	const char *repository, *digest;
	struct strings *tags;
};

static bool add_tag(void *context, const char *id, const struct json *value)
{
	struct tag_list *list = context;

	if (content_key_of(id, list->repository) &&
		(!list->digest || text_equal(json_get_text(value, "digest", ""), list->digest)))
		strings_add(list->tags, id + strlen(list->repository) + 1);
	return true;
}

void content_tags(struct content *content, const char *repository, const char *digest,
	struct strings *out_tags)
{
	struct tag_list list = {repository, digest, out_tags};

	store_each(content->cloud->store, "ecr.tag", add_tag, &list);
	strings_sort(out_tags);
}

static bool remove_tags(struct content *content, const char *repository, const char *digest,
	struct error *err)
{
	scoped(strings_free) struct strings tags = {0};

	content_tags(content, repository, digest, &tags);
	for (size_t i = 0; i < tags.count; i++) {
		scoped(text_free) char *key = memory_format("%s:%s", repository, tags.items[i]);

		if (!store_remove(content->cloud->store, "ecr.tag", key, err))
			return false;
	}
	return true;
}

struct index_search {
	const char *digest;
	const char *found; /* digest of an index that names it */
};

static bool names_digest(void *context, const char *digest, const struct json *image)
{
	struct index_search *search = context;
	const struct json *blobs = json_get(image, "_blobs");

	for (size_t i = 0; !search->found && i < json_count(blobs); i++)
		if (text_equal(json_text(json_at(blobs, i), ""), search->digest))
			search->found = digest;
	return !search->found;
}

const char *content_index_of(struct content *content, const char *repository, const char *digest)
{
	struct index_search search = {.digest = digest};

	content_each_image(content, repository, names_digest, &search);
	return search.found;
}

bool content_remove_image(struct content *content, const char *repository, const char *digest,
	struct error *err)
{
	scoped(store_rollback) struct store *open = content->cloud->store;
	scoped(text_free) char *key = memory_format("%s@%s", repository, digest);
	const char *index = content_index_of(content, repository, digest);

	if (index)
		return error_raise(err, ERROR_CONFLICT,
			"image %s is referenced by manifest list %s", digest, index);
	return store_begin(open, err) && remove_tags(content, repository, digest, err) &&
	       store_remove(open, "ecr.image", key, err) && store_commit(open, err);
}

bool content_untag(struct content *content, const char *repository, const char *tag,
	struct error *err)
{
	scoped(text_free) char *key = memory_format("%s:%s", repository, tag);

	return store_remove(content->cloud->store, "ecr.tag", key, err);
}

bool content_remove_tag(struct content *content, const char *repository, const char *tag,
	struct error *err)
{
	scoped(strings_free) struct strings tags = {0};
	scoped(text_free) char *key = memory_format("%s:%s", repository, tag), *digest = NULL;

	digest = memory_copy_text(
		json_get_text(store_get(content->cloud->store, "ecr.tag", key), "digest", NULL));
	if (!digest)
		return true;
	content_tags(content, repository, digest, &tags);
	if (tags.count == 1)
		return content_remove_image(content, repository, digest, err);
	return store_remove(content->cloud->store, "ecr.tag", key, err);
}

struct key_list {
	const char *repository;
	struct strings keys;
};

static bool add_key(void *context, const char *id, const struct json *value)
{
	struct key_list *list = context;

	(void)value;
	if (content_key_of(id, list->repository))
		strings_add(&list->keys, id);
	return true;
}

bool content_remove_repository(struct content *content, const char *repository, struct error *err)
{
	static const char *const kinds[] = {"ecr.tag", "ecr.image", "ecr.blob"};
	scoped(store_rollback) struct store *open = content->cloud->store;

	if (!store_begin(open, err))
		return false;
	for (size_t k = 0; k < countof(kinds); k++) {
		struct key_list list = {.repository = repository};
		bool ok = true;

		store_each(open, kinds[k], add_key, &list);
		for (size_t i = 0; ok && i < list.keys.count; i++)
			ok = store_remove(open, kinds[k], list.keys.items[i], err);
		strings_free(&list.keys);
		if (!ok)
			return false;
	}
	return store_remove(open, "ecr.repository", repository, err) && store_commit(open, err);
}
