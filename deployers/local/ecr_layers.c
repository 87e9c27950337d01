/*
 * ECR's own way to upload a layer, beside /v2/: InitiateLayerUpload, parts in base64, Complete. An
 * upload of one is an upload of the other (uploads.h).
 */
#include "deployers/local/auth.h"
#include "deployers/local/content.h"
#include "deployers/local/ecr_internal.h"
#include "deployers/local/input.h"
#include "deployers/local/uploads.h"

#include "base/memory.h"

enum { PART_SIZE = 10 << 20 };

bool ecr_answer_initiate_layer_upload(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	struct upload *upload = NULL;
	struct error err = {0};

	if (!repository)
		return false;
	if (!uploads_start(cloud->uploads, repository, DIGEST_SHA256, true, &upload, &err))
		return refuse_error(refusal, &err);
	*out_output = json_object_of("uploadId", json_text_new(upload_id(upload)), "partSize",
		json_int_new(PART_SIZE), NULL);
	return true;
}

static struct upload *upload_of(struct cloud *cloud, const struct json *input,
	const char *repository, struct refusal *refusal)
{
	const char *id = input_text(input, "uploadId", ECR_INVALID, refusal);
	struct upload *upload = id ? uploads_find(cloud->uploads, repository, id) : NULL;

	if (id && (!upload || upload_is_busy(upload))) {
		refuse(refusal, 400, "UploadNotFoundException",
			"The upload with id '%s' in the repository with name '%s' in registry with "
			"id '%s' was not found",
			id, repository, cloud->account);
		return NULL;
	}
	return upload;
}

static bool take_part(struct upload *upload, int64_t first, int64_t last, struct str bytes,
	struct refusal *refusal)
{
	struct error err = {0};

	if (first != upload_size(upload))
		return refuse(refusal, 400, "InvalidLayerPartException",
			"First byte of the layer part is %lld instead of %lld", (long long)first,
			(long long)upload_size(upload));
	if (bytes.size > PART_SIZE || last - first + 1 != (int64_t)bytes.size)
		return refuse(refusal, 400, "InvalidLayerPartException",
			"The layer part has %zu bytes; it says %lld, and at most %d are taken",
			bytes.size, (long long)(last - first + 1), PART_SIZE);
	return upload_keep_now(upload, bytes, &err) || refuse_error(refusal, &err);
}

bool ecr_answer_upload_layer_part(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	struct upload *upload = repository ? upload_of(cloud, input, repository, refusal) : NULL;
	scoped(buf_free) struct buf bytes = {0};
	int64_t first, last;

	if (!upload ||
		!input_int(input, "partFirstByte", 0, INT64_MAX, -1, ECR_INVALID, &first,
			refusal) ||
		!input_int(input, "partLastByte", 0, INT64_MAX - 1, -1, ECR_INVALID, &last,
			refusal))
		return false;
	if (first < 0 || last < 0 ||
		!base64_decode(json_str(json_get(input, "layerPartBlob")), &bytes))
		return refuse(refusal, 400, ECR_INVALID,
			"Invalid parameter at 'layerPartBlob', 'partFirstByte' or 'partLastByte'");
	if (!take_part(upload, first, last, buf_str(&bytes), refusal))
		return false;
	*out_output = json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), "uploadId", json_text_new(upload_id(upload)),
		"lastByteReceived", json_int_new(last), NULL);
	return true;
}

/* The digest to check: the first of those given that we know. */
static const char *digest_of_input(const struct json *input, enum digest_kind *out_kind)
{
	const struct json *digests = json_get(input, "layerDigests");

	for (size_t i = 0; i < json_count(digests); i++)
		if (digest_name_valid(json_str(json_at(digests, i)), out_kind))
			return json_text(json_at(digests, i), "");
	return NULL;
}

static bool complete(struct upload **upload, const char *wanted, char out_name[DIGEST_NAME_SIZE],
	struct refusal *refusal)
{
	struct error err = {0};

	if (upload_keep_now(*upload, (struct str){0}, &err) &&
		upload_commit(upload, wanted, out_name, &err))
		return true;
	if (err.kind != ERROR_INVALID)
		return refuse_error(refusal, &err);
	refuse(refusal, 400, "InvalidLayerException", "The layer digest does not match: %s",
		err.message);
	error_free(&err);
	return false;
}

bool ecr_answer_complete_layer_upload(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	struct upload *upload = repository ? upload_of(cloud, input, repository, refusal) : NULL;
	enum digest_kind kind = DIGEST_SHA256;
	const char *wanted = digest_of_input(input, &kind);
	char name[DIGEST_NAME_SIZE], id[UUID_TEXT_SIZE];

	if (!upload)
		return false;
	if (!wanted)
		return refuse(refusal, 400, ECR_INVALID, "Invalid parameter at 'layerDigests'");
	if (!upload_size(upload))
		return refuse(refusal, 400, "EmptyUploadException",
			"The upload with id '%s' has no parts", upload_id(upload));
	if (content_has_blob(cloud->content, repository, wanted, NULL)) {
		upload_drop(&upload);
		return refuse(refusal, 400, "LayerAlreadyExistsException",
			"Layer with digest '%s' already exists in the repository with name '%s' in "
			"registry with id '%s'",
			wanted, repository, cloud->account);
	}
	memcpy(id, upload_id(upload), sizeof(id));
	upload_expect(upload, kind);
	if (!complete(&upload, wanted, name, refusal))
		return false;
	*out_output = json_object_of("registryId", json_text_new(cloud->account), "repositoryName",
		json_text_new(repository), "uploadId", json_text_new(id), "layerDigest",
		json_text_new(name), NULL);
	return true;
}

bool ecr_answer_get_download_url_for_layer(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *repository = ecr_repository_of(cloud, input, refusal);
	const char *name =
		repository ? input_text(input, "layerDigest", ECR_INVALID, refusal) : NULL;
	enum digest_kind kind;

	if (!name)
		return false;
	if (!digest_name_valid(str_of(name), &kind) ||
		!content_has_blob(cloud->content, repository, name, NULL))
		return refuse(refusal, 400, "LayersNotFoundException",
			"The layer with digest '%s' does not exist in the repository with name "
			"'%s' in the registry with id '%s'",
			name, repository, cloud->account);
	scoped(text_free) char *path = memory_format("/v2/%s/blobs/%s", repository, name),
			       *query = auth_link(cloud->auth, path);

	*out_output = json_object_of("downloadUrl",
		json_text_format("http://%s:%d%s?%s", cloud->host, cloud->port, path, query),
		"layerDigest", json_text_new(name), NULL);
	return true;
}
