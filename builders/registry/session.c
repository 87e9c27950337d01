#include "builders/registry/session.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/credentials.h"
#include "builders/registry/retry.h"
#include "builders/registry/token.h"

#include <stdlib.h>

enum { HEADERS_LIMIT = 5 };

struct session {
	struct http_client *client;
	struct clock *clock;
	char *host, *repository, *root; /* owned; root: "http://host/v2/" */
	bool push;
	struct credentials credentials;
	bool looked_up;      /* credentials were asked for */
	char *authorization; /* owned, secret: header value for our registry; NULL: none */
	int generation;      /* counts authorizations, so that one 401 renews it once */
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
	struct str host = str_of(reference->host), name;
	name = host.data[0] == '[' ? str_of(reference->host) : str_cut(&host, ':');
	if (name.data[0] == '[') {
		const char *end = memchr(name.data, ']', name.size);
		name.size = end ? (size_t)(end - name.data) + 1 : name.size;
	}
	bool plain = options->plain_http || http_host_is_loopback(name);
	session->root = memory_format("%s://%s/v2/", plain ? "http" : "https", reference->host);
	*out_session = session;
	return true;
}

static void wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	text_free(text);
}

void session_close(struct session **session)
{
	struct session *s = *session;

	if (!s)
		return;
	http_client_free(&s->client);
	credentials_free(&s->credentials);
	wipe(&s->authorization);
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

static void set_authorization(struct session *session, char *value)
{
	wipe(&session->authorization);
	session->authorization = value;
	session->generation++;
}

/* Looks once for who we are; a user and password go out with the first request. */
static bool look_up(struct session *session, struct error *err)
{
	if (session->looked_up)
		return true;
	if (!credentials_find(session->host, &session->credentials, err))
		return error_while(err, "looking for credentials for %s", session->host);
	session->looked_up = true;
	if (session->credentials.password)
		set_authorization(session, token_basic(&session->credentials));
	return true;
}

static bool refuse_credentials(struct session *session, const struct exchange *exchange,
	struct error *err)
{
	struct refusal refusal;

	refusal_parse(buf_str(&exchange->response.body), &refusal);
	if (credentials_known(&session->credentials)) {
		error_raise(err, ERROR_DENIED, "%s refuses our credentials (from %s) for %s%s%s",
			session->host, session->credentials.source, session->repository,
			refusal.message[0] ? ": " : "", refusal.message);
		return error_next(err,
			"log in again: docker login %s, or for ECR check the AWS "
			"credentials: aws sts get-caller-identity",
			session->host);
	}
	error_raise(err, ERROR_DENIED, "%s wants credentials for %s and we have none",
		session->host, session->repository);
	return error_next(err, "log in: docker login %s (podman login and skopeo login do as well)",
		session->host);
}

/* Answers a 401 with a new authorization. */
static bool authenticate(struct session *session, const struct exchange *exchange,
	struct error *err)
{
	static const char name[] = "WWW-Authenticate:";
	scoped(challenge_free) struct challenge challenge = {0};
	char *authorization;

	for (size_t i = 0; i < exchange->response.headers.count; i++) {
		struct str line = str_of(exchange->response.headers.items[i]);
		if (line.size < sizeof(name) - 1 ||
			!str_equal_ignoring_case((struct str){line.data, sizeof(name) - 1},
				str_literal(name)))
			continue;
		challenge_parse((struct str){line.data + sizeof(name) - 1,
					line.size - sizeof(name) + 1},
			&challenge);
	}
	if (challenge.kind != CHALLENGE_BEARER)
		return refuse_credentials(session, exchange, err);

	struct token_request request = {.client = session->client,
		.challenge = &challenge,
		.credentials = &session->credentials,
		.registry_url = session->root,
		.repository = session->repository,
		.push = session->push};
	session->counts.token++;
	if (!token_fetch(&request, &authorization, err))
		return error_while(err, "getting a token for %s/%s", session->host,
			session->repository);
	set_authorization(session, authorization);
	return true;
}

static void count_request(struct session *session, const struct exchange *exchange)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	int64_t *counts[] = {&session->counts.get, &session->counts.head, &session->counts.post,
		&session->counts.put, &session->counts.patch, &session->counts.remove};

	for (size_t i = 0; i < countof(methods); i++)
		if (text_equal(exchange->method, methods[i]))
			(*counts[i])++;
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

static void prepare(const struct session *session, struct round *round, size_t i)
{
	const struct exchange *x = round->open[i];
	struct http_header *headers = round->headers[i];
	size_t count = 0;

	if (session->authorization && url_same_origin(session->root, x->url))
		headers[count++] = (struct http_header){"Authorization", session->authorization};
	if (x->accept)
		headers[count++] = (struct http_header){"Accept", x->accept};
	if (x->content_type)
		headers[count++] = (struct http_header){"Content-Type", x->content_type};
	if (x->if_match)
		headers[count++] = (struct http_header){"If-Match", x->if_match};
	round->requests[i] = (struct http_request){.method = x->method,
		.url = x->url,
		.headers = headers,
		.header_count = count,
		.body = x->body,
		.body_fd = x->body_fd,
		.body_size = x->body_size,
		.timeout_ms = x->body_fd > 0 || x->on_body ? -1 : 0,
		.send_once = x->once,
		.redirect_limit = x->redirect_limit,
		.body_limit_bytes = x->body_limit_bytes,
		.on_body = x->on_body,
		.context = x->context};
}

static double random_fraction(void)
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

static enum step judge(struct session *session, struct exchange *x, int generation,
	int64_t *wait_ms, struct error *err)
{
	const char *retry_after = http_response_header(&x->response, "Retry-After");

	if (x->response.status == 401) {
		if (session->generation != generation)
			return STEP_AGAIN; /* another exchange of this round renewed it */
		if (x->authenticated || !url_same_origin(session->root, x->url)) {
			refuse_credentials(session, x, err);
			return STEP_FAILED;
		}
		x->authenticated = true;
		return authenticate(session, x, err) ? STEP_AGAIN : STEP_FAILED;
	}
	if (x->once && x->response.status != 429)
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

	round->generation = session->generation;
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
		count_request(session, x);
	}
	for (size_t i = 0; i < round->count; i++) {
		enum step step = judge(session, round->open[i], round->generation, &wait_ms, err);
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

	if (!look_up(session, err))
		return false;
	for (size_t i = 0; i < count; i++)
		round.open[i] = &exchanges[i];
	while (round.count > 0)
		if (!perform_round(session, &round, parallel, err))
			return false;
	for (size_t i = 0; i < count; i++)
		if (exchanges[i].response.error.kind && !exchanges[i].once)
			return raise_no_answer(session, &exchanges[i], err);
	return true;
}

bool session_refuse(struct session *session, const struct exchange *exchange, const char *expected,
	struct error *err)
{
	struct refusal refusal;
	int status = exchange->response.status;

	if (exchange->response.error.kind) {
		error_raise(err, exchange->response.error.kind, "%s",
			exchange->response.error.message);
		return error_next(err, "is %s reachable?", session->host);
	}
	refusal_parse(buf_str(&exchange->response.body), &refusal);
	error_raise(err, error_kind_of_http(status), "%s %.*s answered %d, expected %s%s%s%s%s",
		exchange->method, url_shown(exchange->url), status, expected,
		refusal.code[0] ? "; " : "", refusal.code, refusal.message[0] ? ": " : "",
		refusal.message);
	if (text_equal(refusal.code, "NAME_UNKNOWN") && session->push)
		error_next(err, "create the repository \"%s\" first, or give --create-repository",
			session->repository);
	if (status == 403)
		error_next(err, "the credentials used (%s) may not do this on %s",
			session->credentials.source ? session->credentials.source : "none",
			session->repository);
	if (status == 507)
		error_next(err, "free some space on the disk of the registry at %s", session->host);
	if (status == 429)
		error_next(err, "%s limits how often it is asked: try again later", session->host);
	if (status >= 500)
		error_next(err, "the registry at %s has trouble of its own: see its log, try again",
			session->host);
	if (exchange->tries >= RETRY_TRIES)
		error_while(err, "trying %d times", exchange->tries);
	return false;
}
