#include "base/masker.h"

#include "base/secret_shape.h"

#include <stdlib.h>

void masker_add(struct masker *masker, const char *secret)
{
	if (!*secret || strings_contain(&masker->secrets, secret))
		return;
	strings_add(&masker->secrets, secret);
	mask_forms_free(&masker->forms);
}

/* Where a credential of any shape begins: what is to be hidden of it, behind its name if it has one. */
static enum mask_match shape_at(const struct masker *masker, size_t at, bool last,
	struct secret_place *out_place)
{
	struct str text = {masker->held.data + at, masker->held.size - at};
	const char *previous = at ? text.data - 1 : &masker->previous;
	struct str before = {previous, *previous ? 1 : 0};

	for (size_t i = 0; i < secret_shape_count; i++) {
		const char *anchor = secret_shapes[i].anchor;

		if (anchor[0] != text.data[0] || (text.size > 1 && anchor[1] != text.data[1]))
			continue;
		switch (secret_shape_match(&secret_shapes[i], before, text, last, out_place)) {
		case SECRET_WHOLE:
			return MASK_WHOLE;
		case SECRET_PART:
			return MASK_PART;
		case SECRET_NONE:
			break;
		}
	}
	return MASK_NONE;
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

	if (marks->size < from + size) {
		size_t more = from + size - marks->size;

		memset(buf_reserve(marks, more), MARK_SHOWN, more);
		marks->size += more;
	}
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
	enum mask_match known = mask_forms_match(masker->forms, rest, last, &size);

	if (known == MASK_PART)
		return false;
	if (known == MASK_WHOLE)
		hide(masker, at, size);
	enum mask_match shape = shape_at(masker, at, last, &place);

	if (shape == MASK_WHOLE && place.size)
		hide(masker, at + place.start, place.size);
	return shape != MASK_PART;
}

/* What begins before the result is found and marked. */
static size_t find(struct masker *masker, bool last)
{
	struct str held = buf_str(&masker->held);
	size_t at = mask_forms_next(masker->forms, held, 0);

	while (at < held.size && find_at(masker, at, last))
		at = mask_forms_next(masker->forms, held, at + 1);
	return at;
}

/* Appends the first bytes of held, what is hidden as "***". */
static void show(const struct masker *masker, size_t size, struct buf *out)
{
	const char *marks = masker->marks.data;
	size_t marked = masker->marks.size < size ? masker->marks.size : size, at = 0;

	while (at < marked) {
		const char *begin;

		while (at < marked && marks[at] == MARK_INSIDE)
			at++;
		begin = memchr(marks + at, MARK_BEGIN, marked - at);
		size_t to = begin ? (size_t)(begin - marks) : marked;

		buf_append(out, masker->held.data + at, to - at);
		if (begin)
			buf_append_text(out, "***");
		at = begin ? to + 1 : marked;
	}
	buf_append(out, masker->held.data + at, size - at);
}

/* Shows the first bytes of held and lets them go. */
static void let_go(struct masker *masker, size_t size, struct buf *out)
{
	if (!size)
		return;
	show(masker, size, out);
	masker->previous = masker->held.data[size - 1];
	buf_remove_front(&masker->marks, size < masker->marks.size ? size : masker->marks.size);
	buf_remove_front(&masker->held, size);
}

/* Shows held up to size, and what stands in between. */
static void let_go_with_pauses(struct masker *masker, size_t size, struct buf *out)
{
	size_t *pauses = (size_t *)(void *)masker->pauses.data;
	size_t count = masker->pauses.size / sizeof(size_t), passed = 0, at = 0;

	for (; passed < count && pauses[passed] <= size; passed++) {
		let_go(masker, pauses[passed] - at, out);
		at = pauses[passed];
		masker->paused(masker->self, out);
	}
	let_go(masker, size - at, out);
	buf_remove_front(&masker->pauses, passed * sizeof(size_t));
	for (size_t i = 0; i < count - passed; i++)
		pauses[i] -= size;
}

static void pass(struct masker *masker, struct str piece, bool last, struct buf *out)
{
	if (!masker->forms)
		masker->forms = mask_forms_new(&masker->secrets);
	buf_append_str(&masker->held, piece);
	size_t size = find(masker, last);

	if (masker->pauses.size)
		let_go_with_pauses(masker, size, out);
	else
		let_go(masker, size, out);
}

void masker_feed(struct masker *masker, struct str piece, struct buf *out)
{
	pass(masker, piece, false, out);
}

void masker_flush(struct masker *masker, struct buf *out)
{
	pass(masker, (struct str){0}, true, out);
}

void masker_pause(struct masker *masker)
{
	scoped(buf_free) struct buf none = {0};

	if (masker->held.size)
		buf_append(&masker->pauses, &masker->held.size, sizeof(masker->held.size));
	else
		masker->paused(masker->self, &none);
}

char *masker_text(struct masker *masker, const char *text)
{
	struct masker own = {0};
	struct buf out = {0};

	if (!masker->forms)
		masker->forms = mask_forms_new(&masker->secrets);
	own.forms = masker->forms;
	pass(&own, str_of(text), true, &out);
	own.forms = NULL; /* borrowed */
	masker_free(&own);
	return buf_take(&out);
}

void masker_free(struct masker *masker)
{
	strings_free(&masker->secrets);
	mask_forms_free(&masker->forms);
	buf_free(&masker->held);
	buf_free(&masker->marks);
	buf_free(&masker->pauses);
}
