/*
 * http_plain.h - one small GET without TLS to this machine, without libcurl.
 *
 * To load libcurl and the 31 libraries behind it takes 4 ms, which is most of what a push of nothing new
 * takes altogether. So the first request of a process, when it is as plain as this, goes by itself;
 * whatever is out of the ordinary is left to libcurl. That asks again, which is safe for a GET (RFC 9110,
 * 9.2.2).
 *
 * Only http_client.c uses this (and the fuzzer).
 */
#ifndef BASE_HTTP_PLAIN_H
#define BASE_HTTP_PLAIN_H

#include "base/http_client.h"

/* Is it one? http://, a loopback address in numbers, no body, nothing that streams. */
bool http_plain_fits(const struct http_request *request);

/* False: libcurl shall do it, nothing is in *out_response. True: it has the answer, or the error that no
 * byte came in time. */
bool http_plain_get(const struct http_request *request, struct http_response *out_response);

enum http_plain_state {
	HTTP_PLAIN_MORE, /* the answer is not whole yet */
	HTTP_PLAIN_WHOLE,
	HTTP_PLAIN_ODD, /* chunked, a redirect, too long, or no HTTP */
};
/*
 * Reads an answer from its beginning; with HTTP_PLAIN_WHOLE status, headers and body are filled.
 *
 * ended  the server closed: a body without a length is whole then
 */
enum http_plain_state http_plain_parse(struct str bytes, bool ended, size_t body_limit_bytes,
	struct http_response *out_response);

#endif
