#include "builders/registry/reference.h"
#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/scan.h"
#include "deployers/local/store.h"

#include "base/memory.h"

enum { PAGE = 100, PAGE_MAX = 1000, BATCH_MAX = 100 };

/* Refuses what content.h could not do. */
static bool refuse_content(struct refusal *refusal, struct error *err, const char *not_found,
	const char *conflict)
{
	const char *message = err->message ? err->message : "";

	if (err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT)
		refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'ImageManifest' failed to "
			"satisfy constraint: '%s'",
			message);
	else if (err->kind == ERROR_NOT_FOUND)
		refuse(refusal, 400, not_found, "%s", message);
	else if (err->kind == ERROR_CONFLICT)
		refuse(refusal, 400, conflict, "%s", message);
	else
		return refuse_error(refusal, err);
	error_free(err);
	return false;
}

struct collector {
	struct cloud *cloud;
	const char *repository, *tag_status;
	struct json *all;
};

const struct json *ecr_find_image(struct cloud *cloud, const char *repository,
	const struct json *id, const char **out_code, const char **out_reason)
{
	const char *digest = json_get_text(id, "imageDigest", NULL),
		   *tag = json_get_text(id, "imageTag", NULL);
	const struct json *image =
		digest || tag ? content_image(cloud->content, repository, digest ? digest : tag)
			      : NULL;

	if (!digest && !tag) {
		*out_code = "MissingDigestAndTag";
		*out_reason = "Image ID must have a digest or a tag";
	} else if (!image) {
		*out_code = "ImageNotFound";
		*out_reason = "Requested image not found";
	} else if (digest && tag && content_image(cloud->content, repository, tag) != image) {
		*out_code = "ImageTagDoesNotMatchDigest";
		*out_reason = "Image tag does not refer to the digest";
		image = NULL;
	}
	return image;
}

const struct json *ecr_image_of(struct cloud *cloud, const char *repository, const struct json *id,
	struct refusal *refusal)
{
	const char *code, *reason;
	const struct json *image = ecr_find_image(cloud, repository, id, &code, &reason);

	if (!image)
		refuse(refusal, 400, "ImageNotFoundException",
			"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist "
			"within the repository with name '%s' in the registry with id '%s'",
			json_get_text(id, "imageDigest", "null"),
			json_get_text(id, "imageTag", "null"), repository, cloud->account);
	return image;
}

static struct json *failure(const struct json *id, const char *code, const char *reason)
{
	return json_object_of("imageId", json_copy(id), "failureCode", json_text_new(code),
		"failureReason", json_text_new(reason), NULL);
}

static const struct json *image_ids(const struct json *input, struct refusal *refusal)
{
	const struct json *ids = json_get(input, "imageIds");

	if (json_count(ids) >= 1 && json_count(ids) <= BATCH_MAX && json_is_array(ids))
		return ids;
	refuse(refusal, 400, ECR_INVALID,
		"Invalid parameter at 'imageIds' failed to satisfy constraint: '1 to %d items'",
		BATCH_MAX);
	return NULL;
}

static struct json *shown_image(struct cloud *cloud, const char *repository, const char *tag,
	const struct json *image, struct error *err)
{
	const char *digest_text = json_get_text(image, "imageDigest", "");
	scoped(buf_free) struct buf manifest = {0};

	if (!content_read_manifest(cloud->content, digest_text, &manifest, err))
		return NULL;
	return json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), "imageId",
		json_object_of("imageDigest", json_text_new(digest_text), "imageTag",
			tag ? json_text_new(tag) : NULL, NULL),
		"imageManifest", json_str_new(buf_str(&manifest)), "imageManifestMediaType",
		json_text_new(json_get_text(image, "imageManifestMediaType", "")), NULL);
}

bool ecr_answer_batch_get_image(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *ids = repository ? image_ids(input, refusal) : NULL;
	scoped(json_free) struct json *images = json_array_new(), *failures = json_array_new();
	struct error err = {0};

	if (!ids)
		return false;
	for (size_t i = 0; i < json_count(ids); i++) {
		const char *code = "", *reason = "";
		const struct json *id = json_at(ids, i);
		const struct json *image = ecr_find_image(cloud, repository, id, &code, &reason);
		struct json *shown;

		if (!image) {
			json_append(failures, failure(id, code, reason));
			continue;
		}
		shown = shown_image(cloud, repository, json_get_text(id, "imageTag", NULL), image,
			&err);
		if (!shown)
			return refuse_error(refusal, &err);
		json_append(images, shown);
	}
	*out_output =
		json_object_of("images", json_keep(images), "failures", json_keep(failures), NULL);
	return true;
}

static struct json *tag_array(struct cloud *cloud, const char *repository, const char *digest)
{
	scoped(strings_free) struct strings tags = {0};
	struct json *array = json_array_new();

	content_tags(cloud->content, repository, digest, &tags);
	for (size_t i = 0; i < tags.count; i++)
		json_append(array, json_text_new(tags.items[i]));
	return array;
}

/* The detail of an image, NULL when the filter leaves it out. */
static struct json *image_detail(const struct collector *collector, const struct json *image)
{
	struct json *tags = tag_array(collector->cloud, collector->repository,
		json_get_text(image, "imageDigest", ""));
	bool tagged = json_count(tags) > 0;
	struct json *detail;

	if ((text_equal(collector->tag_status, "TAGGED") && !tagged) ||
		(text_equal(collector->tag_status, "UNTAGGED") && tagged)) {
		json_free(&tags);
		return NULL;
	}
	detail = store_public(image);
	if (tagged)
		json_set(detail, "imageTags", tags);
	else
		json_free(&tags);
	json_set_text(detail, "imageStatus", "ACTIVE");
	return detail;
}

static bool add_detail(void *context, const char *digest, const struct json *image)
{
	struct collector *collector = context;
	struct json *detail = image_detail(collector, image);

	(void)digest;
	if (detail)
		json_append(collector->all, detail);
	return true;
}

/* One page of what add makes of the images that the input asks for: those it names, else all. */
static bool answer_page(struct cloud *cloud, const struct json *input,
	bool (*add)(void *context, const char *digest, const struct json *image),
	const char *member, struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *ids = json_get(input, "imageIds");
	scoped(json_free) struct json *all = json_array_new();
	struct collector collector = {cloud, repository,
		json_get_text(json_get(input, "filter"), "tagStatus", "ANY"), all};
	size_t from;
	int64_t limit;

	if (!repository || !input_page(input, "nextToken", ECR_INVALID, &from, refusal) ||
		!input_int(input, "maxResults", 1, PAGE_MAX, PAGE, ECR_INVALID, &limit, refusal))
		return false;
	for (size_t i = 0; i < json_count(ids); i++) {
		const struct json *image =
			ecr_image_of(cloud, repository, json_at(ids, i), refusal);

		if (!image)
			return false;
		add(&collector, json_get_text(image, "imageDigest", ""), image);
	}
	if (!json_count(ids))
		content_each_image(cloud->content, repository, add, &collector);
	*out_output = json_object_new();
	output_page(*out_output, member, json_keep(all), from, (size_t)limit, "nextToken");
	return true;
}

bool ecr_answer_describe_images(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	return answer_page(cloud, input, add_detail, "imageDetails", out_output, refusal);
}

static bool add_id(void *context, const char *digest, const struct json *image)
{
	struct collector *collector = context;
	scoped(json_free) struct json *detail = image_detail(collector, image);
	const struct json *tags = json_get(detail, "imageTags");

	for (size_t i = 0; i < json_count(tags); i++)
		json_append(collector->all, json_object_of("imageDigest", json_text_new(digest),
						    "imageTag", json_copy(json_at(tags, i)), NULL));
	if (detail && !json_count(tags))
		json_append(collector->all,
			json_object_of("imageDigest", json_text_new(digest), NULL));
	return true;
}

bool ecr_answer_list_images(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	return answer_page(cloud, input, add_id, "imageIds", out_output, refusal);
}

/* What AWS refuses that the registry's own PUT takes: the same image under the same tag again. */
static bool is_new_image(struct cloud *cloud, const char *repository, const char *tag,
	const char *digest, struct refusal *refusal)
{
	const struct json *same = content_image(cloud->content, repository, digest);
	const struct json *tagged = tag ? content_image(cloud->content, repository, tag) : same;

	if (!same || tagged != same)
		return true;
	return refuse(refusal, 400, "ImageAlreadyExistsException",
		"Image with digest '%s' and tag '%s' already exists in the repository with name "
		"'%s' in registry with id '%s'",
		digest, tag ? tag : "null", repository, cloud->account);
}

bool ecr_answer_put_image(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const char *manifest =
		repository ? input_text(input, "imageManifest", ECR_INVALID, refusal) : NULL;
	const char *tag = json_get_text(input, "imageTag", NULL),
		   *wanted = json_get_text(input, "imageDigest", NULL);
	struct manifest_put put = {.repository = repository, .tag = tag};
	struct error err = {0};
	char text[DIGEST_NAME_SIZE];

	if (!manifest)
		return false;
	if (wanted && text_starts_with(wanted, "sha512:"))
		put.kind = DIGEST_SHA512;
	put.bytes = str_of(manifest);
	put.media_type = json_get_text(input, "imageManifestMediaType", NULL);
	digest_name_of(put.kind, put.bytes, text);
	if (wanted && !text_equal(wanted, text))
		return refuse(refusal, 400, "ImageDigestDoesNotMatchException",
			"The image's digest is %s, not %s", text, wanted);
	if (tag && !reference_tag_valid(str_of(tag)))
		return refuse(refusal, 400, ECR_INVALID, "Invalid parameter at 'imageTag'");
	if (!is_new_image(cloud, repository, tag, text, refusal))
		return false;
	if (!content_put_manifest(cloud->content, &put, text, &err))
		return refuse_content(refusal, &err,
			strstr(manifest, "\"manifests\"") ? "ReferencedImagesNotFoundException"
							  : "LayersNotFoundException",
			"ImageTagAlreadyExistsException");
	scan_pushed(cloud, repository, text);
	struct json *shown = shown_image(cloud, repository, tag,
		content_image(cloud->content, repository, text), &err);

	if (!shown)
		return refuse_error(refusal, &err);
	*out_output = json_object_of("image", shown, NULL);
	return true;
}

bool ecr_answer_batch_delete_image(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *ids = repository ? image_ids(input, refusal) : NULL;
	scoped(json_free) struct json *gone = json_array_new(), *failures = json_array_new();
	struct error err = {0};

	if (!ids)
		return false;
	for (size_t i = 0; i < json_count(ids); i++) {
		const char *code = "", *reason = "";
		const struct json *id = json_at(ids, i);
		const struct json *image = ecr_find_image(cloud, repository, id, &code, &reason);
		const char *tag = json_get_text(id, "imageTag", NULL);
		scoped(text_free) char *digest =
			memory_copy_text(json_get_text(image, "imageDigest", NULL));
		bool ok = image &&
			  (tag ? content_remove_tag(cloud->content, repository, tag, &err)
			       : content_remove_image(cloud->content, repository, digest, &err));

		if (ok)
			json_append(gone,
				json_object_of("imageDigest", json_text_new(digest), "imageTag",
					tag ? json_text_new(tag) : NULL, NULL));
		else if (!image)
			json_append(failures, failure(id, code, reason));
		else if (err.kind == ERROR_CONFLICT)
			json_append(failures,
				failure(id, "ImageReferencedByManifestList", err.message));
		else
			return refuse_error(refusal, &err);
		error_free(&err);
	}
	*out_output =
		json_object_of("imageIds", json_keep(gone), "failures", json_keep(failures), NULL);
	return true;
}

bool ecr_answer_batch_check_layer_availability(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const struct json *digests = json_get(input, "layerDigests");

	if (!repository)
		return false;
	if (!json_is_array(digests) || json_count(digests) < 1 || json_count(digests) > BATCH_MAX)
		return refuse(refusal, 400, ECR_INVALID, "Invalid parameter at 'layerDigests'");
	struct json *layers = json_array_new(), *failures = json_array_new();

	for (size_t i = 0; i < json_count(digests); i++) {
		const char *text = json_text(json_at(digests, i), "");
		enum digest_kind kind;
		int64_t size = 0;
		bool there;

		if (!digest_name_valid(str_of(text), &kind)) {
			json_append(failures,
				json_object_of("layerDigest", json_text_new(text), "failureCode",
					json_text_new("InvalidLayerDigest"), "failureReason",
					json_text_new("Invalid layer digest"), NULL));
			continue;
		}
		there = content_has_blob(cloud->content, repository, text, &size);
		content_touch_blob(cloud->content, repository, text);
		json_append(layers,
			json_object_of("layerDigest", json_text_new(text), "layerAvailability",
				json_text_new(there ? "AVAILABLE" : "UNAVAILABLE"), "layerSize",
				there ? json_int_new(size) : NULL, NULL));
	}
	*out_output = json_object_of("layers", layers, "failures", failures, NULL);
	return true;
}
