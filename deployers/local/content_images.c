#include "base/memory.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <stdlib.h>

enum { REPOSITORY_MAX = 256, TAG_MAX = 128 };

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_valid(struct str part)
{
	size_t i = 0;

	while (i < part.size) {
		size_t start = i;

		while (i < part.size && is_lower_or_digit(part.data[i]))
			i++;
		if (i == start)
			return false;
		if (i == part.size)
			return true;
		char separator = part.data[i];
		size_t run = i;

		while (i < part.size && part.data[i] == separator)
			i++;
		run = i - run;
		if (!(separator == '-' || (separator == '.' && run == 1) ||
			    (separator == '_' && run <= 2)))
			return false;
	}
	return false;
}

bool content_repository_name_valid(struct str name)
{
	struct str rest = name;

	if (name.size < 2 || name.size > REPOSITORY_MAX)
		return false;
	while (rest.data)
		if (!component_valid(str_cut(&rest, '/')))
			return false;
	return true;
}

bool content_tag_valid(struct str tag)
{
	bool ok = tag.size > 0 && tag.size <= TAG_MAX && tag.data[0] != '.' && tag.data[0] != '-';

	for (size_t i = 0; ok && i < tag.size; i++) {
		char c = tag.data[i];

		ok = is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
		     c == '-';
	}
	return ok;
}

const struct json *content_repository(struct content *content, const char *repository)
{
	return store_get(content->cloud->store, "ecr.repository", repository);
}

static bool is_index(const struct json *manifest)
{
	return json_is_array(json_get(manifest, "manifests"));
}

/* Layers with their own URLs (licensed base layers) need not be here. */
static bool is_foreign(const struct json *descriptor)
{
	return json_count(json_get(descriptor, "urls")) > 0;
}

/* One blob or manifest that another manifest names: must be there with that size. */
static bool check_descriptor(struct content *content, const char *repository, bool is_manifest,
	const struct json *descriptor, struct json *blobs, int64_t *total, struct error *err)
{
	const char *text = json_get_text(descriptor, "digest", "");
	int64_t size = 0, expected = json_get_int(descriptor, "size", -1);
	struct digest digest;

	if (!digest_parse(str_of(text), &digest) || expected < 0)
		return error_raise(err, ERROR_INVALID,
			"the manifest has a descriptor without sha256 digest or size");
	if (is_foreign(descriptor))
		return true;
	if (is_manifest ? !content_image(content, repository, text)
			: !content_has_blob(content, repository, &digest, &size))
		return error_raise(err, ERROR_NOT_FOUND, "%s %s is not in repository %s",
			is_manifest ? "manifest" : "blob", text, repository);
	if (!is_manifest && size != expected)
		return error_raise(err, ERROR_INVALID,
			"blob %s has %lld bytes, the manifest says %lld", text, (long long)size,
			(long long)expected);
	json_append(blobs, json_text_new(text));
	*total += is_manifest ? 0 : size;
	return true;
}

static bool check_references(struct content *content, const char *repository,
	const struct json *manifest, struct json *blobs, int64_t *total, struct error *err)
{
	bool index = is_index(manifest);
	const struct json *list = json_get(manifest, index ? "manifests" : "layers");

	if (json_get_int(manifest, "schemaVersion", 0) != 2 || !json_is_array(list))
		return error_raise(err, ERROR_INVALID,
			"the manifest is neither an image manifest (schema 2 with layers) nor an "
			"index");
	if (!index && !check_descriptor(content, repository, false, json_get(manifest, "config"),
			      blobs, total, err))
		return false;
	for (size_t i = 0; i < json_count(list); i++)
		if (!check_descriptor(content, repository, index, json_at(list, i), blobs, total,
			    err))
			return false;
	return true;
}

static const char *media_type_of(const struct json *manifest, const char *given, struct error *err)
{
	const char *own = json_get_text(manifest, "mediaType", NULL);

	if (given && own && !text_equal(given, own)) {
		error_raise(err, ERROR_INVALID,
			"the manifest is sent as \"%s\" and calls itself \"%s\"", given, own);
		return NULL;
	}
	if (given || own)
		return own ? own : given;
	return is_index(manifest) ? "application/vnd.oci.image.index.v1+json"
				  : "application/vnd.oci.image.manifest.v1+json";
}

static struct json *image_document(struct content *content, const char *repository,
	const char *digest, const char *media_type, const struct json *manifest, size_t size)
{
	const struct json *subject = json_get(manifest, "subject");
	const char *artifact = json_get_text(manifest, "artifactType",
		json_get_text(json_get(manifest, "config"), "mediaType", NULL));

	return json_object_of("registryId", json_text_new(content->cloud->account),
		"repositoryName", json_text_new(repository), "imageDigest", json_text_new(digest),
		"imagePushedAt", json_real_new((double)clock_now(content->cloud->clock) / 1000),
		"imageManifestMediaType", json_text_new(media_type), "artifactMediaType",
		artifact ? json_text_new(artifact) : NULL, "subjectManifestDigest",
		subject ? json_text_new(json_get_text(subject, "digest", "")) : NULL, "_size",
		json_int_new((int64_t)size), "_annotations",
		json_copy(json_get(manifest, "annotations")), NULL);
}

static bool put_tag(struct content *content, const char *repository, const char *tag,
	const char *digest, struct error *err)
{
	scoped(text_free) char *key = memory_format("%s:%s", repository, tag);
	const struct json *old = store_get(content->cloud->store, "ecr.tag", key);
	const char *mutability = json_get_text(content_repository(content, repository),
		"imageTagMutability", "MUTABLE");

	if (old && text_equal(mutability, "IMMUTABLE"))
		return error_raise(err, ERROR_CONFLICT,
			"The image tag '%s' already exists in the '%s' repository and cannot be "
			"overwritten because the repository is immutable.",
			tag, repository);
	if (text_equal(json_get_text(old, "digest", ""), digest))
		return true;
	return store_put(content->cloud->store, "ecr.tag", key,
		json_object_of("digest", json_text_new(digest), NULL), err);
}

static bool keep_bytes(struct content *content, struct str bytes, struct digest *out_digest,
	struct error *err)
{
	scoped(new_blob_discard) struct new_blob blob = {0};

	return new_blob_create(content, &blob, err) &&
	       new_blob_append(&blob, bytes.data, bytes.size, err) &&
	       new_blob_commit(content, &blob, NULL, NULL, out_digest, err);
}

bool content_put_manifest(struct content *content, const char *repository, const char *tag,
	const char *media_type, struct str bytes, struct digest *out_digest, struct error *err)
{
	scoped(store_rollback) struct store *open = content->cloud->store;
	scoped(json_free) struct json *manifest = NULL, *blobs = json_array_new(), *image = NULL;
	scoped(text_free) char *key = NULL;
	char text[DIGEST_TEXT_SIZE];
	int64_t total = 0;
	const char *type;

	if (!json_parse(bytes, "the manifest", &(struct json_limits){.size_bytes = MANIFEST_LIMIT},
		    &manifest, err) ||
		!check_references(content, repository, manifest, blobs, &total, err) ||
		!(type = media_type_of(manifest, media_type, err)) ||
		!keep_bytes(content, bytes, out_digest, err))
		return false;
	digest_to_text(out_digest, text);
	key = content_key(repository, out_digest);
	if (!store_begin(open, err))
		return false;
	if (!store_get(open, "ecr.image", key)) {
		image = image_document(content, repository, text, type, manifest, bytes.size);
		json_set_int(image, "imageSizeInBytes", total + (int64_t)bytes.size);
		json_set(image, "_blobs", json_keep(blobs));
		if (!store_put(open, "ecr.image", key, json_keep(image), err))
			return false;
	}
	if (tag && !put_tag(content, repository, tag, text, err))
		return false;
	return store_commit(open, err);
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

bool content_remove_image(struct content *content, const char *repository, const char *digest,
	struct error *err)
{
	scoped(store_rollback) struct store *open = content->cloud->store;
	scoped(text_free) char *key = memory_format("%s@%s", repository, digest);
	struct index_search search = {.digest = digest};

	content_each_image(content, repository, names_digest, &search);
	if (search.found)
		return error_raise(err, ERROR_CONFLICT,
			"image %s is referenced by manifest list %s", digest, search.found);
	return store_begin(open, err) && remove_tags(content, repository, digest, err) &&
	       store_remove(open, "ecr.image", key, err) && store_commit(open, err);
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
