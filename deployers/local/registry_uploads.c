/*
 * Blobs coming in.
 *
 *     POST uploads/              -> an upload with an id           upload_new
 *     POST uploads/?digest=      -> the blob in one request        begin, start
 *     POST uploads/?mount=&from= -> a blob that is here already    mount
 *     PATCH uploads/<id>         -> more bytes                     begin, handle
 *     PUT uploads/<id>?digest=   -> the last bytes and the name    begin, finish
 *
 * While a body streams the exchange's user is its upload, and the upload is busy: a second request
 * for it is refused.
 */
#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/registry_internal.h"

#include <stdlib.h>

enum { UPLOADS_MAX = 1000, IDLE_MS = 3600 * 1000, SWEEP_MS = 600 * 1000 };

struct upload {
	struct registry_api *api;
	char id[UUID_TEXT_SIZE];
	char *repository; /* owned */
	struct new_blob blob;
	int64_t used_ms;
	bool busy;
	bool single; /* POST with ?digest=: ends with its exchange */
	struct upload *following;
};

static void upload_free(struct upload *upload)
{
	struct upload **link = &upload->api->uploads;

	while (*link != upload)
		link = &(*link)->following;
	*link = upload->following;
	upload->api->upload_count--;
	new_blob_discard(&upload->blob);
	free(upload->repository);
	free(upload);
}

void registry_uploads_free(struct registry_api *api)
{
	while (api->uploads)
		upload_free(api->uploads);
	loop_remove(api->cloud->loop, &api->sweeper);
}

static void sweep(void *context)
{
	struct registry_api *api = context;
	int64_t before = clock_elapsed(api->cloud->clock) - IDLE_MS;
	struct upload *next;

	for (struct upload *upload = api->uploads; upload; upload = next) {
		next = upload->following;
		if (!upload->busy && upload->used_ms < before) {
			log_trace("registry", "upload %s: nobody went on with it", upload->id);
			upload_free(upload);
		}
	}
	if (api->uploads)
		watch_set_delay(api->sweeper, SWEEP_MS);
	else
		loop_remove(api->cloud->loop, &api->sweeper);
}

static struct upload *upload_new(struct registry_call *call)
{
	struct registry_api *api = call->api;
	struct new_blob blob = {0};
	struct error err = {0};

	if (api->upload_count >= UPLOADS_MAX) {
		registry_fail(call->exchange, 429, "TOOMANYREQUESTS", "%d uploads are open",
			UPLOADS_MAX);
		return NULL;
	}
	if (!new_blob_create(api->cloud->content, &blob, &err)) {
		registry_fail_error(call->exchange, &err);
		return NULL;
	}
	struct upload *upload = memory_new(sizeof(*upload));

	upload->api = api;
	upload->blob = blob;
	upload->repository = memory_copy_text(call->repository);
	upload->used_ms = clock_elapsed(api->cloud->clock);
	uuid_new(upload->id);
	upload->following = api->uploads;
	api->uploads = upload;
	api->upload_count++;
	if (!api->sweeper)
		api->sweeper = loop_add_timer(api->cloud->loop, SWEEP_MS, sweep, api);
	return upload;
}

static struct upload *find(struct registry_call *call)
{
	for (struct upload *upload = call->api->uploads; upload; upload = upload->following)
		if (text_equal(upload->id, call->reference) &&
			text_equal(upload->repository, call->repository))
			return upload;
	registry_fail(call->exchange, 404, "BLOB_UPLOAD_UNKNOWN", "no upload \"%s\"",
		call->reference);
	return NULL;
}

static bool take_bytes(void *self, const void *bytes, size_t size, struct error *err)
{
	struct upload *upload = self;

	return new_blob_append(&upload->blob, bytes, size, err);
}

static void use(struct upload *upload, struct http_exchange *exchange, struct http_body_sink *sink)
{
	upload->busy = true;
	http_exchange_set_user(exchange, upload);
	*sink = (struct http_body_sink){take_bytes, upload};
}

static void answer_status(struct http_exchange *exchange, const struct upload *upload, int status)
{
	scoped(text_free) char *location = memory_format("/v2/%s/blobs/uploads/%s",
				       upload->repository, upload->id),
			       *range = memory_format("0-%lld",
				       (long long)(upload->blob.size_bytes
							   ? upload->blob.size_bytes - 1
							   : 0));

	http_answer_header(exchange, "Location", location);
	http_answer_header(exchange, "Docker-Upload-UUID", upload->id);
	http_answer_header(exchange, "Range", range);
	http_answer(exchange, status, NULL, (struct str){0});
}

static void answer_busy(struct http_exchange *exchange)
{
	registry_fail(exchange, 409, "BLOB_UPLOAD_INVALID",
		"another request is sending to this upload");
}

/* A chunk says where it belongs; without Content-Range it goes to the end. */
static bool in_order(struct http_exchange *exchange, const struct upload *upload)
{
	const char *range = http_exchange_header(exchange, "Content-Range");
	struct str rest = str_trim(str_of(range)), first;
	int64_t from;

	if (!range)
		return true;
	if (str_starts_with(rest, "bytes ")) {
		rest.data += 6;
		rest.size -= 6;
	}
	first = str_cut(&rest, '-');
	return str_to_int(first, &from) && from == upload->blob.size_bytes;
}

void registry_upload_begin(struct registry_call *call, struct http_body_sink *sink)
{
	bool single = text_equal(call->method, "POST");
	struct upload *upload = single ? upload_new(call) : find(call);

	if (!upload)
		return;
	upload->single = single;
	if (upload->busy)
		answer_busy(call->exchange);
	else if (upload->blob.broken)
		registry_fail(call->exchange, 500, "BLOB_UPLOAD_INVALID",
			"an earlier write of this upload failed; start it again");
	else if (!in_order(call->exchange, upload))
		answer_status(call->exchange, upload, 416);
	else
		use(upload, call->exchange, sink);
}

static void answer_created(struct registry_call *call, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	scoped(text_free) char *location = memory_format("/v2/%s/blobs/%s", call->repository, text);

	http_answer_header(call->exchange, "Location", location);
	http_answer_header(call->exchange, "Docker-Content-Digest", text);
	http_answer(call->exchange, 201, NULL, (struct str){0});
}

/* Gives the blob its name; the upload is over either way. */
static void finish(struct registry_call *call, struct upload *upload)
{
	const char *text = http_exchange_query(call->exchange, "digest");
	struct digest expected, digest;
	struct error err = {0};
	int64_t size = upload->blob.size_bytes;

	http_exchange_set_user(call->exchange, NULL);
	if (!text || !digest_parse(str_of(text), &expected)) {
		registry_fail(call->exchange, 400, "DIGEST_INVALID",
			"the query must have digest=sha256:…");
	} else if (upload->blob.broken) {
		registry_fail(call->exchange, 500, "BLOB_UPLOAD_INVALID", "the upload failed");
	} else if (new_blob_commit(call->api->cloud->content, &upload->blob, call->repository,
			   &expected, &digest, &err)) {
		log_trace("registry", "%s: blob %s, %lld bytes", call->repository, text,
			(long long)size);
		answer_created(call, &digest);
	} else if (err.kind == ERROR_INVALID) {
		registry_fail(call->exchange, 400, "DIGEST_INVALID", "%s", err.message);
	} else {
		registry_fail(call->exchange, error_is_full(&err) ? 507 : 500, "UNKNOWN", "%s",
			err.message);
	}
	error_free(&err);
	upload_free(upload);
}

/* True when the blob is here and was linked: nothing has to be sent. */
static bool mount(struct registry_call *call)
{
	const char *text = http_exchange_query(call->exchange, "mount"),
		   *from = http_exchange_query(call->exchange, "from");
	struct content *content = call->api->cloud->content;
	struct digest digest;
	struct error err = {0};

	if (!text || !digest_parse(str_of(text), &digest) ||
		!content_has_blob(content, from && *from ? from : NULL, &digest, NULL))
		return false;
	if (content_link_blob(content, call->repository, &digest, &err))
		answer_created(call, &digest);
	else
		registry_fail_error(call->exchange, &err);
	return true;
}

void registry_upload_start(struct registry_call *call)
{
	struct upload *upload = http_exchange_user(call->exchange);

	if (upload) {
		finish(call, upload);
		return;
	}
	if (mount(call))
		return;
	upload = upload_new(call);
	if (upload)
		answer_status(call->exchange, upload, 202);
}

void registry_upload_handle(struct registry_call *call)
{
	struct upload *own = http_exchange_user(call->exchange), *upload = own ? own : find(call);

	if (!upload)
		return;
	if (own) {
		http_exchange_set_user(call->exchange, NULL);
		own->busy = false;
		own->used_ms = clock_elapsed(call->api->cloud->clock);
	}
	if (text_equal(call->method, "GET")) {
		answer_status(call->exchange, upload, 204);
	} else if (upload->busy) {
		answer_busy(call->exchange);
	} else if (text_equal(call->method, "PUT")) {
		finish(call, upload);
	} else if (text_equal(call->method, "PATCH")) {
		answer_status(call->exchange, upload, 202);
	} else {
		upload_free(upload);
		http_answer(call->exchange, 204, NULL, (struct str){0});
	}
}

void registry_upload_closed(struct http_exchange *exchange)
{
	struct upload *upload = http_exchange_user(exchange);

	if (!upload)
		return;
	/* The client went away in the middle: it may ask how far it came and go on. */
	http_exchange_set_user(exchange, NULL);
	upload->busy = false;
	upload->used_ms = clock_elapsed(upload->api->cloud->clock);
	if (upload->single)
		upload_free(upload);
}
