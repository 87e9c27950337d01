#include "base/memory.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <stdlib.h>

bool content_is_index(const struct json *manifest)
{
	return json_is_array(json_get(manifest, "manifests"));
}

/* Layers that must not be given on, or have their own URLs: they need not be here. */
static bool is_foreign(const struct json *descriptor)
{
	const char *type = json_get_text(descriptor, "mediaType", "");

	return json_count(json_get(descriptor, "urls")) > 0 ||
	       text_starts_with(type, "application/vnd.oci.image.layer.nondistributable.") ||
	       text_starts_with(type, "application/vnd.docker.image.rootfs.foreign.");
}

/* What a manifest names, gathered on the way. */
struct check {
	struct content *content;
	const struct manifest_put *put;
	struct json *blobs; /* array of names; owned */
	int64_t total;      /* bytes of blobs */
	struct strings missing;
};

static void check_free(struct check *check)
{
	json_free(&check->blobs);
	strings_free(&check->missing);
}

/* The name in a descriptor; NULL: it is none. */
static const char *name_in(const struct json *descriptor, struct error *err)
{
	const char *name = json_get_text(descriptor, "digest", "");
	enum digest_kind kind;

	if (digest_name_valid(str_of(name), &kind) && json_get_int(descriptor, "size", -1) >= 0)
		return name;
	error_raise(err, ERROR_INVALID,
		"the manifest has a descriptor without digest (sha256 or sha512) or size");
	return NULL;
}

static bool check_blob(struct check *check, const struct json *descriptor, struct error *err)
{
	const char *name = name_in(descriptor, err);
	int64_t size = 0, expected = json_get_int(descriptor, "size", -1);

	if (!name)
		return false;
	if (is_foreign(descriptor))
		return true;
	json_append(check->blobs, json_text_new(name));
	if (!content_has_blob(check->content, check->put->repository, name, &size)) {
		strings_add(&check->missing, name);
		return true;
	}
	if (size != expected)
		return error_raise(err, ERROR_INVALID,
			"blob %s has %lld bytes, the manifest says %lld", name, (long long)size,
			(long long)expected);
	check->total += size;
	return true;
}

static bool check_manifest(struct check *check, const struct json *descriptor, struct error *err)
{
	const char *name = name_in(descriptor, err);

	if (!name)
		return false;
	json_append(check->blobs, json_text_new(name));
	if (!check->put->sparse && !content_image(check->content, check->put->repository, name))
		strings_add(&check->missing, name);
	return true;
}

static bool check_subject(const struct json *manifest, struct error *err)
{
	const struct json *subject = json_get(manifest, "subject");

	return !subject || name_in(subject, err);
}

static bool check_references(struct check *check, const struct json *manifest, struct error *err)
{
	bool index = content_is_index(manifest);
	const struct json *list = json_get(manifest, index ? "manifests" : "layers");

	if (json_get_int(manifest, "schemaVersion", 0) != 2 || !json_is_array(list))
		return error_raise(err, ERROR_INVALID,
			"the manifest is neither an image manifest (schema 2 with layers) nor an "
			"index");
	if (!check_subject(manifest, err) ||
		(!index && !check_blob(check, json_get(manifest, "config"), err)))
		return false;
	for (size_t i = 0; i < json_count(list); i++)
		if (!(index ? check_manifest : check_blob)(check, json_at(list, i), err))
			return false;
	if (check->put->missing)
		for (size_t i = 0; i < check->missing.count; i++)
			strings_add(check->put->missing, check->missing.items[i]);
	if (check->missing.count)
		return error_raise(err, ERROR_NOT_FOUND, "%s %s is not in repository %s",
			index ? "manifest" : "blob", check->missing.items[0],
			check->put->repository);
	return true;
}

/* The media type without parameters; owned. NULL: the sender and the manifest differ. */
static char *media_type_of(const struct json *manifest, const char *given, struct error *err)
{
	const char *own = json_get_text(manifest, "mediaType", NULL);
	struct str rest = str_of(given ? given : ""), sent = str_trim(str_cut(&rest, ';'));

	if (sent.size && own && !str_equal_text(sent, own)) {
		error_raise(err, ERROR_INVALID,
			"the manifest is sent as \"%.*s\" and calls itself \"%s\"", str_args(sent),
			own);
		return NULL;
	}
	if (own || sent.size)
		return own ? memory_copy_text(own) : str_copy(sent);
	return memory_copy_text(content_is_index(manifest)
					? "application/vnd.oci.image.index.v1+json"
					: "application/vnd.oci.image.manifest.v1+json");
}

static struct json *image_document(const struct check *check, const char *name,
	const char *media_type, const struct json *manifest)
{
	struct cloud *cloud = check->content->cloud;
	const struct json *subject = json_get(manifest, "subject");
	const char *artifact = json_get_text(manifest, "artifactType",
		json_get_text(json_get(manifest, "config"), "mediaType", NULL));
	int64_t size = (int64_t)check->put->bytes.size;

	return json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(check->put->repository), "imageDigest", json_text_new(name),
		"imagePushedAt", json_real_new((double)clock_now(cloud->clock) / 1000),
		"imageManifestMediaType", json_text_new(media_type), "artifactMediaType",
		artifact ? json_text_new(artifact) : NULL, "subjectManifestDigest",
		subject ? json_text_new(json_get_text(subject, "digest", "")) : NULL, "_size",
		json_int_new(size), "_annotations", json_copy(json_get(manifest, "annotations")),
		"imageSizeInBytes", json_int_new(check->total + size), "_blobs",
		json_keep(check->blobs), NULL);
}

/* Some tags of a repository may be left out of its rule ("…_WITH_EXCLUSION"). */
static bool is_immutable(const struct json *repository, const char *tag)
{
	const char *mutability = json_get_text(repository, "imageTagMutability", "MUTABLE");
	const struct json *filters = json_get(repository, "imageTagMutabilityExclusionFilters");
	bool excluded = false;

	for (size_t i = 0; !excluded && i < json_count(filters); i++)
		excluded = text_matches(tag, json_get_text(json_at(filters, i), "filter", ""));
	return text_starts_with(mutability, "IMMUTABLE") != excluded;
}

static bool put_tag(struct content *content, const struct manifest_put *put, const char *name,
	struct error *err)
{
	scoped(text_free) char *key = memory_format("%s:%s", put->repository, put->tag);
	const struct json *old = store_get(content->cloud->store, "ecr.tag", key);

	if (old && is_immutable(content_repository(content, put->repository), put->tag))
		return error_raise(err, ERROR_CONFLICT,
			"The image tag '%s' already exists in the '%s' repository and cannot be "
			"overwritten because the repository is immutable.",
			put->tag, put->repository);
	if (text_equal(json_get_text(old, "digest", ""), name))
		return true;
	return store_put(content->cloud->store, "ecr.tag", key,
		json_object_of("digest", json_text_new(name), NULL), err);
}

static bool keep_bytes(struct content *content, struct str bytes, const char *name,
	struct error *err)
{
	scoped(new_blob_discard) struct new_blob blob = {0};

	return new_blob_create(content, NULL, &blob, err) &&
	       new_blob_append(&blob, bytes.data, bytes.size, err) &&
	       new_blob_finish(content, &blob, NULL, name, err);
}

bool content_put_manifest(struct content *content, const struct manifest_put *put,
	char out_name[DIGEST_NAME_SIZE], struct error *err)
{
	scoped(store_rollback) struct store *open = content->cloud->store;
	scoped(check_free) struct check check = {content, put, .blobs = json_array_new()};
	scoped(json_free) struct json *manifest = NULL;
	scoped(text_free) char *key = NULL, *type = NULL;
	char name[DIGEST_NAME_SIZE];

	if (!json_parse(put->bytes, "the manifest",
		    &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &manifest, err) ||
		!check_references(&check, manifest, err) ||
		!(type = media_type_of(manifest, put->media_type, err)))
		return false;
	digest_name_of(put->kind, put->bytes, name);
	key = content_key(put->repository, name);
	if (!keep_bytes(content, put->bytes, name, err) || !store_begin(open, err))
		return false;
	if (!store_get(open, "ecr.image", key) &&
		!store_put(open, "ecr.image", key, image_document(&check, name, type, manifest),
			err))
		return false;
	if (put->tag && !put_tag(content, put, name, err))
		return false;
	if (!store_commit(open, err))
		return false;
	memcpy(out_name, name, sizeof(name));
	return true;
}
