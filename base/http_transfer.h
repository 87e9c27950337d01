/*
 * http_transfer.h - one request on its way through libcurl, over all its redirects. Private to
 *                   http_client.c, which moves many of them at once.
 *
 * A leg is the way to one URL: transfer_prepare() sets libcurl up for it, the callbacks fill the
 * response while http_client.c runs it.
 */
#ifndef BASE_HTTP_TRANSFER_H
#define BASE_HTTP_TRANSFER_H

#include "base/curl_library.h"
#include "base/http_client.h"
#include "base/http_resume.h"
#include "base/tls_sessions.h"

struct transfer {
	const struct http_request *request;
	struct http_response *response;
	CURL *easy;
	struct curl_slist *headers;
	char *url;           /* owned; where it goes now */
	bool foreign;        /* a redirect led to another host: no credentials any more */
	bool get;            /* a redirect turned it into a GET */
	int redirects;       /* followed so far */
	int64_t offset;      /* of body_fd: next byte to send, from body_offset */
	size_t headers_size; /* bytes of headers of this answer */
	int sends;           /* how often libcurl began to send on this leg */
	int64_t started_ms, active_ms;
	int64_t paced_bytes;  /* of the answer, when active_ms was set */
	struct error failure; /* raised inside a callback */
	char reason[CURL_ERROR_SIZE];
	struct tls_peer *peer; /* whose TLS session is kept; borrowed, NULL: none */
	struct http_resume resume;
	int64_t due_ms; /* when the next leg begins, while it waits for that */
	bool waiting;   /* for due_ms */
	bool paused;    /* its relay is full, or empty */
	bool begun, done;
};

/* A transfer that waits for its relay, paused or not begun, could go on. */
bool transfer_is_ready(const struct transfer *transfer);
/* Makes transfer->easy and transfer->headers for the request as it goes to transfer->url. */
bool transfer_prepare(struct transfer *transfer, struct tls_sessions *sessions, struct error *err)
	must_use;
const char *transfer_method(const struct transfer *transfer);
/* The answer is a redirect that the request wants followed. */
bool transfer_will_redirect(const struct transfer *transfer);
int64_t monotonic_ms(void);

#endif
