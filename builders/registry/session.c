#include "builders/registry/session.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/authorization.h"
#include "builders/registry/ecr.h"
#include "builders/registry/retry.h"

#include <stdlib.h>

enum { HEADERS_LIMIT = 6, WARNINGS_LIMIT = 16, WARNING_LIMIT = 500 };

struct session {
	struct http_client *client;
	struct clock *clock;
	char *host, *repository, *root; /* owned; root: "http://host/v2/" */
	char *mount_from, *kept_folder; /* owned; may be NULL */
	bool push;
	struct authorization authorization;
	struct strings warnings;
	struct session_counts counts;
};

bool session_open(const struct reference *reference, const struct session_options *options,
	struct session **out_session, struct error *err)
{
	struct http_client *client;

	if (!http_client_new(&client, err))
		return false;
	struct session *session = memory_new(sizeof(*session));
	session->client = client;
	session->clock = options->clock ? options->clock : &system_clock;
	session->host = memory_copy_text(reference->host);
	session->repository = memory_copy_text(reference->repository);
	session->push = options->push;
	if (options->kept_folder)
		http_client_keep_sessions(client, options->kept_folder);
	session->mount_from = options->mount_from ? memory_copy_text(options->mount_from) : NULL;
	session->kept_folder = options->kept_folder ? memory_copy_text(options->kept_folder) : NULL;
	struct str name = str_of(reference->host);
	if (str_starts_with(name, "[")) {
		(void)str_cut(&name, '[');
		name = str_cut(&name, ']');
	} else {
		name = str_cut(&name, ':');
	}
	bool plain = options->plain_http || http_host_is_loopback(name);
	session->root = memory_format("%s://%s/v2/", plain ? "http" : "https", reference->host);
	session->authorization = (struct authorization){.client = client,
		.clock = session->clock,
		.host = session->host,
		.repository = session->repository,
		.root = session->root,
		.store_folder = session->kept_folder,
		.push = session->push,
		.mount_from = session->mount_from};
	*out_session = session;
	return true;
}

void session_close(struct session **session)
{
	struct session *s = *session;

	if (!s)
		return;
	http_client_free(&s->client);
	authorization_free(&s->authorization);
	strings_free(&s->warnings);
	free(s->mount_from);
	free(s->kept_folder);
	free(s->host);
	free(s->repository);
	free(s->root);
	free(s);
	*session = NULL;
}

const char *session_host(const struct session *session)
{
	return session->host;
}

const char *session_repository(const struct session *session)
{
	return session->repository;
}

struct clock *session_clock(const struct session *session)
{
	return session->clock;
}

bool session_pushes(const struct session *session)
{
	return session->push;
}

const struct session_counts *session_counts(const struct session *session)
{
	return &session->counts;
}

const char *session_credentials_source(const struct session *session)
{
	const char *source = session->authorization.credentials.source;

	return source ? source : "none";
}

void session_count_retry(struct session *session)
{
	session->counts.retries++;
}

char *session_url(const struct session *session, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *path = memory_format_list(format, args);
	va_end(args);
	return memory_format("%s%s/%s", session->root, session->repository, path);
}

void exchange_free(struct exchange *exchange)
{
	http_response_free(&exchange->response);
}

void session_mount_from(struct session *session, const char *repository)
{
	free(session->mount_from);
	session->mount_from = memory_copy_text(repository);
	authorization_with_mount(&session->authorization, session->mount_from);
}

void session_mount_refused(struct session *session)
{
	authorization_without_mount(&session->authorization);
}

const struct strings *session_warnings(const struct session *session)
{
	return &session->warnings;
}

/* Warning: 299 - "text" (RFC 7234, 5.5; distribution-spec, "Warnings"): the text, once. */
static void note_warnings(struct session *session, const struct exchange *exchange)
{
	static const char name[] = "Warning:";

	for (size_t i = 0; i < exchange->response.headers.count; i++) {
		struct str line = str_of(exchange->response.headers.items[i]), text;
		char shown[WARNING_LIMIT];

		if (line.size < sizeof(name) - 1 ||
			!str_equal_ignoring_case((struct str){line.data, sizeof(name) - 1},
				str_literal(name)))
			continue;
		text = str_trim(
			(struct str){line.data + sizeof(name) - 1, line.size - sizeof(name) + 1});
		if (!str_starts_with(text, "299 "))
			continue;
		(void)str_cut(&text, '"');
		if (text.size > 0 && text.data[text.size - 1] == '"')
			text.size--;
		printable_copy(text, shown, sizeof(shown));
		if (shown[0] && session->warnings.count < WARNINGS_LIMIT &&
			!strings_contain(&session->warnings, shown))
			strings_add(&session->warnings, shown);
	}
}

static struct session *owner_of(struct session *session, const struct exchange *exchange)
{
	return exchange->owner ? exchange->owner : session;
}

static void count_request(struct session *session, const struct exchange *exchange)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	int64_t *counts[] = {&session->counts.get, &session->counts.head, &session->counts.post,
		&session->counts.put, &session->counts.patch, &session->counts.remove};

	for (size_t i = 0; i < countof(methods); i++)
		if (text_equal(exchange->method, methods[i]))
			(*counts[i])++;
	session->counts.get += exchange->response.resumed;
	session->counts.retries += exchange->response.resumed;
	session->counts.bytes_sent += exchange->response.bytes_sent;
	session->counts.bytes_received += exchange->response.bytes_received;
}

/* One round: sends what is still open. */
struct round {
	struct exchange **open; /* owned array of borrowed */
	struct http_request *requests;
	struct http_response *responses;
	struct http_header (*headers)[HEADERS_LIMIT];
	size_t count;
	int generation;
};

static void round_free(struct round *round)
{
	free(round->open);
	free(round->requests);
	free(round->responses);
	free(round->headers);
}

/* A blob broke off: on with it? As after any other failure; another range than was asked for costs a try
 * and no wait. */
static bool go_on(void *context, const struct http_response *response, enum error_kind lost,
	int tries, int64_t *out_wait_ms)
{
	const struct session *session = context;
	const char *retry_after = http_response_header(response, "Retry-After");
	struct registry_retry_verdict verdict = {.again = tries < RETRY_TRIES};

	if (lost != ERROR_PROTOCOL)
		verdict = registry_retry(
			&(struct registry_retry_observation){.status = lost ? 0 : response->status,
				.no_answer = lost,
				.retry_after = str_of(lost ? NULL : retry_after),
				.tries = tries,
				.now_ms = clock_now(session->clock),
				.random = random_fraction()});
	if (verdict.again)
		log_trace("registry", "a blob broke off: on with it in %lld ms",
			(long long)verdict.wait_ms);
	*out_wait_ms = verdict.wait_ms;
	return verdict.again;
}

static void prepare(struct session *performing, struct round *round, size_t i)
{
	const struct exchange *x = round->open[i];
	struct session *session = owner_of(performing, x);
	struct http_header *headers = round->headers[i];
	size_t count = 0;

	if (session->authorization.token.value && url_same_origin(session->root, x->url))
		headers[count++] =
			(struct http_header){"Authorization", session->authorization.token.value};
	if (x->accept)
		headers[count++] = (struct http_header){"Accept", x->accept};
	if (x->content_type)
		headers[count++] = (struct http_header){"Content-Type", x->content_type};
	if (x->if_match)
		headers[count++] = (struct http_header){"If-Match", x->if_match};
	if (x->content_range)
		headers[count++] = (struct http_header){"Content-Range", x->content_range};
	round->requests[i] = (struct http_request){.method = x->method,
		.url = x->url,
		.headers = headers,
		.header_count = count,
		.body = x->body,
		.body_fd = x->body_fd,
		.body_offset = x->body_offset,
		.body_size = x->body_size,
		.timeout_ms = x->body_fd > 0 || x->on_body || x->relay_from ? -1 : 0,
		.send_once = x->once || x->relay_from,
		.relay_to = x->relay_to,
		.relay_from = x->relay_from,
		.redirect_limit = x->redirect_limit,
		.body_limit_bytes = x->body_limit_bytes,
		.on_body = x->on_body,
		.context = x->context,
		.resume = x->resume ? go_on : NULL,
		.resume_context = session};
}

double random_fraction(void)
{
	unsigned char byte;

	random_bytes(&byte, 1);
	return (double)byte / 255;
}

/* What the answer of one exchange leads to. */
enum step {
	STEP_SETTLED,
	STEP_AGAIN,
	STEP_FAILED,
};

/*
 * A Location or a redirect may lead to any server. What such a one says of credentials (a token server
 * of its own, for one) is not listened to: it would get those of the registry.
 */
static bool is_elsewhere(const struct session *session, const struct exchange *x)
{
	return x->response.elsewhere || !url_same_origin(session->root, x->url);
}

static enum step refuse_elsewhere(const struct session *session, const struct exchange *x,
	struct error *err)
{
	const char *where = x->response.elsewhere ? x->response.elsewhere : x->url;

	error_raise(err, ERROR_DENIED, "%.*s answered 401, and our credentials are for %s only",
		url_shown(where), session->host);
	error_next(err, "%s leads there: ask those who run it", session->host);
	return STEP_FAILED;
}

/* 401: with new credentials once, without the mount's scope once more. */
static enum step judge_refused(struct session *session, struct exchange *x, struct error *err)
{
	struct authorization *a = &session->authorization;
	struct error why = {0};

	if (x->authenticated) {
		if (x->tentative)
			return STEP_SETTLED;
		if (!authorization_has_mount(a)) {
			authorization_refuse(a, buf_str(&x->response.body), err);
			return STEP_FAILED;
		}
		authorization_without_mount(a);
	}
	x->authenticated = true;
	if (authorization_answer(a, &x->response, &why))
		return STEP_AGAIN;
	if (x->tentative && why.kind == ERROR_DENIED) {
		error_ignore(&why, "the caller goes another way");
		return STEP_SETTLED;
	}
	error_move(err, &why);
	return STEP_FAILED;
}

/* A half is settled whatever it is; a 401 is met with new credentials for the next try of both. */
static enum step judge_half(struct session *session, struct exchange *x, struct error *err)
{
	if (x->response.status == 401 && !x->response.error.kind && !is_elsewhere(session, x) &&
		!authorization_answer(&session->authorization, &x->response, err))
		return STEP_FAILED;
	return STEP_SETTLED;
}

static enum step judge(struct session *session, struct exchange *x, int generation,
	int64_t *wait_ms, struct error *err)
{
	const char *retry_after = http_response_header(&x->response, "Retry-After");

	if (x->relay_to || x->relay_from)
		return judge_half(session, x, err);
	if (x->response.status == 401 && is_elsewhere(session, x))
		return refuse_elsewhere(session, x, err);
	if (x->response.status == 401) {
		if (session->authorization.generation != generation && !x->authenticated) {
			x->authenticated = true;
			return STEP_AGAIN; /* another exchange of this round renewed it */
		}
		return judge_refused(session, x, err);
	}
	if (x->once && (x->tentative || x->response.status != 429))
		return STEP_SETTLED;
	if (x->tentative && x->response.error.kind)
		return STEP_SETTLED;

	struct registry_retry_verdict verdict = registry_retry(
		&(struct registry_retry_observation){.status = x->response.error.kind
								       ? 0
								       : x->response.status,
			.no_answer = x->response.error.kind,
			.retry_after = str_of(retry_after),
			.tries = x->tries,
			.now_ms = clock_now(session->clock),
			.random = random_fraction()});
	if (!verdict.again)
		return STEP_SETTLED;
	log_trace("registry", "%s %.*s: status %d, again in %lld ms", x->method, url_shown(x->url),
		x->response.status, (long long)verdict.wait_ms);
	session->counts.retries++;
	if (verdict.wait_ms > *wait_ms)
		*wait_ms = verdict.wait_ms;
	return STEP_AGAIN;
}

/* Sends the open exchanges and keeps those that must go again. */
static bool perform_round(struct session *session, struct round *round, size_t parallel,
	struct error *err)
{
	struct error first = {0};
	int64_t wait_ms = 0;
	size_t left = 0;

	if (!authorization_freshen(&session->authorization, err))
		return false;
	round->generation = session->authorization.generation;
	for (size_t i = 0; i < round->count; i++) {
		struct exchange *x = round->open[i];
		if (x->restart && !x->restart(x->context, err))
			return false;
		prepare(session, round, i);
	}
	if (!http_perform_all(session->client, round->requests, round->responses, round->count,
		    parallel, &first))
		error_ignore(&first, "each response tells for itself");
	for (size_t i = 0; i < round->count; i++) {
		struct exchange *x = round->open[i];

		http_response_free(&x->response);
		x->response = round->responses[i];
		round->responses[i] = (struct http_response){0};
		x->tries++;
		count_request(owner_of(session, x), x);
		note_warnings(owner_of(session, x), x);
	}
	session->counts.token = session->authorization.fetched;
	for (size_t i = 0; i < round->count; i++) {
		enum step step = judge(owner_of(session, round->open[i]), round->open[i],
			round->generation, &wait_ms, err);
		if (step == STEP_FAILED)
			return false;
		if (step == STEP_AGAIN)
			round->open[left++] = round->open[i];
	}
	round->count = left;
	if (left > 0 && wait_ms > 0)
		clock_sleep(session->clock, wait_ms);
	return true;
}

static bool raise_no_answer(const struct session *session, struct exchange *exchange,
	struct error *err)
{
	error_move(err, &exchange->response.error);
	if (exchange->tries > 1)
		error_while(err, "trying %d times", exchange->tries);
	if (text_starts_with(session->root, "https:") && err && err->kind == ERROR_UNAVAILABLE)
		error_next(err, "is %s reachable? A registry without TLS needs --plain-http",
			session->host);
	if (err && err->kind != ERROR_UNAVAILABLE && err->kind != ERROR_TIMED_OUT)
		return error_next(err,
			"no registry answers so: is %s one, and is there a proxy before it?",
			session->host);
	/* ECR without TLS is the local cloud. */
	if (text_starts_with(session->root, "http:") && ecr_is_host(session->host))
		return error_next(err, "is the local cloud up? dogshore local up --detach");
	return error_next(err, "is a registry listening at %s?", session->host);
}

bool session_perform(struct session *session, struct exchange *exchanges, size_t count,
	size_t parallel, struct error *err)
{
	scoped(round_free) struct round round = {.open = memory_new_array(count, sizeof(void *)),
		.requests = memory_new_array(count, sizeof(struct http_request)),
		.responses = memory_new_array(count, sizeof(struct http_response)),
		.headers = memory_new_array(count, sizeof(*round.headers)),
		.count = count};

	if (!authorization_look_up(&session->authorization, err))
		return false;
	for (size_t i = 0; i < count; i++)
		round.open[i] = &exchanges[i];
	while (round.count > 0)
		if (!perform_round(session, &round, parallel, err))
			return false;
	session->counts.token = session->authorization.fetched;
	for (size_t i = 0; i < count; i++)
		if (exchanges[i].response.error.kind && !exchanges[i].once &&
			!exchanges[i].tentative && !exchanges[i].relay_to)
			return raise_no_answer(session, &exchanges[i], err);
	return true;
}
