/*
 * http_gate.h - refuses requests that two readers could understand differently.
 *
 * Run once per request over the received header lines. Refused (400): two Content-Length, a
 * Content-Length that is not all digits, Content-Length with Transfer-Encoding, a Transfer-Encoding
 * other than exactly "chunked", white space before a colon, folded lines, NUL, no Host or two in
 * HTTP/1.1, a target that is neither origin-form, absolute-form nor "*".
 *
 * Source  RFC 9112 sections 3.2, 5.1, 5.2, 6.1, 6.3.
 */
#ifndef BASE_HTTP_GATE_H
#define BASE_HTTP_GATE_H

#include "base/buf.h"

struct http_gate_header {
	struct str name, value;
};

/* NULL when the request may pass, else why not (static text). */
const char *http_gate_check(struct str method, struct str target, struct str version,
	const struct http_gate_header *headers, size_t count);

/* The same over the raw header block ("GET / HTTP/1.1\r\n…\r\n\r\n"), for fuzzing and for servers
 * that see the bytes. */
const char *http_gate_check_raw(struct str head);

#endif
