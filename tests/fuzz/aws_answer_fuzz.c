#include "base/aws/failure.h"
#include "base/aws/query.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are the body of an answer: of the query protocol, and of a refusal in either protocol. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum aws_protocol protocols[] = {AWS_QUERY, AWS_JSON_1_1};
	struct http_response response = {.status = 400};
	struct aws_failure failure;
	struct json *value = NULL;
	struct error err = {0};

	if (query_decode((struct str){(const char *)data, size}, &value, &err))
		json_free(&value);
	error_free(&err);
	buf_append(&response.body, data, size);
	for (size_t i = 0; i < countof(protocols); i++) {
		scoped(text_free) char *message = NULL;

		failure_read(&response, protocols[i], &failure, &message);
		(void)failure_kind(&failure);
	}
	http_response_free(&response);
	return 0;
}
