/*
 * session.h - requests to one repository of one registry: who we are, when to try again, how many
 *             requests were made.
 *
 *     answer 401 ─► authorization.h ─► the request again
 *     answer 429, 5xx, none ─► registry_retry() ─► wait ─► the request again
 *
 * Known credentials are sent with the first request, so a registry with Basic costs no round trip
 * more. They are sent to the registry's own scheme, host and port only.
 *
 * Threads  a session belongs to one thread.
 */
#ifndef BUILDERS_REGISTRY_SESSION_H
#define BUILDERS_REGISTRY_SESSION_H

#include "base/clock.h"
#include "base/http_client.h"
#include "builders/registry/reference.h"

struct session;

struct session_options {
	bool plain_http;         /* HTTP without TLS; loopback hosts are by themselves */
	bool push;               /* ask for the right to push as well */
	const char *mount_from;  /* ask for the right to read this repository besides; NULL: none */
	const char *kept_folder; /* where tokens of earlier runs are; NULL: none are kept */
	struct clock *clock;     /* NULL: the system's */
};

bool session_open(const struct reference *reference, const struct session_options *options,
	struct session **out_session, struct error *err) must_use;
void session_close(struct session **session);

const char *session_host(const struct session *session);
const char *session_repository(const struct session *session);
struct clock *session_clock(const struct session *session);
bool session_pushes(const struct session *session); /* was opened to push */
/* Where its credentials are from, for errors; "none". */
const char *session_credentials_source(const struct session *session);
/* Blobs may be mounted from there: asks for the right to read it as well. */
void session_mount_from(struct session *session, const char *repository);
/* The registry refused a mount: the right to read its source is not asked for any more. Some token
 * servers (GitLab's) give the last scope only, and then we could not push either. */
void session_mount_refused(struct session *session);
/* What the registry wants people to know ("Warning: 299 …"), each text once. */
const struct strings *session_warnings(const struct session *session);
/* The URL of a path below the repository: session_url(s, "manifests/%s", tag); owned. */
char *session_url(const struct session *session, const char *format, ...)
	must_use printf_like(2, 3);

/* One request and what became of it. */
struct exchange {
	const char *method;
	const char *url;
	const char *accept;       /* NULL: none */
	const char *content_type; /* NULL: none */
	const char *if_match;     /* an ETag; NULL: none */
	const char *content_range;
	struct str body;
	int body_fd; /* > 0: body_size bytes of it from body_offset */
	int64_t body_offset, body_size;
	bool once;      /* a lost connection or 5xx is the caller's business, not repeated here */
	bool tentative; /* it is but a try: a lost connection and a 401 are the caller's business too */
	bool (*on_body)(void *context, const void *bytes, size_t size, struct error *err);
	bool resume; /* a body that breaks off goes on where it did, in the same try */
	/* Called before each try, so that on_body can begin anew; NULL: nothing to do. */
	bool (*restart)(void *context, struct error *err);
	void *context;
	/* Half of a pair, see base/http_relay.h: goes once, and neither half is repeated alone. */
	struct http_relay *relay_to, *relay_from;
	struct session
		*owner; /* whose rights it needs, and who counts it; NULL: the performing one's */
	int redirect_limit;
	size_t body_limit_bytes;

	struct http_response response; /* the last answer; its error when there was none */
	int tries;
	bool authenticated; /* a 401 was answered with new credentials already */
};
void exchange_free(struct exchange *exchange);

/*
 * Makes all requests side by side until each has an answer that no repeat would better, whatever its
 * status. Returns false when one got no answer at all (the first such error), except those with
 * `once`, whose response.error says so.
 *
 * Fails with ERROR_DENIED when the registry refuses our credentials, ERROR_UNAVAILABLE after five tries.
 */
bool session_perform(struct session *session, struct exchange *exchanges, size_t count,
	size_t parallel, struct error *err) must_use;

/* Raises what an unexpected answer means: "PUT https://… answered 413 (SIZE_INVALID: …)", with
 * advice where we have some. Always false. */
bool session_refuse(struct session *session, const struct exchange *exchange, const char *expected,
	struct error *err);

/* Is this the code of the first error in its answer? */
bool session_has_code(const struct exchange *exchange, const char *code);

/* Link: <URL>; rel="next". Owned; NULL: this was the last page. Stays on the registry: ERROR_PROTOCOL
 * when it leads anywhere else. */
bool session_next_page(const struct exchange *exchange, char **out_url, struct error *err) must_use;

/* Docker-Content-Digest is advisory and may use another algorithm; a sha256 that differs is a lie. */
bool session_check_digest(const struct exchange *exchange, const struct digest *real,
	struct error *err) must_use;

/* 0 … 1, for spreading retries. */
double random_fraction(void);

/* What was done so far. */
struct session_counts {
	int64_t get, head, post, put, patch, remove,
		token; /* requests by method; token: to token servers */
	int64_t retries, bytes_sent, bytes_received;
};
const struct session_counts *session_counts(const struct session *session);
/* For a repeat that a caller makes by itself. */
void session_count_retry(struct session *session);

#endif
