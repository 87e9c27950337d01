#include "services/kit/trace.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_hex(char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[16];

	assert(size % 2 == 0 && size <= 2 * sizeof(bytes));
	/* Up to 256 bytes come whole and without waiting once the machine is up. */
	if (getrandom(bytes, size / 2, 0) != (ssize_t)(size / 2))
		abort();
	for (size_t i = 0; i < size; i++)
		out[i] = digits[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	out[size] = '\0';
}

/* Lower case only, and not all zeros. */
static bool is_id(const char *text, size_t size)
{
	bool zero = true;

	for (size_t i = 0; i < size; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		zero = zero && text[i] == '0';
	}
	return !zero;
}

static bool is_hex_pair(const char *text)
{
	return is_id(text, 2) || (text[0] == '0' && text[1] == '0');
}

/* "00-<trace id>-<parent id>-<flags>"; a later version may have more behind. */
static bool read_parent(const char *text, struct trace *trace)
{
	enum { TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, LENGTH = 55 };
	size_t size = text ? strlen(text) : 0;

	if (size < LENGTH || text[2] != '-' || text[PARENT_AT - 1] != '-' ||
		text[FLAGS_AT - 1] != '-')
		return false;
	if (!is_hex_pair(text) || strncmp(text, "ff", 2) == 0)
		return false;
	if (size > LENGTH && (strncmp(text, "00", 2) == 0 || text[LENGTH] != '-'))
		return false;
	if (!is_id(text + TRACE_AT, TRACE_ID_SIZE - 1) ||
		!is_id(text + PARENT_AT, SPAN_ID_SIZE - 1) || !is_hex_pair(text + FLAGS_AT))
		return false;
	memcpy(trace->trace_id, text + TRACE_AT, TRACE_ID_SIZE - 1);
	memcpy(trace->parent_id, text + PARENT_AT, SPAN_ID_SIZE - 1);
	trace->flags = (unsigned char)strtoul(text + FLAGS_AT, NULL, 16);
	return true;
}

/* What may stand in a log line and in a header as it is. */
static bool is_request_id(const char *text)
{
	size_t size = text ? strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789-_.=:/+")
			   : 0;

	return size > 0 && size < REQUEST_ID_SIZE && !text[size];
}

struct trace trace_start(const char *traceparent, const char *tracestate, const char *request_id)
{
	enum { SAMPLED = 1 };
	struct trace trace = {0};

	if (!read_parent(traceparent, &trace)) {
		random_hex(trace.trace_id, TRACE_ID_SIZE - 1);
		trace.flags = SAMPLED;
	} else if (tracestate && strlen(tracestate) < sizeof(trace.state)) {
		memcpy(trace.state, tracestate, strlen(tracestate) + 1);
	}
	random_hex(trace.span_id, SPAN_ID_SIZE - 1);
	if (is_request_id(request_id))
		memcpy(trace.request_id, request_id, strlen(request_id) + 1);
	else
		random_hex(trace.request_id, 32);
	return trace;
}

void trace_child(const struct trace *trace, char out_traceparent[TRACE_PARENT_SIZE])
{
	char span[SPAN_ID_SIZE];

	random_hex(span, SPAN_ID_SIZE - 1);
	snprintf(out_traceparent, TRACE_PARENT_SIZE, "00-%s-%s-%02x", trace->trace_id, span,
		trace->flags);
}
