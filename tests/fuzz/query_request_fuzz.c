#include "deployers/local/query_codec.h"
#include "deployers/local/registry_api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are a request's form; what comes out of it goes back as an answer. They are a path of
 * the registry, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct json *input = NULL;
	struct error err = {0};
	struct buf out = {0};

	if (query_parse(text, &input, &err))
		query_write_answer("Describe", "http://x/", input, "id", &out);
	(void)registry_path_parse(text);
	json_free(&input);
	error_free(&err);
	buf_free(&out);
	return 0;
}
