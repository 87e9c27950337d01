#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must be written in a form that reads back as the same value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(json_free) struct json *value = NULL, *back = NULL;
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	if (json_parse((struct str){(const char *)data, size}, "fuzz", NULL, &value, &err)) {
		json_write(value, &text);
		if (!json_parse(buf_str(&text), "back",
			    &(struct json_limits){.size_bytes = 1 << 26}, &back, &err) ||
			!json_equal(value, back))
			abort();
	}
	error_free(&err);
	return 0;
}
