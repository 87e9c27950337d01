/*
 * trace.h - who asked: the request id, and the trace it belongs to (W3C Trace Context).
 *
 * Both come with the request or are made here, stand in every log line about it, and go out with
 * every call made for it, so that one request can be followed through all services.
 *
 * Source  https://www.w3.org/TR/trace-context/ sections 3.2 (traceparent), 3.3 (tracestate).
 */
#ifndef SERVICES_KIT_TRACE_H
#define SERVICES_KIT_TRACE_H

#include "base/buf.h"

enum {
	TRACE_ID_SIZE = 33, /* 32 hex digits and a NUL */
	SPAN_ID_SIZE = 17,
	TRACE_PARENT_SIZE = 56,
	REQUEST_ID_SIZE = 65,
	TRACE_STATE_SIZE = 513, /* what everybody must forward */
};

struct trace {
	char trace_id[TRACE_ID_SIZE];
	char span_id[SPAN_ID_SIZE];   /* ours */
	char parent_id[SPAN_ID_SIZE]; /* the caller's; "" when the trace starts here */
	char state[TRACE_STATE_SIZE]; /* the caller's tracestate; "" when there is none */
	char request_id[REQUEST_ID_SIZE];
	unsigned char flags;
};

/* The header values may be NULL; ones that make no sense count as absent. */
struct trace trace_start(const char *traceparent, const char *tracestate, const char *request_id);

/* The traceparent of a call made for it: a span of its own below ours. */
void trace_child(const struct trace *trace, char out_traceparent[TRACE_PARENT_SIZE]);

/* size hex digits of good randomness and a NUL; size even, at most 32. */
void random_hex(char *out, size_t size);

#endif
