#include "builders/registry/registry.h"

#include "base/memory.h"
#include "builders/registry/answer.h"

#include <stdlib.h>
#include <unistd.h>

#define MANIFEST_TYPES                                                                             \
	MEDIA_TYPE_MANIFEST ", " MEDIA_TYPE_INDEX ", " MEDIA_TYPE_DOCKER_MANIFEST                  \
			    ", " MEDIA_TYPE_DOCKER_LIST

enum { REDIRECTS = 5, BODIES_PARALLEL = 4 };

void remote_manifest_free(struct remote_manifest *manifest)
{
	buf_free(&manifest->body);
	free(manifest->media_type);
	*manifest = (struct remote_manifest){0};
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
		out_manifest->repository_missing = session_has_code(&x, "NAME_UNKNOWN");
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
	if (!session_check_digest(&x, &digest, err))
		return false;
	const char *type = http_response_header(&x.response, "Content-Type");
	*out_manifest = (struct remote_manifest){.found = true,
		.body = x.response.body,
		.digest = digest,
		.media_type = memory_copy_text(type ? type : "")};
	x.response.body = (struct buf){0};
	return true;
}

bool registry_blame(bool ok, struct error *err)
{
	if (!ok && err && err->kind == ERROR_INVALID)
		err->kind = ERROR_PROTOCOL;
	return ok;
}

void put_result_free(struct put_result *result)
{
	free(result->missing);
	error_free(&result->why);
	*result = (struct put_result){0};
}

/* 405 is ECR's, 400 what the specification has, 415 and 422 are those of others. */
static bool is_unsupported(int status)
{
	return status == 400 || status == 405 || status == 415 || status == 422;
}

static bool refuse_manifest(struct session *session, const struct exchange *x, struct error *err)
{
	session_refuse(session, x, "201", err);
	if (session_has_code(x, "TAG_INVALID") || x->response.status == 409) {
		err->kind = ERROR_CONFLICT;
		error_next(err, "if the repository's tags are immutable, push under a new tag");
	}
	if (x->response.status == 413)
		error_next(err,
			"the manifest has %zu bytes: an image with fewer layers or "
			"annotations has a smaller one",
			x->body.size);
	return false;
}

bool registry_put_manifest(struct session *session, const char *key, const char *media_type,
	struct str body, const struct digest *digest, bool probe, struct put_result *out_result,
	struct error *err)
{
	scoped(text_free) char *url = session_url(session, "manifests/%s", key);
	scoped(exchange_free) struct exchange x = {.method = "PUT",
		.url = url,
		.content_type = media_type,
		.body = body};
	struct put_result result = {0};

	if (!session_perform(session, &x, 1, 1, err))
		return false;
	if (x.response.status >= 200 && x.response.status < 300) {
		*out_result = result;
		return session_check_digest(&x, digest, err);
	}
	result.kind = session_has_code(&x, "MANIFEST_BLOB_UNKNOWN") ||
				      session_has_code(&x, "BLOB_UNKNOWN")
			      ? PUT_BLOBS_MISSING
			      : PUT_REFUSED;
	if (result.kind == PUT_BLOBS_MISSING)
		result.missing_count = refusal_missing(buf_str(&x.response.body), &result.missing);
	if (result.kind == PUT_REFUSED && !probe)
		return refuse_manifest(session, &x, err);
	if (result.kind == PUT_REFUSED) {
		result.unsupported = is_unsupported(x.response.status);
		refuse_manifest(session, &x, &result.why);
	}
	*out_result = result;
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

/* What belongs to one GET. */
struct getting {
	struct arrival arrival;
	char *url; /* owned */
};

static void getting_free(struct getting *getting, struct exchange *exchange)
{
	exchange_free(exchange);
	hasher_free(&getting->arrival.hasher);
	free(getting->url);
}

static struct exchange begin_get(struct session *session, const struct fetch *fetch,
	struct getting *getting)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(&fetch->digest, text);
	getting->url = session_url(session, "blobs/%s", text);
	getting->arrival =
		(struct arrival){.fd = fetch->fd, .url = getting->url, .limit = fetch->size_bytes};
	return (struct exchange){.method = "GET",
		.url = getting->url,
		.on_body = take_bytes,
		.resume = true,
		.restart = restart,
		.context = &getting->arrival,
		.redirect_limit = REDIRECTS};
}

/* The first failure is the error. */
static bool end_get(struct session *session, struct fetch *fetch, const struct getting *getting,
	const struct exchange *x, bool ok, struct error *err)
{
	struct error why = {0};

	if (x->response.error.kind || x->tries == 0)
		return ok; /* session_perform() has told */
	bool whole =
		x->response.status == 200 || (x->response.status == 206 && x->response.resumed > 0);

	fetch->arrived = (whole || session_refuse(session, x, "200", &why)) &&
			 check_arrival(&getting->arrival, &fetch->digest, &why);
	if (ok)
		error_move(err, &why);
	else
		error_free(&why);
	return ok && fetch->arrived;
}

bool registry_fetch_blobs(struct session *session, struct fetch *fetches, size_t count,
	struct error *err)
{
	struct getting *gettings = memory_new_array(count, sizeof(*gettings));
	struct exchange *exchanges = memory_new_array(count, sizeof(*exchanges));

	for (size_t i = 0; i < count; i++)
		exchanges[i] = begin_get(session, &fetches[i], &gettings[i]);
	bool ok = session_perform(session, exchanges, count, BODIES_PARALLEL, err);
	for (size_t i = 0; i < count; i++)
		ok = end_get(session, &fetches[i], &gettings[i], &exchanges[i], ok, err);
	for (size_t i = 0; i < count; i++)
		getting_free(&gettings[i], &exchanges[i]);
	free(gettings);
	free(exchanges);
	return ok;
}

bool registry_fetch_blob(struct session *session, const struct digest *digest, int64_t size_bytes,
	int fd, struct error *err)
{
	struct fetch fetch = {.digest = *digest, .size_bytes = size_bytes, .fd = fd};

	return registry_fetch_blobs(session, &fetch, 1, err);
}
