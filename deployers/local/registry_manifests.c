#include "base/log.h"
#include "base/memory.h"
#include "builders/registry/reference.h"
#include "deployers/local/registry_internal.h"
#include "deployers/local/scan.h"

void registry_manifest_begin(struct registry_call *call)
{
	const char *length = http_exchange_header(call->exchange, "Content-Length");
	int64_t size = 0;

	if (length && str_to_int(str_of(length), &size) && size > MANIFEST_LIMIT)
		registry_fail(call->exchange, 413, "SIZE_INVALID", "manifests end at %d bytes",
			MANIFEST_LIMIT);
}

/* Whether the reference of a PUT makes sense; answers itself when it does not. */
static bool check_reference(struct registry_call *call, enum digest_kind *out_kind)
{
	struct str body = http_exchange_body(call->exchange);
	char name[DIGEST_NAME_SIZE];

	*out_kind = DIGEST_SHA256;
	if (!strchr(call->reference, ':')) {
		if (reference_tag_valid(str_of(call->reference)))
			return true;
		registry_fail(call->exchange, 400, "TAG_INVALID", "invalid tag");
		return false;
	}
	if (digest_name_valid(str_of(call->reference), out_kind)) {
		digest_name_of(*out_kind, body, name);
		if (text_equal(name, call->reference))
			return true;
	}
	registry_fail(call->exchange, 400, "DIGEST_INVALID", "the manifest's digest is not %.140s",
		call->reference);
	return false;
}

static void answer_put(struct registry_call *call, const char *name)
{
	scoped(text_free) char *location =
		memory_format("/v2/%s/manifests/%s", call->repository, name);
	const struct json *image = content_image(call->api->cloud->content, call->repository, name);
	const char *subject = json_get_text(image, "subjectManifestDigest", NULL);

	log_trace("registry", "%s: manifest %s as %s", call->repository, name, call->reference);
	http_answer_header(call->exchange, "Location", location);
	if (subject)
		http_answer_header(call->exchange, "OCI-Subject", subject);
	registry_answer_digest(call->exchange, name);
	http_answer(call->exchange, 201, NULL, (struct str){0});
}

static void put_manifest(struct registry_call *call)
{
	scoped(strings_free) struct strings missing = {0};
	struct manifest_put put = {
		.repository = call->repository,
		.tag = strchr(call->reference, ':') ? NULL : call->reference,
		.media_type = http_exchange_header(call->exchange, "Content-Type"),
		.bytes = http_exchange_body(call->exchange),
		.sparse = true,
		.missing = &missing,
	};
	char name[DIGEST_NAME_SIZE];
	struct error err = {0};

	if (!check_reference(call, &put.kind))
		return;
	if (put.bytes.size > MANIFEST_LIMIT) {
		registry_fail(call->exchange, 413, "SIZE_INVALID", "manifests end at %d bytes",
			MANIFEST_LIMIT);
		return;
	}
	if (content_put_manifest(call->api->cloud->content, &put, name, &err)) {
		scan_pushed(call->api->cloud, call->repository, name);
		answer_put(call, name);
	} else if (missing.count) {
		registry_answer_missing(call->exchange, &missing, call->repository);
	} else {
		registry_fail_error(call->exchange, &err);
	}
	error_free(&err);
}

/* A tag goes by itself; an image goes with its tags. */
static void delete_manifest(struct registry_call *call, const struct json *image)
{
	struct content *content = call->api->cloud->content;
	scoped(text_free) char *name = memory_copy_text(json_get_text(image, "imageDigest", ""));
	struct error err = {0};
	bool ok = strchr(call->reference, ':')
			  ? content_remove_image(content, call->repository, name, &err)
			  : content_untag(content, call->repository, call->reference, &err);

	if (ok)
		http_answer(call->exchange, 202, NULL, (struct str){0});
	else if (err.kind == ERROR_CONFLICT)
		registry_fail(call->exchange, 409, "DENIED", "%s", err.message);
	else
		registry_fail(call->exchange, 500, "UNKNOWN", "%s", err.message);
	error_free(&err);
}

static void get_manifest(struct registry_call *call, const struct json *image)
{
	const char *type = json_get_text(image, "imageManifestMediaType", ""),
		   *name = json_get_text(image, "imageDigest", "");
	scoped(buf_free) struct buf bytes = {0};
	struct error err = {0};

	registry_answer_digest(call->exchange, name);
	if (text_equal(call->method, "HEAD"))
		http_answer_head(call->exchange, 200, type, json_get_int(image, "_size", 0));
	else if (content_read_manifest(call->api->cloud->content, name, &bytes, &err))
		http_answer_buf(call->exchange, 200, type, &bytes);
	else
		registry_fail_error(call->exchange, &err);
}

void registry_manifest(struct registry_call *call)
{
	if (text_equal(call->method, "PUT")) {
		put_manifest(call);
		return;
	}
	const struct json *image =
		content_image(call->api->cloud->content, call->repository, call->reference);

	if (!image)
		registry_fail(call->exchange, 404, "MANIFEST_UNKNOWN",
			"Requested image not found: %s in %s", call->reference, call->repository);
	else if (text_equal(call->method, "DELETE"))
		delete_manifest(call, image);
	else
		get_manifest(call, image);
}
