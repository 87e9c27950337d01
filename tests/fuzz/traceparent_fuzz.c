/*
 * traceparent, tracestate and X-Request-Id as a client may send them, separated by line breaks. What
 * comes out must always be fit for log lines and headers.
 */
#include "services/kit/trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool is_hex(const char *text, size_t size)
{
	return strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	char *parent = str_copy(str_cut(&rest, '\n'));
	char *state = str_copy(str_cut(&rest, '\n'));
	char *request = str_copy(rest);
	struct trace trace = trace_start(parent, state, request);
	char child[TRACE_PARENT_SIZE];

	trace_child(&trace, child);
	require(is_hex(trace.trace_id, 32) && is_hex(trace.span_id, 16));
	require(!trace.parent_id[0] || is_hex(trace.parent_id, 16));
	require(strlen(child) == 55 && strncmp(child + 3, trace.trace_id, 32) == 0);
	require(trace.request_id[0] && strlen(trace.request_id) < REQUEST_ID_SIZE);
	for (const char *c = trace.request_id; *c; c++)
		require(*c > ' ' && *c < 0x7f && *c != '"' && *c != '\\');
	free(parent);
	free(state);
	free(request);
	return 0;
}
