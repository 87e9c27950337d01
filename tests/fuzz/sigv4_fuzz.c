#include "base/sigv4.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str piece)
{
	if (piece.data < whole.data || piece.data + piece.size > whole.data + whole.size)
		abort();
}

/* The bytes are a received header, and the path, query and header of a request to be verified. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct sigv4_header header = {str_literal("X"), text};
	struct sigv4_request request = {.method = str_literal("GET"),
		.path = text,
		.query = text,
		.headers = &header,
		.header_count = 1,
		.normalise_path = true,
		.escape_path_twice = true};
	struct sigv4_received received;
	struct error err = {0};
	struct buf canonical = {0};

	if (sigv4_authorization_parse(text, &received, &err)) {
		check_inside(text, received.access_key_id);
		check_inside(text, received.signed_headers);
		check_inside(text, received.signature);
	}
	sigv4_canonical_request(&request, &canonical);
	buf_free(&canonical);
	error_free(&err);
	return 0;
}
