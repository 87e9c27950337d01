/* A manifest and a configuration, each on a line: what a registry may hold about running an image. */
#include "deployers/local/task_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct str first = size ? str_cut(&rest, '\n') : (struct str){0};
	scoped(json_free) struct json *manifest = NULL, *config = NULL;
	scoped(task_image_free) struct task_image image = {0};
	scoped(error_free) struct error err = {0};

	if (json_parse(first, "manifest", NULL, &manifest, &err) &&
		json_parse(rest, "config", NULL, &config, &err) &&
		!task_image_parse(manifest, config, &image, &err) && !err.message)
		__builtin_trap(); /* a refusal without a reason */
	return 0;
}
