/* Scans and masks bytes whole and in pieces, whose size is the first byte: both must agree. */
#include "base/masker.h"
#include "base/process.h"
#include "base/secret_scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mask(struct str text, size_t step, struct buf *out)
{
	scoped(masker_free) struct masker masker = {0};

	masker_add(&masker, "given-secret");
	for (size_t at = 0; at < text.size; at += step)
		masker_feed(&masker,
			(struct str){text.data + at, step < text.size - at ? step : text.size - at},
			out);
	masker_flush(&masker, out);
}

static bool scan(struct str text, size_t step, struct secret_hit *hit)
{
	scoped(strings_free) struct strings given = {0};
	strings_add(&given, "given-secret");
	struct secret_rules *rules = secret_rules_new(&given);
	struct secret_scan *scan = secret_scan_new(rules);

	secret_scan_begin(scan);
	for (size_t at = 0; at < text.size; at += step)
		secret_scan_feed(scan, text.data + at,
			step < text.size - at ? step : text.size - at);
	bool found = secret_scan_end(scan, hit);
	secret_scan_free(&scan);
	secret_rules_free(&rules);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 8192)
		return 0;
	struct str text = {(const char *)data + 1, size - 1};
	size_t step = data[0] ? (size_t)data[0] * 8 : 1;
	struct secret_hit whole = {0}, pieces = {0};
	scoped(buf_free) struct buf masked = {0}, in_pieces = {0};

	if (scan(text, text.size, &whole) != scan(text, step, &pieces) ||
		whole.kind != pieces.kind || whole.offset != pieces.offset)
		abort();
	mask(text, text.size, &masked);
	mask(text, step, &in_pieces);
	if (!str_equal(buf_str(&masked), buf_str(&in_pieces)))
		abort();
	return 0;
}
