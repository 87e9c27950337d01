#include "builders/image/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are an image's configuration. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_facts facts = {0};
	struct error err = {0};

	if (!config_parse((struct str){(const char *)data, size}, "input", &facts, &err))
		error_free(&err);
	image_facts_free(&facts);
	return 0;
}
