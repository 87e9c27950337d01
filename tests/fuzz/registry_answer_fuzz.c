#include "base/http_resume.h"
#include "base/memory.h"
#include "builders/registry/answer.h"
#include "builders/registry/credentials.h"
#include "builders/registry/upload_course.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are a challenge, a refusal, missing blobs, a Location a docker configuration, a Range and a Content-Range. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct challenge challenge = {0};
	struct refusal refusal;
	struct digest *missing = NULL;
	struct credentials credentials = {0};
	struct error err = {0};
	char *location = str_copy(text), *url = NULL;

	challenge_parse(text, &challenge);
	challenge_free(&challenge);
	refusal_parse(text, &refusal);
	if (refusal_missing(text, &missing) > 0 && !missing)
		abort();
	free(missing);
	(void)upload_range_size(text);
	struct http_resume resume = {.passed = 8};
	if (http_resume_begin(&resume, 206, text) && !memmem(data, size, "8-", 2))
		abort(); /* it is no rest from the eighth byte on */
	for (const char *at = refusal.message; *at; at++)
		if ((unsigned char)*at < ' ')
			abort();
	if (!location_resolve("https://r.example.com/v2/a/blobs/uploads/", location, "sha256:00",
		    &url, &err))
		error_free(&err);
	text_free(&url);
	text_free(&location);
	/* No helper of this machine may be started by what a fuzzer thinks up. */
	if (!memmem(data, size, "cred", 4) &&
		!credentials_from_config(text, "input", "r.example.com", "team/app", &credentials,
			&err))
		error_free(&err);
	credentials_free(&credentials);
	return 0;
}
