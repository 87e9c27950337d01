#include "base/process.h"

void masker_add(struct masker *masker, const char *secret)
{
	size_t size = strlen(secret), at = 0;
	struct strings *secrets = &masker->secrets;

	if (!size || strings_contain(secrets, secret))
		return;
	while (at < secrets->count && strlen(secrets->items[at]) >= size)
		at++;
	strings_add(secrets, secret);
	char *added = secrets->items[secrets->count - 1];

	memmove(secrets->items + at + 1, secrets->items + at,
		(secrets->count - 1 - at) * sizeof(*secrets->items));
	secrets->items[at] = added;
}

enum match {
	MATCH_NONE,
	MATCH_WHOLE,
	MATCH_PART, /* the text ends before it is decided */
};

/* Longest first, so a secret that contains another is replaced whole; and while a longer one may
 * still follow, a shorter one has to wait (last: nothing follows). */
static enum match match_at(const struct masker *masker, struct str text, bool last,
	size_t *out_size)
{
	for (size_t i = 0; i < masker->secrets.count; i++) {
		struct str secret = str_of(masker->secrets.items[i]);
		bool whole = secret.size <= text.size;

		if ((last && !whole) ||
			memcmp(secret.data, text.data, whole ? secret.size : text.size) != 0)
			continue;
		*out_size = secret.size;
		return whole ? MATCH_WHOLE : MATCH_PART;
	}
	return MATCH_NONE;
}

/* Moves the front of held to out, up to what is undecided. */
static void show(struct masker *masker, bool last, struct buf *out)
{
	struct str rest = buf_str(&masker->held);
	bool starts[256] = {false};

	for (size_t i = 0; i < masker->secrets.count; i++)
		starts[(unsigned char)masker->secrets.items[i][0]] = true;
	for (size_t size = 1; rest.size; rest = (struct str){rest.data + size, rest.size - size}) {
		for (size = 0; size < rest.size && !starts[(unsigned char)rest.data[size]]; size++)
			continue;
		if (size) {
			buf_append(out, rest.data, size);
			continue;
		}
		enum match match = match_at(masker, rest, last, &size);

		if (match == MATCH_PART)
			break;
		if (match == MATCH_WHOLE) {
			buf_append_text(out, "***");
		} else {
			size = 1;
			buf_append_char(out, rest.data[0]);
		}
	}
	buf_remove_front(&masker->held, masker->held.size - rest.size);
}

void masker_feed(struct masker *masker, struct str piece, struct buf *out)
{
	if (!masker->secrets.count) {
		buf_append_str(out, piece);
		return;
	}
	buf_append_str(&masker->held, piece);
	show(masker, false, out);
}

void masker_flush(struct masker *masker, struct buf *out)
{
	show(masker, true, out);
}

void masker_free(struct masker *masker)
{
	strings_free(&masker->secrets);
	buf_free(&masker->held);
}
