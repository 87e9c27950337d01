#include "base/file.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/registry_internal.h"

#include <fcntl.h>
#include <stdlib.h>

enum { TAGS_PAGE = 1000 };

/* "bytes=2-5", "bytes=2-", "bytes=-3" of size bytes; false when it is no single range. */
static bool parse_range(const char *header, int64_t size, int64_t *out_from, int64_t *out_count)
{
	struct str last = str_of(header), first;
	int64_t from, to = size - 1;

	if (!str_starts_with(last, "bytes="))
		return false;
	last = (struct str){last.data + 6, last.size - 6};
	first = str_cut(&last, '-');
	if (!first.size) {
		if (!str_to_int(last, &from) || from <= 0)
			return false;
		from = from > size ? 0 : size - from;
	} else if (!str_to_int(first, &from) || (last.size && !str_to_int(last, &to))) {
		return false;
	}
	if (to >= size)
		to = size - 1;
	*out_from = from;
	*out_count = to - from + 1;
	return from >= 0 && from < size && to >= from;
}

static void send_blob(struct registry_call *call, const char *path, int64_t size)
{
	const char *range = http_exchange_header(call->exchange, "Range");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t from = 0, count = size;

	if (fd < 0) {
		registry_fail(call->exchange, 500, "UNKNOWN", "the blob cannot be opened");
		return;
	}
	if (range && !parse_range(range, size, &from, &count)) {
		scoped(text_free) char *whole = memory_format("bytes */%lld", (long long)size);

		descriptor_close(&fd);
		http_answer_header(call->exchange, "Content-Range", whole);
		http_answer(call->exchange, 416, NULL, (struct str){0});
		return;
	}
	if (range) {
		scoped(text_free) char *part = memory_format("bytes %lld-%lld/%lld",
			(long long)from, (long long)(from + count - 1), (long long)size);

		http_answer_header(call->exchange, "Content-Range", part);
	}
	http_answer_file(call->exchange, range ? 206 : 200, "application/octet-stream", fd, from,
		count);
}

void registry_blob(struct registry_call *call)
{
	struct content *content = call->api->cloud->content;
	scoped(text_free) char *path = NULL;
	struct error err = {0};
	struct digest digest;
	int64_t size;

	if (text_equal(call->method, "DELETE")) {
		registry_fail(call->exchange, 405, "UNSUPPORTED",
			"blobs go by themselves when no image needs them");
		return;
	}
	if (!digest_parse(str_of(call->reference), &digest)) {
		registry_fail(call->exchange, 400, "DIGEST_INVALID", "\"%.100s\" is no digest",
			call->reference);
		return;
	}
	if (!content_has_blob(content, call->repository, &digest, &size) ||
		!content_blob_path(content, &digest, &path, &err)) {
		registry_fail(call->exchange, 404, "BLOB_UNKNOWN", "blob unknown to repository %s",
			call->repository);
		error_free(&err);
		return;
	}
	registry_answer_digest(call->exchange, &digest);
	http_answer_header(call->exchange, "Accept-Ranges", "bytes");
	if (text_equal(call->method, "HEAD"))
		http_answer_head(call->exchange, 200, "application/octet-stream", size);
	else
		send_blob(call, path, size);
}

static void put_manifest(struct registry_call *call)
{
	struct str body = http_exchange_body(call->exchange);
	bool by_digest = strchr(call->reference, ':') != NULL;
	struct content *content = call->api->cloud->content;
	struct digest digest = digest_of_str(body), wanted;
	struct error err = {0};

	if (by_digest && (!digest_parse(str_of(call->reference), &wanted) ||
				 !digest_equal(&digest, &wanted))) {
		registry_fail(call->exchange, 400, "DIGEST_INVALID",
			"the manifest's digest is not %.100s", call->reference);
		return;
	}
	if (!by_digest && !content_tag_valid(str_of(call->reference))) {
		registry_fail(call->exchange, 400, "TAG_INVALID", "invalid tag");
		return;
	}
	if (body.size > MANIFEST_LIMIT) {
		registry_fail(call->exchange, 413, "SIZE_INVALID", "manifests end at %d bytes",
			MANIFEST_LIMIT);
		return;
	}
	if (!content_put_manifest(content, call->repository, by_digest ? NULL : call->reference,
		    http_exchange_header(call->exchange, "Content-Type"), body, &digest, &err)) {
		registry_fail_error(call->exchange, &err);
		return;
	}
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(&digest, text);
	scoped(text_free) char *location =
		memory_format("/v2/%s/manifests/%s", call->repository, text);
	const struct json *image = content_image(content, call->repository, text);
	const char *subject = json_get_text(image, "subjectManifestDigest", NULL);

	log_trace("registry", "%s: manifest %s as %s", call->repository, text, call->reference);
	http_answer_header(call->exchange, "Location", location);
	if (subject)
		http_answer_header(call->exchange, "OCI-Subject", subject);
	registry_answer_digest(call->exchange, &digest);
	http_answer(call->exchange, 201, NULL, (struct str){0});
}

static void delete_manifest(struct registry_call *call, const struct json *image)
{
	struct content *content = call->api->cloud->content;
	struct error err = {0};
	bool ok = strchr(call->reference, ':')
			  ? content_remove_image(content, call->repository,
				    json_get_text(image, "imageDigest", ""), &err)
			  : content_remove_tag(content, call->repository, call->reference, &err);

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
	const char *type = json_get_text(image, "imageManifestMediaType", "");
	scoped(buf_free) struct buf bytes = {0};
	struct error err = {0};
	struct digest digest;

	if (!digest_parse(str_of(json_get_text(image, "imageDigest", "")), &digest) ||
		!content_read_manifest(call->api->cloud->content, &digest, &bytes, &err)) {
		registry_fail_error(call->exchange, &err);
		return;
	}
	registry_answer_digest(call->exchange, &digest);
	if (text_equal(call->method, "HEAD"))
		http_answer_head(call->exchange, 200, type, (int64_t)bytes.size);
	else
		http_answer_buf(call->exchange, 200, type, &bytes);
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

void registry_tags(struct registry_call *call)
{
	const char *limit = http_exchange_query(call->exchange, "n"),
		   *after = http_exchange_query(call->exchange, "last");
	scoped(strings_free) struct strings tags = {0};
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	int64_t most = TAGS_PAGE, shown = 0;
	const char *last = NULL;

	if (limit && (!str_to_int(str_of(limit), &most) || most < 0))
		most = TAGS_PAGE;
	content_tags(call->api->cloud->content, call->repository, NULL, &tags);
	json_object_begin(&w);
	json_put_text(&w, "name", call->repository);
	json_key(&w, "tags");
	json_array_begin(&w);
	for (size_t i = 0; i < tags.count; i++) {
		if (after && strcmp(tags.items[i], after) <= 0)
			continue;
		if (shown++ >= most)
			break;
		last = tags.items[i];
		json_write_text(&w, last);
	}
	json_array_end(&w);
	json_object_end(&w);
	if (shown > most && last) {
		scoped(text_free) char *link = memory_format("</v2/%s/tags/list?n=%lld&last=%s>; "
							     "rel=\"next\"",
			call->repository, (long long)most, last);

		http_answer_header(call->exchange, "Link", link);
	}
	http_answer_buf(call->exchange, 200, "application/json", &body);
}

struct referrers {
	struct json_writer *w;
	const char *subject, *artifact_type;
};

static bool add_referrer(void *context, const char *digest, const struct json *image)
{
	struct referrers *list = context;
	const char *type = json_get_text(image, "artifactMediaType", NULL);
	const struct json *annotations = json_get(image, "_annotations");

	if (!text_equal(json_get_text(image, "subjectManifestDigest", NULL), list->subject) ||
		(list->artifact_type && !text_equal(type, list->artifact_type)))
		return true;
	json_object_begin(list->w);
	json_put_text(list->w, "mediaType", json_get_text(image, "imageManifestMediaType", ""));
	json_put_text(list->w, "digest", digest);
	json_put_int(list->w, "size", json_get_int(image, "_size", 0));
	if (type)
		json_put_text(list->w, "artifactType", type);
	if (annotations)
		json_put_value(list->w, "annotations", annotations);
	json_object_end(list->w);
	return true;
}

void registry_referrers(struct registry_call *call)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	struct referrers list = {&w, call->reference,
		http_exchange_query(call->exchange, "artifactType")};
	struct digest digest;

	if (!digest_parse(str_of(call->reference), &digest)) {
		registry_fail(call->exchange, 400, "DIGEST_INVALID", "\"%.100s\" is no digest",
			call->reference);
		return;
	}
	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", "application/vnd.oci.image.index.v1+json");
	json_key(&w, "manifests");
	json_array_begin(&w);
	content_each_image(call->api->cloud->content, call->repository, add_referrer, &list);
	json_array_end(&w);
	json_object_end(&w);
	if (list.artifact_type)
		http_answer_header(call->exchange, "OCI-Filters-Applied", "artifactType");
	http_answer_buf(call->exchange, 200, "application/vnd.oci.image.index.v1+json", &body);
}
