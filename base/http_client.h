/*
 * http_client.h - HTTP and HTTPS requests (libcurl multi), one at a time or many side by side.
 *                 libcurl is loaded by the first http_client_new(), not at start.
 *
 * A client keeps connections open between requests. It follows no redirect by itself unless asked,
 * sends no "Expect:", verifies certificates (against SSL_CERT_FILE and SSL_CERT_DIR when they are set),
 * and speaks to proxies as the environment says except
 * for loopback addresses.
 *
 * Ownership  a response owns its headers and body. Threads: a client belongs to one thread.
 * Limits     headers 64 KiB, body_limit_bytes, timeouts as given.
 */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/http_relay.h"

/* In 30 s this is a telephone line of 1990. */
enum { HTTP_PACE_BYTES = 16 * 1024 };

struct http_client;
struct http_response;

struct http_header {
	const char *name, *value; /* value must hold no CR or LF */
};

struct http_request {
	const char *method; /* NULL: GET */
	const char *url;
	const char *unix_socket; /* connect there instead of to the URL's host; NULL: no */
	const struct http_header *headers;
	size_t header_count;
	struct str body; /* sent with its length; data == NULL: no body */
	int body_fd;     /* > 0: body_size bytes are sent from its current offset instead */
	int64_t body_size;
	int64_t body_offset;        /* where in body_fd to start; rewound on retry */
	int64_t connect_timeout_ms; /* 0: 5 s */
	int64_t timeout_ms;         /* whole request; 0: 60 s; -1: none */
	int64_t stall_timeout_ms; /* no byte in this time ends it, and with timeout_ms -1 less than
				     * HTTP_PACE_BYTES of an answer do: it would last for ever; 0: 30 s */
	/* Not even on a fresh connection when a kept one turns out closed: for bodies that continue
	 * something, where half of a first attempt may have arrived. Other methods than GET, HEAD, PUT,
	 * DELETE and OPTIONS are always sent once. */
	bool send_once;
	/* 0: a 3xx is an answer like any other. Credentials are dropped on another host; ERROR_DENIED where
	 * http_host_may_lead_to() says no. */
	int redirect_limit;
	bool direct;             /* through no proxy, whatever the environment says */
	size_t body_limit_bytes; /* 0: 16 MiB; ERROR_LIMIT beyond */
	/* Body bytes of a 2xx answer go here instead of into response.body when set; false stops with
	 * its error. What a refusal says is in response.body as always. */
	bool (*on_body)(void *context, const void *bytes, size_t size, struct error *err);
	void *context;
	/* Body bytes of a 2xx answer go there, after on_body has seen them; and come from there, body_size
	 * of them. */
	struct http_relay *relay_to, *relay_from;
	/*
	 * A body of which some went to on_body and then broke off goes on there with its next byte
	 * (http_resume.h), as long as this says so; NULL: it ends. Both see one body.
	 *
	 * lost   why there is no answer, else ERROR_NONE and response has the one that was no help;
	 *        ERROR_PROTOCOL: another range came, and the next try asks for none
	 * tries  that failed since the last progress
	 */
	bool (*resume)(void *context, const struct http_response *response, enum error_kind lost,
		int tries, int64_t *out_wait_ms);
	void *resume_context;
};

struct http_response {
	int status;
	struct strings headers; /* "Name: value" as received, of the last answer */
	/* Owned: "http://host:port" of another server than was asked, to which redirects led and whose
	 * answer this is; what it wants of credentials is not for ours. NULL: there was none. */
	char *elsewhere;
	struct buf body;
	int64_t bytes_sent, bytes_received;
	/* The request went out, at least in part; the server may have acted on it. Also set when there
	 * was no answer: false means that sending it again repeats nothing. */
	bool was_sent;
	int64_t duration_ms;
	int resumed;        /* requests made besides the first, each for the rest of the body */
	int vain;           /* of them, and the first: in vain since the last progress */
	struct error error; /* http_perform_all: why this one got no answer */
};

bool http_client_new(struct http_client **out_client, struct error *err) must_use;
void http_client_free(struct http_client **client);
/* Keeps TLS sessions in a folder between runs (tls_sessions.h); it is made when there is something to
 * keep. */
void http_client_keep_sessions(struct http_client *client, const char *folder);

/*
 * One request. Any status is a success here; no answer is an error: ERROR_UNAVAILABLE (refused,
 * reset, name not found), ERROR_TIMED_OUT, ERROR_DENIED (certificate), ERROR_LIMIT, ERROR_PROTOCOL.
 * Nothing is retried: whether that is safe only the caller knows.
 */
bool http_perform(struct http_client *client, const struct http_request *request,
	struct http_response *out_response, struct error *err) must_use;

/*
 * count requests side by side, at most parallel at once (0: 8). responses[i].error tells which got
 * no answer; returns false with the first such error when any did.
 */
bool http_perform_all(struct http_client *client, const struct http_request *requests,
	struct http_response *out_responses, size_t count, size_t parallel, struct error *err)
	must_use;

/* The first value of a header, name in any case; NULL when absent. Borrowed. */
const char *http_response_header(const struct http_response *response, const char *name);
void http_response_free(struct http_response *response);

/* Resolves a Location against the URL it came from; owned. ERROR_PROTOCOL when it is no http(s) URL. */
bool http_url_resolve(const char *base, const char *location, char **out_url, struct error *err)
	must_use;
/* scheme://host[:port]/path?query in pieces that borrow from url. */
struct http_url {
	struct str scheme, host, port, path,
		query; /* port may be empty; path starts with '/' or is empty */
};
bool http_url_parse(const char *url, struct http_url *out_parts, struct error *err) must_use;
bool http_host_is_loopback(struct str host); /* localhost, 127.0.0.0/8, ::1 */
/* May an answer of one host send us to the other? Not into a private network from outside, nor to this
 * machine from another, nor to a link-local address from anywhere else: that is where clouds hand out
 * credentials. Names are not looked up. */
bool http_host_may_lead_to(struct str from, struct str to);

#endif
