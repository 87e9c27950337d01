#include "builders/registry/registry.h"

#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/retry.h"

#include <stdlib.h>
#include <unistd.h>

#define MANIFEST_TYPES                                                                             \
	MEDIA_TYPE_MANIFEST ", " MEDIA_TYPE_INDEX ", " MEDIA_TYPE_DOCKER_MANIFEST                  \
			    ", " MEDIA_TYPE_DOCKER_LIST

enum { REDIRECTS = 5, UPLOADS_PARALLEL = 4 };

void remote_manifest_free(struct remote_manifest *manifest)
{
	buf_free(&manifest->body);
	free(manifest->media_type);
	*manifest = (struct remote_manifest){0};
}

static bool has_code(const struct exchange *x, const char *code)
{
	struct refusal refusal;

	refusal_parse(buf_str(&x->response.body), &refusal);
	return text_equal(refusal.code, code);
}

/* The header is advisory and may use another algorithm; a sha256 that differs is a lie. */
static bool check_said_digest(const struct exchange *x, const struct digest *real,
	struct error *err)
{
	const char *text = http_response_header(&x->response, "Docker-Content-Digest");
	struct digest said;
	char got[DIGEST_TEXT_SIZE];

	if (!text || !digest_parse(str_trim(str_of(text)), &said) || digest_equal(&said, real))
		return true;
	digest_to_text(real, got);
	error_raise(err, ERROR_PROTOCOL, "%s %.*s: the registry says the digest is %s, it is %s",
		x->method, url_shown(x->url), text, got);
	return error_next(err,
		"the registry or a proxy before it changes content; do not trust it");
}

bool registry_get_manifest(struct session *session, const char *key,
	struct remote_manifest *out_manifest, struct error *err)
{
	scoped(text_free) char *url = session_url(session, "manifests/%s", key);
	scoped(exchange_free) struct exchange x = {.method = "GET",
		.url = url,
		.accept = MANIFEST_TYPES,
		.redirect_limit = REDIRECTS,
		.body_limit_bytes = MANIFEST_LIMIT};
	struct digest wanted, digest;

	if (!session_perform(session, &x, 1, 1, err))
		return false;
	*out_manifest = (struct remote_manifest){0};
	if (x.response.status == 404 || (x.response.status == 403 && session_pushes(session))) {
		out_manifest->repository_missing = has_code(&x, "NAME_UNKNOWN");
		return true;
	}
	if (x.response.status != 200)
		return session_refuse(session, &x, "200", err);
	digest = digest_of_str(buf_str(&x.response.body));
	if (digest_parse(str_of(key), &wanted) && !digest_equal(&wanted, &digest)) {
		char got[DIGEST_TEXT_SIZE];
		digest_to_text(&digest, got);
		error_raise(err, ERROR_PROTOCOL, "GET %s answered a manifest with the digest %s",
			url, got);
		return error_next(err,
			"the registry or a proxy before it changes content; do not trust it");
	}
	if (!check_said_digest(&x, &digest, err))
		return false;
	const char *type = http_response_header(&x.response, "Content-Type");
	*out_manifest = (struct remote_manifest){.found = true,
		.body = x.response.body,
		.digest = digest,
		.media_type = memory_copy_text(type ? type : "")};
	x.response.body = (struct buf){0};
	return true;
}

bool registry_put_manifest(struct session *session, const char *key, const char *media_type,
	struct str body, const struct digest *digest, enum put_result *out_result,
	struct error *err)
{
	scoped(text_free) char *url = session_url(session, "manifests/%s", key);
	scoped(exchange_free) struct exchange x = {.method = "PUT",
		.url = url,
		.content_type = media_type,
		.body = body};

	if (!session_perform(session, &x, 1, 1, err))
		return false;
	if (x.response.status >= 200 && x.response.status < 300) {
		*out_result = PUT_DONE;
		return check_said_digest(&x, digest, err);
	}
	if (has_code(&x, "MANIFEST_BLOB_UNKNOWN") || has_code(&x, "BLOB_UNKNOWN")) {
		*out_result = PUT_BLOBS_MISSING;
		return true;
	}
	session_refuse(session, &x, "201", err);
	if (has_code(&x, "TAG_INVALID") || x.response.status == 409)
		error_next(err, "if the repository's tags are immutable, push under a new tag");
	return false;
}

void upload_free(struct upload *upload)
{
	text_free(&upload->url);
}

/* The exchanges of one step, and which upload each belongs to. */
struct batch {
	struct exchange *exchanges;
	struct upload **uploads;
	size_t count;
};

static struct batch new_batch(size_t room)
{
	return (struct batch){.exchanges = memory_new_array(room, sizeof(struct exchange)),
		.uploads = memory_new_array(room, sizeof(struct upload *))};
}

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		exchange_free(&batch->exchanges[i]);
		if (batch->exchanges[i].body_fd > 0)
			close(batch->exchanges[i].body_fd);
	}
	free(batch->exchanges);
	free(batch->uploads);
}

static void begin_url(struct session *session, struct upload *upload)
{
	char digest[DIGEST_TEXT_SIZE];
	scoped(buf_free) struct buf escaped = {0};
	const char *from = upload->mount_from ? upload->mount_from : session_repository(session);

	text_free(&upload->url);
	if (upload->mount_refused) {
		upload->url = session_url(session, "blobs/uploads/");
		return;
	}
	digest_to_text(&upload->digest, digest);
	percent_append(&escaped, str_of(digest), false);
	buf_append_text(&escaped, "&from=");
	percent_append(&escaped, str_of(from), false);
	upload->url = session_url(session, "blobs/uploads/?mount=%s", buf_text(&escaped));
}

/* The answer to a POST: there already, or where to send it. */
static bool begun(struct session *session, struct upload *upload, const struct exchange *x,
	bool *out_repository_missing, struct error *err)
{
	char digest[DIGEST_TEXT_SIZE];
	int status = x->response.status;

	if (status == 201) {
		upload->state = upload->mount_from ? UPLOAD_MOUNTED : UPLOAD_EXISTED;
		return check_said_digest(x, &upload->digest, err);
	}
	if (status == 202) {
		char *url;
		digest_to_text(&upload->digest, digest);
		if (!location_resolve(x->url, http_response_header(&x->response, "Location"),
			    digest, &url, err))
			return error_while(err, "beginning an upload to %.*s", url_shown(x->url));
		text_free(&upload->url);
		upload->url = url;
		return true;
	}
	if (has_code(x, "NAME_UNKNOWN") && status == 404 && upload->mount_refused)
		*out_repository_missing = true;
	/* Harbor, GitLab, GHCR and others refuse a mount where the specification says 202. */
	if (!upload->mount_refused && status >= 400 && status < 500) {
		upload->mount_refused = true;
		text_free(&upload->url);
		return true;
	}
	return session_refuse(session, x, "202", err);
}

/* POST for every open upload; those whose mount was refused are asked again without. */
static bool begin_all(struct session *session, struct upload *uploads, size_t count,
	bool *out_repository_missing, struct error *err)
{
	bool again = true;

	while (again) {
		scoped(batch_free) struct batch batch = new_batch(count);

		again = false;
		for (size_t i = 0; i < count; i++) {
			if (uploads[i].state != UPLOAD_OPEN || uploads[i].url)
				continue;
			begin_url(session, &uploads[i]);
			batch.uploads[batch.count] = &uploads[i];
			batch.exchanges[batch.count++] =
				(struct exchange){.method = "POST", .url = uploads[i].url};
		}
		if (!session_perform(session, batch.exchanges, batch.count, 0, err))
			return false;
		for (size_t i = 0; i < batch.count; i++) {
			/* The exchange borrows the URL that begun() replaces. */
			scoped(text_free) char *asked = batch.uploads[i]->url;
			batch.uploads[i]->url = NULL;
			if (!begun(session, batch.uploads[i], &batch.exchanges[i],
				    out_repository_missing, err))
				return false;
			again = again ||
				(batch.uploads[i]->state == UPLOAD_OPEN && !batch.uploads[i]->url);
		}
	}
	return true;
}

/* Is it worth beginning this upload anew? */
static bool may_begin_again(const struct exchange *x, const struct registry_retry_verdict *verdict)
{
	return verdict->again || x->response.status == 404 || x->response.status == 416;
}

static bool sent(struct session *session, struct upload *upload, const struct exchange *x,
	int64_t *wait_ms, struct error *err)
{
	int status = x->response.status;

	if (!x->response.error.kind && status >= 200 && status < 300) {
		upload->state = UPLOAD_SENT;
		return check_said_digest(x, &upload->digest, err);
	}
	upload->tries++;
	const char *after = http_response_header(&x->response, "Retry-After");
	struct registry_retry_verdict verdict = registry_retry(
		&(struct registry_retry_observation){.status = x->response.error.kind ? 0 : status,
			.no_answer = x->response.error.kind,
			.retry_after = str_of(after),
			.tries = upload->tries,
			.now_ms = clock_now(session_clock(session)),
			.random = 0.5});
	if (upload->tries < RETRY_TRIES && may_begin_again(x, &verdict)) {
		if (verdict.wait_ms > *wait_ms)
			*wait_ms = verdict.wait_ms;
		session_count_retry(session);
		text_free(&upload->url);
		return true;
	}
	session_refuse(session, x, "201", err);
	if (upload->tries > 1)
		error_while(err, "trying the upload %d times", upload->tries);
	if (has_code(x, "DIGEST_INVALID"))
		error_next(err, "the blob is not what its name says: build the image again");
	return false;
}

/* PUT for every open upload. */
static bool send_all(struct session *session, struct upload *uploads, size_t count,
	int64_t *wait_ms, struct error *err)
{
	scoped(batch_free) struct batch batch = new_batch(count);

	for (size_t i = 0; i < count; i++) {
		int fd = -1;

		if (uploads[i].state != UPLOAD_OPEN)
			continue;
		if (!uploads[i].open(uploads[i].context, &uploads[i], &fd, err))
			return false;
		batch.uploads[batch.count] = &uploads[i];
		batch.exchanges[batch.count++] = (struct exchange){.method = "PUT",
			.url = uploads[i].url,
			.content_type = "application/octet-stream",
			.body_fd = fd,
			.body_size = uploads[i].size_bytes,
			.once = true};
	}
	if (!session_perform(session, batch.exchanges, batch.count, UPLOADS_PARALLEL, err))
		return false;
	for (size_t i = 0; i < batch.count; i++) {
		struct upload *upload = batch.uploads[i];
		scoped(text_free) char *asked = upload->url;

		upload->url = NULL;
		if (!sent(session, upload, &batch.exchanges[i], wait_ms, err))
			return error_while(err, "uploading a blob of %lld bytes",
				(long long)upload->size_bytes);
	}
	return true;
}

static bool all_there(const struct upload *uploads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (uploads[i].state == UPLOAD_OPEN)
			return false;
	return true;
}

bool registry_upload(struct session *session, struct upload *uploads, size_t count,
	bool *out_repository_missing, struct error *err)
{
	*out_repository_missing = false;
	while (!all_there(uploads, count)) {
		int64_t wait_ms = 0;

		if (!begin_all(session, uploads, count, out_repository_missing, err) ||
			!send_all(session, uploads, count, &wait_ms, err))
			return false;
		if (wait_ms > 0)
			clock_sleep(session_clock(session), wait_ms);
	}
	return true;
}

/* A blob on its way into a file. */
struct arrival {
	int fd;
	const char *url;
	int64_t limit, size;
	struct hasher *hasher;
};

static bool take_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
	struct arrival *arrival = context;

	if ((int64_t)size > arrival->limit - arrival->size)
		return error_raise(err, ERROR_PROTOCOL,
			"%s is longer than the %lld bytes announced", arrival->url,
			(long long)arrival->limit);
	hasher_add(arrival->hasher, bytes, size);
	arrival->size += (int64_t)size;
	return descriptor_write_all(arrival->fd, bytes, size, "a blob", err);
}

/* An attempt begins: what an earlier one left goes. */
static bool restart(void *context, struct error *err)
{
	struct arrival *arrival = context;

	hasher_free(&arrival->hasher);
	arrival->hasher = hasher_new();
	arrival->size = 0;
	if (ftruncate(arrival->fd, 0) < 0 || lseek(arrival->fd, 0, SEEK_SET) < 0)
		return error_raise_errno(err, "empty a temporary file");
	return true;
}

static bool check_arrival(const struct arrival *arrival, const struct digest *digest,
	struct error *err)
{
	struct digest real = hasher_finish(arrival->hasher);
	char wanted[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];

	if (arrival->size == arrival->limit && digest_equal(&real, digest))
		return true;
	digest_to_text(digest, wanted);
	digest_to_text(&real, got);
	error_raise(err, ERROR_PROTOCOL,
		"%s gave %lld bytes with the digest %s, expected %lld with %s", arrival->url,
		(long long)arrival->size, got, (long long)arrival->limit, wanted);
	return error_next(err,
		"the registry or a proxy before it changes content; do not trust it");
}

bool registry_fetch_blob(struct session *session, const struct digest *digest, int64_t size_bytes,
	int fd, struct error *err)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	scoped(text_free) char *url = session_url(session, "blobs/%s", text);
	struct arrival arrival = {.fd = fd, .url = url, .limit = size_bytes};
	scoped(exchange_free) struct exchange x = {.method = "GET",
		.url = url,
		.on_body = take_bytes,
		.restart = restart,
		.context = &arrival,
		.redirect_limit = REDIRECTS};
	bool ok = session_perform(session, &x, 1, 1, err) &&
		  (x.response.status == 200 || session_refuse(session, &x, "200", err)) &&
		  check_arrival(&arrival, digest, err);

	hasher_free(&arrival.hasher);
	return ok;
}
