/*
 * Blobs coming in.
 *
 *     POST uploads/              -> an upload with an id           registry_upload_start
 *     POST uploads/?digest=      -> the blob in one request        begin, start
 *     POST uploads/?mount=&from= -> a blob that is here already    mount
 *     PATCH uploads/<id>         -> more bytes                     begin, handle, patched
 *     PUT uploads/<id>?digest=   -> the last bytes and the name    begin, handle, put
 *
 * A request with a body is a transfer: the exchange's user from begin until its answer. Meanwhile
 * the upload is busy and a second request for it is refused. The answer waits until what arrived is
 * in the file and hashed (upload_settle), so an answered chunk survives kill -9.
 */
#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/content.h"
#include "deployers/local/registry_internal.h"
#include "deployers/local/uploads.h"

#include <stdlib.h>

struct transfer {
	struct registry_api *api;       /* borrowed */
	struct http_exchange *exchange; /* NULL: the client went away */
	struct upload *upload;
	bool single;  /* POST with ?digest=: the upload ends with it */
	bool waiting; /* for the upload to settle */
};

static struct upload *find(struct registry_call *call)
{
	struct upload *upload =
		uploads_find(call->api->cloud->uploads, call->repository, call->reference);

	if (!upload)
		registry_fail(call->exchange, 404, "BLOB_UPLOAD_UNKNOWN", "no upload \"%.100s\"",
			call->reference);
	return upload;
}

/* The kind of digest that the query's parameter names or begins with; SHA-256 without one. */
static enum digest_kind kind_wanted(struct http_exchange *exchange)
{
	const char *digest = http_exchange_query(exchange, "digest"),
		   *algorithm = http_exchange_query(exchange, "digest-algorithm");

	return (digest && text_starts_with(digest, "sha512:")) || text_equal(algorithm, "sha512")
		       ? DIGEST_SHA512
		       : DIGEST_SHA256;
}

static struct upload *upload_new(struct registry_call *call, bool named)
{
	struct upload *upload = NULL;
	struct error err = {0};

	if (uploads_start(call->api->cloud->uploads, call->repository, kind_wanted(call->exchange),
		    named, &upload, &err))
		return upload;
	if (err.kind == ERROR_LIMIT)
		registry_fail(call->exchange, 429, "TOOMANYREQUESTS", "%s", err.message);
	else
		registry_fail_error(call->exchange, &err);
	error_free(&err);
	return NULL;
}

/* "0-<last byte>"; nothing yet is said like one byte, as other registries do. */
static void answer_status(struct http_exchange *exchange, const struct upload *upload, int status)
{
	int64_t size = upload_size(upload);
	scoped(text_free) char *location = memory_format("/v2/%s/blobs/uploads/%s",
				       upload_repository(upload), upload_id(upload)),
			       *range = memory_format("0-%lld", (long long)(size ? size - 1 : 0));

	http_answer_header(exchange, "Location", location);
	http_answer_header(exchange, "Docker-Upload-UUID", upload_id(upload));
	http_answer_header(exchange, "Range", range);
	http_answer(exchange, status, NULL, (struct str){0});
}

static void answer_busy(struct http_exchange *exchange)
{
	registry_fail(exchange, 409, "BLOB_UPLOAD_INVALID",
		"another request is sending to this upload");
}

/*
 * A chunk says where it belongs: "<first>-<last>", which must follow what is there and be as long
 * as the body. Without Content-Range the body goes to the end, as long as it is.
 */
static bool in_order(struct http_exchange *exchange, const struct upload *upload)
{
	const char *range = http_exchange_header(exchange, "Content-Range"),
		   *length = http_exchange_header(exchange, "Content-Length");
	struct str last = str_trim(str_of(range)), first;
	int64_t from, to, size;

	if (!range)
		return true;
	if (str_starts_with(last, "bytes ")) {
		last.data += 6;
		last.size -= 6;
	}
	first = str_cut(&last, '-');
	if (!str_to_int(first, &from) || !str_to_int(last, &to) || from != upload_size(upload))
		return false;
	return !length || (str_to_int(str_of(length), &size) && size == to - from + 1);
}

static void go_on(void *context)
{
	struct transfer *transfer = context;

	http_exchange_continue(transfer->exchange);
}

static bool take_bytes(void *self, const void *bytes, size_t size, struct error *err)
{
	struct transfer *transfer = self;

	(void)err;
	upload_take(transfer->upload, bytes, size);
	if (upload_is_behind(transfer->upload)) {
		http_exchange_pause(transfer->exchange);
		upload_when_ready(transfer->upload, go_on, transfer);
	}
	return true;
}

static void use(struct registry_call *call, struct upload *upload, bool single,
	struct http_body_sink *sink)
{
	struct transfer *transfer = memory_new(sizeof(*transfer));

	*transfer = (struct transfer){call->api, call->exchange, upload, single, false};
	upload_set_busy(upload, true);
	/* Told before the bytes come: hashing another way would mean reading them again. */
	if (!upload_size(upload) && http_exchange_query(call->exchange, "digest"))
		upload_expect(upload, kind_wanted(call->exchange));
	http_exchange_set_user(call->exchange, transfer);
	*sink = (struct http_body_sink){take_bytes, transfer};
}

void registry_upload_begin(struct registry_call *call, struct http_body_sink *sink)
{
	bool single = text_equal(call->method, "POST");
	struct upload *upload = single ? upload_new(call, false) : find(call);

	if (!upload)
		return;
	if (upload_is_busy(upload))
		answer_busy(call->exchange);
	else if (!in_order(call->exchange, upload))
		answer_status(call->exchange, upload, 416);
	else
		use(call, upload, single, sink);
}

static void answer_created(struct http_exchange *exchange, const char *repository, const char *name)
{
	scoped(text_free) char *location = memory_format("/v2/%s/blobs/%s", repository, name);

	http_answer_header(exchange, "Location", location);
	registry_answer_digest(exchange, name);
	http_answer(exchange, 201, NULL, (struct str){0});
}

/* What was received could not be kept. */
static void answer_broken(struct transfer *transfer, const struct error *err)
{
	if (transfer->exchange)
		registry_fail(transfer->exchange, error_is_full(err) ? 507 : 500,
			"BLOB_UPLOAD_INVALID", "%s", err->message);
	upload_drop(&transfer->upload); /* which the error belongs to */
}

static void patched(void *context, const struct error *failed)
{
	struct transfer *transfer = context;

	if (transfer->exchange)
		http_exchange_set_user(transfer->exchange, NULL);
	if (failed) {
		answer_broken(transfer, failed);
	} else {
		upload_set_busy(transfer->upload, false);
		if (transfer->exchange)
			answer_status(transfer->exchange, transfer->upload, 202);
	}
	free(transfer);
}

/* Gives the blob its name; the upload is over either way. */
static void put(void *context, const struct error *failed)
{
	struct transfer *transfer = context;
	struct http_exchange *exchange = transfer->exchange;
	const char *wanted = exchange ? http_exchange_query(exchange, "digest") : NULL;
	scoped(text_free) char *repository = memory_copy_text(upload_repository(transfer->upload));
	char name[DIGEST_NAME_SIZE];
	struct error err = {0};

	if (exchange)
		http_exchange_set_user(exchange, NULL);
	if (failed) {
		answer_broken(transfer, failed);
	} else if (!exchange) {
		/* Nobody is told, so nothing needs to have happened: the client may go on. */
		upload_set_busy(transfer->upload, false);
		if (transfer->single)
			upload_drop(&transfer->upload);
	} else if (upload_commit(&transfer->upload, wanted, name, &err)) {
		log_trace("registry", "%s: blob %s", repository, name);
		answer_created(exchange, repository, name);
	} else if (err.kind == ERROR_INVALID) {
		registry_fail(exchange, 400, "DIGEST_INVALID", "%s", err.message);
	} else {
		registry_fail(exchange, error_is_full(&err) ? 507 : 500, "UNKNOWN", "%s",
			err.message);
	}
	error_free(&err);
	free(transfer);
}

/* The body came to its end without a digest to compare with: that upload is over. */
static void refuse_digest(struct transfer *transfer)
{
	upload_drop(&transfer->upload);
	registry_fail(transfer->exchange, 400, "DIGEST_INVALID",
		"the query must have digest=sha256:… or sha512:…");
	http_exchange_set_user(transfer->exchange, NULL);
	free(transfer);
}

static void settled(void *context, const struct error *failed)
{
	struct transfer *transfer = context;

	if (failed || !transfer->exchange) {
		put(transfer, failed);
		return;
	}
	/* Chunks came before the digest was known: it may be of another kind than we hashed. */
	upload_expect(transfer->upload, kind_wanted(transfer->exchange));
	upload_settle(transfer->upload, put, transfer);
}

static void finish(struct transfer *transfer)
{
	const char *wanted = http_exchange_query(transfer->exchange, "digest");
	enum digest_kind kind;

	if (!wanted || !digest_name_valid(str_of(wanted), &kind)) {
		refuse_digest(transfer);
		return;
	}
	transfer->waiting = true;
	upload_settle(transfer->upload, settled, transfer);
}

/* True when the blob is here and was linked: nothing has to be sent. */
static bool mount(struct registry_call *call)
{
	const char *name = http_exchange_query(call->exchange, "mount"),
		   *from = http_exchange_query(call->exchange, "from");
	struct content *content = call->api->cloud->content;
	struct error err = {0};
	enum digest_kind kind;

	if (!name || !digest_name_valid(str_of(name), &kind) ||
		!content_has_blob(content, from && *from ? from : NULL, name, NULL))
		return false;
	if (content_link_blob(content, call->repository, name, &err))
		answer_created(call->exchange, call->repository, name);
	else
		registry_fail_error(call->exchange, &err);
	return true;
}

void registry_upload_start(struct registry_call *call)
{
	struct transfer *transfer = http_exchange_user(call->exchange);

	if (transfer) {
		finish(transfer);
		return;
	}
	if (mount(call))
		return;
	struct upload *upload = upload_new(call, true);

	if (upload)
		answer_status(call->exchange, upload, 202);
}

void registry_upload_handle(struct registry_call *call)
{
	struct transfer *transfer = http_exchange_user(call->exchange);

	if (transfer && text_equal(call->method, "PUT")) {
		finish(transfer);
		return;
	}
	if (transfer) {
		transfer->waiting = true;
		upload_settle(transfer->upload, patched, transfer);
		return;
	}
	struct upload *upload = find(call);

	if (!upload)
		return;
	if (text_equal(call->method, "GET")) {
		answer_status(call->exchange, upload, 204);
	} else if (upload_is_busy(upload)) {
		answer_busy(call->exchange);
	} else {
		upload_drop(&upload);
		http_answer(call->exchange, 204, NULL, (struct str){0});
	}
}

void registry_upload_closed(struct http_exchange *exchange)
{
	struct transfer *transfer = http_exchange_user(exchange);

	if (!transfer)
		return;
	http_exchange_set_user(exchange, NULL);
	transfer->exchange = NULL;
	if (transfer->waiting)
		return;
	/* The client went away in the middle: it may ask how far it came and go on. */
	upload_when_ready(transfer->upload, NULL, NULL);
	upload_set_busy(transfer->upload, false);
	if (transfer->single)
		upload_drop(&transfer->upload);
	free(transfer);
}
