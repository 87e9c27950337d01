#include "base/mask_form.h"

#include "base/mask_escape.h"

static enum mask_match match_exact(const struct mask_form *form, struct str text, bool last,
	size_t *out_size)
{
	bool whole = form->size <= text.size;

	if ((last && !whole) || memcmp(form->text, text.data, whole ? form->size : text.size) != 0)
		return MASK_NONE;
	*out_size = form->size;
	return whole ? MASK_WHOLE : MASK_PART;
}

char mask_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool equal(const char *pattern, const char *text, size_t size, bool any_case)
{
	if (!any_case)
		return memcmp(pattern, text, size) == 0;
	for (size_t i = 0; i < size; i++)
		if (mask_upper(pattern[i]) != mask_upper(text[i]))
			return false;
	return true;
}

/* The first of the ways to write a character that the text goes on with: the longer ones come first. */
static enum mask_match match_character(const struct mask_escapes *escapes, struct str text,
	bool last, size_t *out_size)
{
	for (size_t i = 0; i < escapes->count; i++) {
		size_t size = escapes->items[i].size;
		bool whole = size <= text.size;

		if ((last && !whole) ||
			!equal(escapes->items[i].text, text.data, whole ? size : text.size,
				escapes->items[i].any_case))
			continue;
		*out_size = size;
		return whole ? MASK_WHOLE : MASK_PART;
	}
	return MASK_NONE;
}

static enum mask_match match_escaped(const struct mask_form *form, struct str text, bool last,
	size_t *out_size)
{
	struct mask_escapes escapes;
	size_t at = 0, size = 0;

	for (size_t i = 0; i < form->size; i += escapes.size, at += size) {
		struct str rest = {text.data + at, text.size - at};

		mask_escapes_of((struct str){form->text + i, form->size - i}, &escapes);
		enum mask_match match = match_character(&escapes, rest, last, &size);

		if (match != MASK_WHOLE)
			return match;
	}
	*out_size = at;
	return MASK_WHOLE;
}

/* RFC 4648, sections 4 and 5: both alphabets; -1 is no character of them. */
int mask_base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* A line break between groups of four, where programs fold lines. */
static enum mask_match skip_fold(const struct mask_form *form, size_t i, struct str text, bool last,
	size_t *at)
{
	size_t size = 0;

	if (i == 0 || i % 4 != form->phase)
		return MASK_WHOLE;
	if (*at < text.size && text.data[*at] == '\r')
		size = 1;
	if (*at + size == text.size)
		return last ? MASK_NONE : MASK_PART;
	if (text.data[*at + size] == '\n')
		*at += size + 1;
	return MASK_WHOLE;
}

/* The character that the secret decides in part, and the padding of its group. */
static enum mask_match match_tail(const struct mask_form *form, struct str text, bool last,
	size_t *at)
{
	/* Groups end phase characters on, and then every four. */
	size_t padding = 3 - (form->size + 4 - form->phase) % 4;

	if (form->tail_bits == 0)
		return MASK_WHOLE;
	if (*at < text.size) {
		int value = mask_base64_value(text.data[*at]);

		if (value < 0 || (unsigned)value >> (6 - form->tail_bits) != form->tail_value)
			return MASK_WHOLE;
		++*at;
		while (padding && *at < text.size && text.data[*at] == '=') {
			++*at;
			padding--;
		}
		if (padding == 0 || *at < text.size)
			return MASK_WHOLE;
	}
	return last ? MASK_WHOLE : MASK_PART;
}

static enum mask_match match_base64(const struct mask_form *form, struct str text, bool last,
	size_t *out_size)
{
	size_t at = 0;

	for (size_t i = 0; i < form->size; i++) {
		enum mask_match match = skip_fold(form, i, text, last, &at);

		if (match != MASK_WHOLE)
			return match;
		if (at == text.size)
			return last ? MASK_NONE : MASK_PART;
		if (mask_base64_value(text.data[at++]) != mask_base64_value(form->text[i]))
			return MASK_NONE;
	}
	enum mask_match match = match_tail(form, text, last, &at);

	*out_size = at;
	return match;
}

static enum mask_match (*const matches[])(const struct mask_form *form, struct str text, bool last,
	size_t *out_size) = {
	[FORM_EXACT] = match_exact,
	[FORM_ESCAPED] = match_escaped,
	[FORM_BASE64] = match_base64,
};

enum mask_match mask_form_match(const struct mask_form *form, struct str text, bool last,
	size_t *out_size)
{
	return matches[form->kind](form, text, last, out_size);
}
