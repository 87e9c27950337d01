#include "base/process.h"
#include "base/secret_shape.h"

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

/* Where a credential of any shape begins: what is to be hidden of it, behind its name if it has one. */
static enum match shape_at(const struct masker *masker, struct str text, bool last,
	struct secret_place *out_place)
{
	struct str before = {&masker->previous, masker->previous ? 1 : 0};

	for (size_t i = 0; i < secret_shape_count; i++) {
		if (secret_shapes[i].anchor[0] != text.data[0])
			continue;
		switch (secret_shape_match(&secret_shapes[i], before, text, last, out_place)) {
		case SECRET_WHOLE:
			return MATCH_WHOLE;
		case SECRET_PART:
			return MATCH_PART;
		case SECRET_NONE:
			break;
		}
	}
	return MATCH_NONE;
}

/* The name before a credential, which may have a known secret in it. */
static void show_name(const struct masker *masker, struct str name, struct buf *out)
{
	for (size_t at = 0, size; at < name.size; at += size) {
		struct str rest = {name.data + at, name.size - at};

		size = 1;
		if (match_at(masker, rest, true, &size) == MATCH_WHOLE)
			buf_append_text(out, "***");
		else
			buf_append(out, rest.data, size = 1);
	}
}

/* What happens to the text that rest begins with; its size, 0 when that is undecided. */
static size_t show_next(const struct masker *masker, struct str rest, bool last, struct buf *out)
{
	struct secret_place place;
	size_t size;
	enum match match = match_at(masker, rest, last, &size);

	if (match == MATCH_WHOLE) {
		buf_append_text(out, "***");
		return size;
	}
	if (match == MATCH_NONE)
		match = shape_at(masker, rest, last, &place);
	if (match == MATCH_PART)
		return 0;
	if (match == MATCH_WHOLE) {
		show_name(masker, (struct str){rest.data, place.start}, out);
		buf_append_text(out, "***");
		return place.start + place.size;
	}
	buf_append_char(out, rest.data[0]);
	return 1;
}

/* Moves the front of held to out, up to what is undecided. */
static void show(struct masker *masker, bool last, struct buf *out)
{
	struct str rest = buf_str(&masker->held);
	bool starts[256] = {false};

	for (size_t i = 0; i < masker->secrets.count; i++)
		starts[(unsigned char)masker->secrets.items[i][0]] = true;
	for (size_t i = 0; i < secret_shape_count; i++)
		starts[(unsigned char)secret_shapes[i].anchor[0]] = true;
	while (rest.size) {
		size_t size = 0;

		while (size < rest.size && !starts[(unsigned char)rest.data[size]])
			size++;
		if (size)
			buf_append(out, rest.data, size);
		else
			size = show_next(masker, rest, last, out);
		if (!size)
			break;
		masker->previous = rest.data[size - 1];
		rest = (struct str){rest.data + size, rest.size - size};
	}
	buf_remove_front(&masker->held, masker->held.size - rest.size);
}

void masker_feed(struct masker *masker, struct str piece, struct buf *out)
{
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
