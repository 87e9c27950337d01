#include "builders/image/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are a manifest or index, with and without what the sender called it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {NULL, MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX "; x=y"};
	struct str text = {(const char *)data, size};

	for (size_t i = 0; i < countof(types); i++) {
		struct manifest manifest = {0};
		struct error err = {0};

		if (!manifest_parse(text, types[i], "input", &manifest, &err))
			error_free(&err);
		manifest_free(&manifest);
	}
	return 0;
}
