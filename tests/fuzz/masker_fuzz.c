/*
 * Masks a text with given secrets, whole and in pieces. Both must agree, nothing of the secrets may be
 * left, and base64 of a secret must not be shown. Where secrets are so short that no other form of them
 * is looked for, and nothing looks like a credential by itself, exactly they must be hidden.
 *
 * Input: size of the pieces (one byte), the secrets, each on a line, an empty line, the text.
 */
#include "base/digest.h"
#include "base/masker.h"
#include "base/memory.h"

#include <stdlib.h>

enum { SIZE_MAX_BYTES = 4096, SECRETS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mask(const struct strings *secrets, struct str text, size_t step, struct buf *out)
{
	scoped(masker_free) struct masker masker = {0};

	for (size_t i = 0; i < secrets->count; i++)
		masker_add(&masker, secrets->items[i]);
	for (size_t at = 0; at < text.size; at += step)
		masker_feed(&masker,
			(struct str){text.data + at, step < text.size - at ? step : text.size - at},
			out);
	masker_flush(&masker, out);
	if (masker.held.size || masker.marks.size)
		abort();
}

/* Byte by byte: of secrets that begin at one place the longest counts; what overlaps is one. */
static void mask_slowly(const struct strings *secrets, struct str text, struct buf *out)
{
	size_t hidden_to = 0;

	for (size_t at = 0; at < text.size; at++) {
		size_t longest = 0;

		for (size_t i = 0; i < secrets->count; i++) {
			size_t size = strlen(secrets->items[i]);

			if (size > longest && size <= text.size - at &&
				memcmp(text.data + at, secrets->items[i], size) == 0)
				longest = size;
		}
		if (longest && at >= hidden_to)
			buf_append_text(out, "***");
		if (at + longest > hidden_to && longest)
			hidden_to = at + longest;
		if (at >= hidden_to)
			buf_append_char(out, text.data[at]);
	}
}

static void read_secrets(struct str *rest, struct strings *out)
{
	while (rest->size && rest->data[0] != '\n' && out->count < SECRETS_MAX) {
		struct str line = str_cut(rest, '\n');
		scoped(text_free) char *secret = str_copy(line);

		/* A NUL ends it, as it does in the environment, where secrets come from. */
		if (*secret)
			strings_add(out, secret);
	}
	str_cut(rest, '\n');
}

/* A secret that has no star itself cannot come of "***" and what stands beside it. */
static void check_gone(const struct strings *secrets, struct str shown)
{
	for (size_t i = 0; i < secrets->count; i++) {
		const char *secret = secrets->items[i];

		if (!strchr(secret, '*') && memmem(shown.data, shown.size, secret, strlen(secret)))
			abort();
	}
}

static void check_base64(const struct strings *secrets)
{
	for (size_t i = 0; i < secrets->count; i++) {
		scoped(buf_free) struct buf plain = {0}, encoded = {0}, shown = {0};

		if (str_trim(str_of(secrets->items[i])).size < MASK_ENCODED_LEAST)
			continue;
		buf_append(&plain, "??", i % 3);
		buf_append_text(&plain, secrets->items[i]);
		base64_append(&encoded, plain.data, plain.size);
		mask(secrets, buf_str(&encoded), 1, &shown);
		if (!strstr(buf_text(&shown), "***"))
			abort();
	}
}

static bool has_forms(const struct strings *secrets)
{
	for (size_t i = 0; i < secrets->count; i++)
		if (strlen(secrets->items[i]) >= MASK_ENCODED_LEAST)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(strings_free) struct strings secrets = {0}, none = {0};
	scoped(buf_free) struct buf whole = {0}, pieces = {0}, alone = {0}, slowly = {0};

	if (size < 2 || size > SIZE_MAX_BYTES)
		return 0;
	struct str rest = {(const char *)data + 1, size - 1};
	size_t step = data[0] ? data[0] : 1;

	read_secrets(&rest, &secrets);
	if (!rest.size)
		return 0;
	mask(&secrets, rest, rest.size, &whole);
	mask(&secrets, rest, step, &pieces);
	if (!str_equal(buf_str(&whole), buf_str(&pieces)))
		abort();
	check_gone(&secrets, buf_str(&whole));
	check_base64(&secrets);
	mask(&none, rest, rest.size, &alone);
	if (has_forms(&secrets) || !str_equal(buf_str(&alone), rest))
		return 0;
	mask_slowly(&secrets, rest, &slowly);
	if (!str_equal(buf_str(&whole), buf_str(&slowly)))
		abort();
	return 0;
}
