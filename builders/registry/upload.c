#include "builders/registry/upload.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/retry.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * Four bodies at once keep a registry's disk and both ends' processors busy; more of them only share
 * the same line. Small requests are limited by http_client alone.
 */
enum { BODIES_PARALLEL = 4, REDIRECTS = 5 };

void upload_free(struct upload *upload)
{
	text_free(&upload->location);
}

/* A blob on its way from another repository. */
struct stream {
	const struct upload *upload;
	struct http_relay relay;
	struct hasher *hasher;
	int64_t size;
};

static void stream_free(struct stream *stream)
{
	http_relay_free(&stream->relay);
	hasher_free(&stream->hasher);
}

/* What one upload asks in a round; with a stream, two exchanges that lie side by side. */
struct ask {
	struct upload *upload;
	struct stream *stream;        /* owned; NULL: none */
	size_t first;                 /* of the exchanges: the GET of a stream, else the only one */
	char *url, *from_url, *range; /* owned */
};

struct round {
	struct exchange *exchanges; /* owned */
	struct ask *asks;           /* owned */
	size_t count, exchange_count;
};

static struct round new_round(size_t room)
{
	return (struct round){.exchanges = memory_new_array(2 * room, sizeof(struct exchange)),
		.asks = memory_new_array(room, sizeof(struct ask))};
}

static void round_free(struct round *round)
{
	for (size_t i = 0; i < round->exchange_count; i++) {
		exchange_free(&round->exchanges[i]);
		if (round->exchanges[i].body_fd > 0)
			close(round->exchanges[i].body_fd);
	}
	for (size_t i = 0; i < round->count; i++) {
		struct ask *ask = &round->asks[i];

		if (ask->stream)
			stream_free(ask->stream);
		free(ask->stream);
		free(ask->url);
		free(ask->from_url);
		free(ask->range);
	}
	free(round->exchanges);
	free(round->asks);
}

static char *begin_url(const struct session *session, const struct upload *upload)
{
	char digest[DIGEST_TEXT_SIZE];
	scoped(buf_free) struct buf escaped = {0};
	const char *from = upload->mount_from ? upload->mount_from : session_repository(session);

	if (upload->course.mount_refused)
		return session_url(session, "blobs/uploads/");
	digest_to_text(&upload->digest, digest);
	percent_append(&escaped, str_of(digest), false);
	/* "from" is never left out: to Quay a mount without it is an error. */
	buf_append_text(&escaped, "&from=");
	percent_append(&escaped, str_of(from), false);
	return session_url(session, "blobs/uploads/?mount=%s", buf_text(&escaped));
}

/* The session's URL with the digest, which ends it. */
static bool end_url(const struct upload *upload, char **out_url, struct error *err)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&upload->digest, digest);
	return location_resolve(upload->location, upload->location, digest, out_url, err);
}

static bool hash_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
	struct stream *stream = context;

	if ((int64_t)size > stream->upload->size_bytes - stream->size)
		return error_raise(err, ERROR_PROTOCOL,
			"the blob is longer than the %lld bytes announced",
			(long long)stream->upload->size_bytes);
	hasher_add(stream->hasher, bytes, size);
	stream->size += (int64_t)size;
	return true;
}

/* Before the last byte goes out. */
static bool is_right(void *context, struct error *err)
{
	struct stream *stream = context;
	struct digest real = hasher_finish(stream->hasher);
	char wanted[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];

	if (stream->size == stream->upload->size_bytes &&
		digest_equal(&real, &stream->upload->digest))
		return true;
	digest_to_text(&stream->upload->digest, wanted);
	digest_to_text(&real, got);
	error_raise(err, ERROR_PROTOCOL,
		"the registry gave %lld bytes with the digest %s, expected %lld with %s",
		(long long)stream->size, got, (long long)stream->upload->size_bytes, wanted);
	return error_next(err,
		"the registry or a proxy before it changes content; do not trust it");
}

/* The GET whose body becomes that of the exchange behind it. */
static void add_stream(struct round *round, struct ask *ask)
{
	struct exchange *get = &round->exchanges[ask->first], *put = get + 1;
	struct session *from = ask->upload->stream_from;
	char digest[DIGEST_TEXT_SIZE];

	*put = *get;
	round->exchange_count++;
	ask->stream = memory_new(sizeof(*ask->stream));
	ask->stream->upload = ask->upload;
	ask->stream->hasher = hasher_new();
	ask->stream->relay.check = is_right;
	ask->stream->relay.context = ask->stream;
	digest_to_text(&ask->upload->digest, digest);
	ask->from_url = session_url(from, "blobs/%s", digest);
	*get = (struct exchange){.method = "GET",
		.url = ask->from_url,
		.on_body = hash_bytes,
		.resume = true,
		.context = ask->stream,
		.relay_to = &ask->stream->relay,
		.redirect_limit = REDIRECTS,
		.owner = from};
	put->relay_from = &ask->stream->relay;
	put->body_size = ask->upload->size_bytes;
}

static bool add_body(struct round *round, struct ask *ask, struct error *err)
{
	struct upload *upload = ask->upload;
	struct exchange *x = &round->exchanges[ask->first];
	const struct upload_course *course = &upload->course;
	int64_t piece = upload_course_piece(course);

	x->content_type = "application/octet-stream";
	x->once = true;
	if (piece == 0)
		return true;
	if (course->step == UPLOAD_WHOLE && upload->stream_from) {
		add_stream(round, ask);
		return true;
	}
	if (!upload->open(upload->context, upload, &x->body_fd, err))
		return false;
	x->body_offset = course->offset;
	x->body_size = piece;
	if (course->step == UPLOAD_WHOLE)
		return true;
	/* "a-b": ACR refuses the form with "bytes " and the total. */
	ask->range = memory_format("%lld-%lld", (long long)course->offset,
		(long long)(course->offset + piece - 1));
	x->content_range = ask->range;
	return true;
}

/* Makes the exchange of an upload's next step. */
static bool add(struct session *session, struct round *round, struct upload *upload,
	struct error *err)
{
	struct ask *ask = &round->asks[round->count++];
	struct exchange *x = &round->exchanges[round->exchange_count];

	ask->upload = upload;
	ask->first = round->exchange_count++;
	switch (upload->course.step) {
	case UPLOAD_BEGIN:
		x->method = "POST";
		/* A registry that cuts the connection off at a mount is asked without one. */
		x->tentative = !upload->course.mount_refused;
		ask->url = begin_url(session, upload);
		break;
	case UPLOAD_ASK:
		x->method = "GET";
		ask->url = memory_copy_text(upload->location);
		break;
	case UPLOAD_CHUNK:
		x->method = "PATCH";
		ask->url = memory_copy_text(upload->location);
		break;
	case UPLOAD_WHOLE:
	case UPLOAD_REST:
	case UPLOAD_CLOSE:
	case UPLOAD_DONE:
		x->method = "PUT";
		if (!end_url(upload, &ask->url, err))
			return false;
		break;
	}
	x->url = ask->url;
	return upload->course.step == UPLOAD_BEGIN || upload->course.step == UPLOAD_ASK ||
	       add_body(round, ask, err);
}

static bool has_body(const struct upload *upload)
{
	return upload->course.step == UPLOAD_WHOLE || upload->course.step == UPLOAD_REST ||
	       upload->course.step == UPLOAD_CHUNK;
}

static struct upload_answer answer_of(struct session *session, const struct exchange *x,
	const struct upload *upload, int64_t *out_wait_ms)
{
	const struct http_response *r = &x->response;
	const char *range = http_response_header(r, "Range");
	const char *chunk_floor = http_response_header(r, "OCI-Chunk-Min-Length");
	const char *after = http_response_header(r, "Retry-After");
	struct refusal refusal;
	struct upload_answer answer = {.status = r->error.kind ? 0 : r->status,
		.range = str_of(range),
		.sent_bytes = r->bytes_sent};
	struct registry_retry_verdict verdict =
		registry_retry(&(struct registry_retry_observation){.status = answer.status,
			.no_answer = r->error.kind,
			.retry_after = str_of(after),
			.tries = upload->course.tries + 1,
			.now_ms = clock_now(session_clock(session)),
			.random = random_fraction()});

	answer.passing = verdict.again;
	*out_wait_ms = verdict.wait_ms;
	if (!str_to_int(str_trim(str_of(chunk_floor)), &answer.chunk_floor) ||
		answer.chunk_floor < 0)
		answer.chunk_floor = 0;
	refusal_parse(buf_str(&r->body), &refusal);
	answer.too_large = answer.status == 413 || (answer.status >= 400 && answer.status < 500 &&
							   strstr(refusal.message, "too large"));
	return answer;
}

static bool fail(struct session *session, struct upload *upload, const struct exchange *x,
	struct error *err)
{
	bool begins = upload->course.step == UPLOAD_BEGIN;

	session_refuse(session, x, begins ? "202" : "201", err);
	if (upload->course.tries > 1)
		error_while(err, "trying the upload %d times", upload->course.tries);
	if (session_has_code(x, "DIGEST_INVALID"))
		error_next(err, "the blob is not what its name says: build the image again");
	return error_while(err, "uploading a blob of %lld bytes", (long long)upload->size_bytes);
}

/* A new Location replaces the one before; only the first answer must have one. */
static bool take_location(struct upload *upload, const struct exchange *x, struct error *err)
{
	const char *location = http_response_header(&x->response, "Location");
	char *url;

	if (!location && upload->location)
		return true;
	if (!location_resolve(x->url, location, NULL, &url, err))
		return error_while(err, "beginning an upload to %.*s", url_shown(x->url));
	text_free(&upload->location);
	upload->location = url;
	return true;
}

static void settle(struct upload *upload, enum upload_step last)
{
	if (last != UPLOAD_BEGIN)
		upload->state = UPLOAD_SENT;
	else
		upload->state = upload->mount_from ? UPLOAD_MOUNTED : UPLOAD_EXISTED;
}

static bool take_answer(struct session *session, struct upload *upload, const struct exchange *x,
	int64_t *wait_ms, struct strings *left, struct error *err)
{
	int64_t wanted_ms;
	struct upload_answer answer = answer_of(session, x, upload, &wanted_ms);
	enum upload_step step = upload->course.step;
	bool again, mount_refused = upload->course.mount_refused;

	if (!upload_course_next(&upload->course, &answer, &again)) {
		upload->course.tries++;
		return fail(session, upload, x, err);
	}
	if (upload->course.mount_refused != mount_refused) {
		session_mount_refused(session);
		if (answer.status == 0)
			session_count_retry(session);
	}
	if (again) {
		log_trace("registry", "%s %.*s: status %d after %lld bytes, on with step %d",
			x->method, url_shown(x->url), answer.status, (long long)answer.sent_bytes,
			(int)upload->course.step);
		session_count_retry(session);
		*wait_ms = answer.passing && wanted_ms > *wait_ms ? wanted_ms : *wait_ms;
	}
	if (upload->course.step == UPLOAD_BEGIN && upload->location) {
		strings_add_owned(left, upload->location);
		upload->location = NULL;
	}
	if (upload->course.step == UPLOAD_DONE) {
		settle(upload, step);
		return session_check_digest(x, &upload->digest, err);
	}
	return answer.status >= 300 || answer.status < 200 || upload->course.step == UPLOAD_BEGIN ||
	       take_location(upload, x, err);
}

/*
 * The source of a stream failed, and that is why there is no answer from the target: another try, from
 * the start, or the end.
 */
static bool take_source_failure(struct ask *ask, const struct exchange *get, int64_t *wait_ms,
	struct strings *left, struct error *err)
{
	struct upload *upload = ask->upload;
	struct session *from = upload->stream_from;
	int64_t wanted_ms;
	struct upload_answer answer;

	/* What went on and broke off again had these tries already. */
	if (get->response.vain > 0)
		upload->course.tries += get->response.vain - 1;
	answer = answer_of(from, get, upload, &wanted_ms);
	if ((answer.passing || answer.status == 401) && ++upload->course.tries < RETRY_TRIES) {
		session_count_retry(from);
		upload->course.step = UPLOAD_BEGIN;
		*wait_ms = wanted_ms > *wait_ms ? wanted_ms : *wait_ms;
		strings_add_owned(left, upload->location);
		upload->location = NULL;
		return true;
	}
	session_refuse(from, get, "200", err);
	return error_while(err, "reading a blob of %lld bytes from %s/%s",
		(long long)upload->size_bytes, session_host(from), session_repository(from));
}

static bool take_answers(struct session *session, struct round *round, struct ask *ask,
	int64_t *wait_ms, struct strings *left, struct error *err)
{
	const struct exchange *x = &round->exchanges[ask->first];

	if (!ask->stream)
		return take_answer(session, ask->upload, x, wait_ms, left, err);
	/* What was there went through once: to go on in the middle it would have to be fetched again. */
	ask->upload->course.resume_refused = true;
	/* That is how a PUT ends whose body did not arrive: http_client.c. */
	if (x[1].response.error.kind == ERROR_CONFLICT)
		return take_source_failure(ask, x, wait_ms, left, err);
	return take_answer(session, ask->upload, x + 1, wait_ms, left, err);
}

static bool is_missing(const struct exchange *x)
{
	return x->response.status == 404 && session_has_code(x, "NAME_UNKNOWN");
}

static bool any_without_body(const struct upload *uploads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (uploads[i].state == UPLOAD_OPEN && !has_body(&uploads[i]))
			return true;
	return false;
}

/* The next step of those open uploads that need no body for it; when all do, of all. */
static bool go_round(struct session *session, struct upload *uploads, size_t count,
	bool *out_repository_missing, struct strings *left, struct error *err)
{
	scoped(round_free) struct round round = new_round(count);
	bool bodies = !any_without_body(uploads, count);
	int64_t wait_ms = 0;

	for (size_t i = 0; i < count; i++)
		if (uploads[i].state == UPLOAD_OPEN && has_body(&uploads[i]) == bodies &&
			!add(session, &round, &uploads[i], err))
			return false;
	if (round.count == 0)
		return true;
	if (!session_perform(session, round.exchanges, round.exchange_count,
		    bodies ? BODIES_PARALLEL : 0, err))
		return false;
	for (size_t i = 0; i < round.count; i++) {
		struct ask *ask = &round.asks[i];
		bool plain = ask->upload->course.mount_refused;

		if (!take_answers(session, &round, ask, &wait_ms, left, err)) {
			const struct exchange *x = &round.exchanges[ask->first];
			*out_repository_missing =
				*out_repository_missing || (plain && is_missing(x));
			return false;
		}
	}
	if (wait_ms > 0)
		clock_sleep(session_clock(session), wait_ms);
	return true;
}

/* A session that is left is ended, so that the registry can forget what it has of it. Some do not
 * let us, and nothing depends on it. */
static void cancel_all(struct session *session, struct strings *left)
{
	struct exchange *exchanges = memory_new_array(left->count, sizeof(*exchanges));
	struct error ignored = {0};

	for (size_t i = 0; i < left->count; i++)
		exchanges[i] = (struct exchange){.method = "DELETE",
			.url = left->items[i],
			.once = true,
			.tentative = true,
			.authenticated = true};
	if (left->count > 0 && !session_perform(session, exchanges, left->count, 0, &ignored))
		error_ignore(&ignored, "the registry forgets them by itself some day");
	for (size_t i = 0; i < left->count; i++)
		exchange_free(&exchanges[i]);
	free(exchanges);
	strings_free(left);
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
	struct strings left = {0}; /* sessions that nobody will end */
	bool ok = true;

	*out_repository_missing = false;
	for (size_t i = 0; i < count; i++)
		uploads[i].course.size_bytes = uploads[i].size_bytes;
	while (ok && !all_there(uploads, count))
		ok = go_round(session, uploads, count, out_repository_missing, &left, err);
	for (size_t i = 0; i < count; i++)
		if (uploads[i].state == UPLOAD_OPEN && uploads[i].location)
			strings_add(&left, uploads[i].location);
	/* A registry that does not answer is not made to wait for once more. */
	if (!ok && (err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMED_OUT))
		strings_free(&left);
	cancel_all(session, &left);
	return ok;
}
