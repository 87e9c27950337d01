#include "builders/image/reasons.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are the list of reasons of an image. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reasons reasons = {0};
	struct error err = {0};
	size_t *steps = NULL, count = 0;

	if (!reasons_parse((struct str){(const char *)data, size}, "input", &reasons, &err)) {
		if (err.kind != ERROR_INVALID && err.kind != ERROR_LIMIT &&
			err.kind != ERROR_CONFLICT)
			abort();
		error_free(&err);
		return 0;
	}
	if (reasons.count > 0 &&
		reasons_find(&reasons, reasons.items[0].path, &steps, &count, &err))
		for (size_t i = 0; i < count; i++)
			if (steps[i] >= reasons.count)
				abort();
	free(steps);
	error_free(&err);
	reasons_free(&reasons);
	return 0;
}
