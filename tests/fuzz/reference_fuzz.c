#include "base/memory.h"
#include "builders/image/layout.h"
#include "builders/registry/reference.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are the name of an image; what is accepted reads the same when it is written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = str_copy((struct str){(const char *)data, size});
	char *path = NULL, *tag = NULL;
	struct reference reference = {0}, again = {0};
	struct error err = {0};

	if (reference_parse(text, &reference, &err)) {
		scoped(text_free) char *written = reference_text(&reference);
		if (!reference_parse(written, &again, &err) ||
			!text_equal(reference.host, again.host) ||
			!text_equal(reference.repository, again.repository))
			abort();
	}
	error_free(&err);
	if (!layout_reference_parse(text, &path, &tag, &err))
		error_free(&err);
	text_free(&path);
	text_free(&tag);
	reference_free(&reference);
	reference_free(&again);
	text_free(&text);
	return 0;
}
