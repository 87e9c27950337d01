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

enum mark {
	MARK_SHOWN, /* also what lies behind marks */
	MARK_BEGIN, /* the first byte of what is hidden */
	MARK_INSIDE,
};

/* Hides bytes of held; what overlaps becomes one. Doing it again changes nothing. */
static void hide(struct masker *masker, size_t from, size_t size)
{
	struct buf *marks = &masker->marks;

	while (marks->size < from + size)
		buf_append_char(marks, MARK_SHOWN);
	if (marks->data[from] == MARK_SHOWN)
		marks->data[from] = MARK_BEGIN;
	memset(marks->data + from + 1, MARK_INSIDE, size - 1);
}

/* Hides what begins at this byte of held; false when that is undecided. Also within what is hidden
 * already: another secret may begin there and go on behind it. */
static bool find_at(struct masker *masker, size_t at, bool last)
{
	struct str rest = {masker->held.data + at, masker->held.size - at};
	struct secret_place place;
	size_t size;
	enum match known = match_at(masker, rest, last, &size);

	if (known == MATCH_PART)
		return false;
	if (known == MATCH_WHOLE)
		hide(masker, at, size);
	enum match shape = shape_at(masker, rest, last, &place);

	if (shape == MATCH_WHOLE && place.size)
		hide(masker, at + place.start, place.size);
	return shape != MATCH_PART;
}

static void show_byte(const struct masker *masker, size_t at, struct buf *out)
{
	enum mark mark = at < masker->marks.size ? (enum mark)masker->marks.data[at] : MARK_SHOWN;

	if (mark == MARK_SHOWN)
		buf_append_char(out, masker->held.data[at]);
	else if (mark == MARK_BEGIN)
		buf_append_text(out, "***");
}

/* Moves the front of held to out, up to what is undecided. */
static void show(struct masker *masker, bool last, struct buf *out)
{
	struct str held = buf_str(&masker->held);
	bool starts[256] = {false};
	size_t at = 0;

	for (size_t i = 0; i < masker->secrets.count; i++)
		starts[(unsigned char)masker->secrets.items[i][0]] = true;
	for (size_t i = 0; i < secret_shape_count; i++)
		starts[(unsigned char)secret_shapes[i].anchor[0]] = true;
	while (at < held.size) {
		size_t plain = at;

		/* Most bytes neither begin a secret nor are hidden. */
		while (plain < held.size && plain >= masker->marks.size &&
			!starts[(unsigned char)held.data[plain]])
			plain++;
		if (plain > at) {
			buf_append(out, held.data + at, plain - at);
			at = plain;
		} else {
			if (starts[(unsigned char)held.data[at]] && !find_at(masker, at, last))
				break;
			show_byte(masker, at++, out);
		}
		masker->previous = held.data[at - 1];
	}
	buf_remove_front(&masker->marks, at < masker->marks.size ? at : masker->marks.size);
	buf_remove_front(&masker->held, at);
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
	buf_free(&masker->marks);
}
