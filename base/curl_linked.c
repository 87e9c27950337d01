/*
 * curl_linked.c - libcurl's archive as part of a program (dogshore_link_curl() in cmake/lazy.cmake).
 *
 * What the archive needs of other libraries is loaded when it is called, and of the 32 that come
 * with libcurl's shared library a request over plain HTTP calls none, one over TLS libssl and
 * libnghttp2. What would bring in the rest all the same stands here.
 */
#include "base/curl_library.h"

#include <stdint.h>

const struct curl_linked curl_linked = {
	.functions =
		{
#define CURL_ROW(name) .name = curl_##name,
			CURL_FUNCTIONS(CURL_ROW)
#undef CURL_ROW
		},
	.beside = DOGSHORE_CURL_LIBRARY,
	.build_id = {DOGSHORE_CURL_BUILD_ID},
};

int libssh2_init(int flags);

/* curl_global_init() wants libssh2 ready; http_transfer.c allows http and https only. */
int libssh2_init(int flags)
{
	(void)flags;
	return 0;
}

struct gss_oid {
	uint32_t length;
	const void *elements;
};

extern const struct gss_oid *GSS_C_NT_HOSTBASED_SERVICE;

/* RFC 2744, appendix A: {1 2 840 113554 1 2 1 4}. Data of a library cannot be loaded later. */
const struct gss_oid *GSS_C_NT_HOSTBASED_SERVICE =
	&(const struct gss_oid){10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"};
