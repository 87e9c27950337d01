#include "base/file.h"
#include "base/memory.h"
#include "deployers/local/blob_sender.h"
#include "deployers/local/registry_internal.h"

#include <fcntl.h>

enum range {
	RANGE_NONE, /* or one that RFC 9110 lets us ignore: the whole is sent */
	RANGE_PART,
	RANGE_BEYOND,
};

/* "2-5", "2-", "-3" of size bytes. */
static enum range cut_range(struct str text, int64_t size, int64_t *out_from, int64_t *out_count)
{
	struct str last = text, first = str_cut(&last, '-');
	int64_t from = 0, to = INT64_MAX;

	if (!last.data)
		return RANGE_NONE;
	if (!first.size) {
		if (!str_to_int(last, &from) || from < 0)
			return RANGE_NONE;
		if (!from)
			return RANGE_BEYOND;
		from = from > size ? 0 : size - from;
	} else if (!str_to_int(first, &from) || from < 0 ||
		   (last.size && (!str_to_int(last, &to) || to < from))) {
		return RANGE_NONE;
	}
	if (from >= size)
		return RANGE_BEYOND;
	if (to >= size)
		to = size - 1;
	*out_from = from;
	*out_count = to - from + 1;
	return RANGE_PART;
}

/* What the request wants of a blob. Several ranges at once, other units and conditions that we give
 * no validator for mean the whole. */
static enum range range_of(struct http_exchange *exchange, int64_t size, int64_t *out_from,
	int64_t *out_count)
{
	struct str range = str_trim(str_of(http_exchange_header(exchange, "Range")));

	if (!str_starts_with(range, "bytes=") || memchr(range.data, ',', range.size) ||
		http_exchange_header(exchange, "If-Range"))
		return RANGE_NONE;
	return cut_range(str_trim((struct str){range.data + 6, range.size - 6}), size, out_from,
		out_count);
}

static void send_blob(struct registry_call *call, const char *path, int64_t size)
{
	int64_t from = 0, count = size;
	enum range range = range_of(call->exchange, size, &from, &count);
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	scoped(text_free) char *shown = NULL;

	if (fd < 0) {
		registry_fail(call->exchange, 500, "UNKNOWN", "the blob cannot be opened");
		return;
	}
	if (range == RANGE_BEYOND) {
		shown = memory_format("bytes */%lld", (long long)size);
		http_answer_header(call->exchange, "Content-Range", shown);
		registry_fail(call->exchange, 416, "SIZE_INVALID", "the blob has %lld bytes",
			(long long)size);
		return;
	}
	if (range == RANGE_PART) {
		shown = memory_format("bytes %lld-%lld/%lld", (long long)from,
			(long long)(from + count - 1), (long long)size);
		http_answer_header(call->exchange, "Content-Range", shown);
	}
	http_answer_file_by(call->exchange, range == RANGE_PART ? 206 : 200,
		"application/octet-stream", fd, from, count, senders_http(call->api->senders));
	fd = -1;
}

static void delete_blob(struct registry_call *call)
{
	struct error err = {0};

	if (content_unlink_blob(call->api->cloud->content, call->repository, call->reference, &err))
		http_answer(call->exchange, 202, NULL, (struct str){0});
	else if (err.kind == ERROR_NOT_FOUND)
		registry_fail(call->exchange, 404, "BLOB_UNKNOWN", "%s", err.message);
	else if (err.kind == ERROR_CONFLICT)
		registry_fail(call->exchange, 409, "DENIED", "%s", err.message);
	else
		registry_fail(call->exchange, 500, "UNKNOWN", "%s", err.message);
	error_free(&err);
}

void registry_blob(struct registry_call *call)
{
	struct content *content = call->api->cloud->content;
	scoped(text_free) char *path = NULL;
	struct error err = {0};
	int64_t size;

	if (!registry_is_digest(call))
		return;
	if (text_equal(call->method, "DELETE")) {
		delete_blob(call);
		return;
	}
	if (!content_has_blob(content, call->repository, call->reference, &size) ||
		!content_blob_file(content, call->reference, &path, &err)) {
		registry_fail(call->exchange, 404, "BLOB_UNKNOWN", "blob unknown to repository %s",
			call->repository);
		error_free(&err);
		return;
	}
	registry_answer_digest(call->exchange, call->reference);
	http_answer_header(call->exchange, "Accept-Ranges", "bytes");
	if (text_equal(call->method, "HEAD")) {
		content_touch_blob(content, call->repository, call->reference);
		http_answer_head(call->exchange, 200, "application/octet-stream", size);
	} else {
		send_blob(call, path, size);
	}
}
