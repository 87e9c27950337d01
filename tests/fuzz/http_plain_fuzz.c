#include "base/http_plain.h"
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are an answer: what is given out is within them, and nothing is while it is not whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct http_response response = {0};
	enum http_plain_state state = http_plain_parse(bytes, size % 2, 4096, &response);

	if (state == HTTP_PLAIN_WHOLE) {
		if (response.body.size > 4096 || response.body.size > size ||
			response.status < 200 || response.status > 599)
			abort();
	} else if (response.status || response.headers.count || response.body.size) {
		abort();
	}
	http_response_free(&response);
	return 0;
}
