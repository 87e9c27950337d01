#include "base/mask_forms.h"

#include "base/digest.h"
#include "base/mask_escape.h"
#include "base/mask_form.h"
#include "base/memory.h"
#include "base/secret_shape.h"

#include <endian.h>
#include <stdlib.h>

enum {
	WINDOW = 4, /* bytes by which a form is found */
	GRAM_BITS = 16,
	WINDOWS_MAX = 4096, /* for one secret that begins with nothing but special characters */
};

/* Forms that may begin with a byte, as a list: index + 1 of the next. */
struct link {
	size_t form, next;
};

struct mask_forms {
	uint32_t grams[(1 << GRAM_BITS) / 32]; /* which triples a window holds */
	bool starts[256];
	bool short_ones;   /* one has less than WINDOW bytes: every place has to be looked at */
	size_t heads[256]; /* by first byte */
	struct mask_form *items; /* owned */
	size_t count, capacity;
	struct link *links; /* owned; [0] is not used */
	size_t link_count, link_capacity;
};

/* ---- where something may begin */

static uint32_t word_at(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return le32toh(word);
}

/* Of the first three bytes. */
static uint32_t gram_of(uint32_t word)
{
	return (word & 0xffffff) * 0x9e3779b1u >> (32 - GRAM_BITS);
}

static unsigned has_gram(const struct mask_forms *forms, uint32_t gram)
{
	return forms->grams[gram / 32] >> (gram % 32) & 1;
}

static void add_window(struct mask_forms *forms, const char *window)
{
	uint32_t word = word_at(window);
	const uint32_t grams[] = {gram_of(word), gram_of(word >> 8)};

	for (size_t i = 0; i < 2; i++)
		forms->grams[grams[i] / 32] |= 1u << (grams[i] % 32);
	forms->starts[(unsigned char)*window] = true;
}

static bool is_window(const struct mask_forms *forms, struct str text, size_t at)
{
	if (!forms->starts[(unsigned char)text.data[at]])
		return false;
	if (at + WINDOW > text.size)
		return true;
	uint32_t word = word_at(text.data + at);

	return has_gram(forms, gram_of(word)) && has_gram(forms, gram_of(word >> 8));
}

/* The first window among those that have a triple at an even place of a span. */
static size_t window_in(const struct mask_forms *forms, struct str text, size_t from, size_t to,
	size_t least)
{
	for (size_t at = from; at < to; at += 2) {
		if (!has_gram(forms, gram_of(word_at(text.data + at))))
			continue;
		if (at > least && is_window(forms, text, at - 1))
			return at - 1;
		if (is_window(forms, text, at))
			return at;
	}
	return to;
}

size_t mask_forms_next(const struct mask_forms *forms, struct str text, size_t from)
{
	enum { LOOKS = 8, SPAN = 2 * LOOKS };
	size_t at = from;

	if (forms->short_ones) {
		while (at < text.size && !forms->starts[(unsigned char)text.data[at]])
			at++;
		return at;
	}
	for (; at + SPAN + WINDOW <= text.size; at += SPAN) {
		const char *data = text.data + at;
		unsigned any = 0;

		/* Or-ed: one branch for all looks. */
		for (size_t i = 0; i < LOOKS; i++)
			any |= has_gram(forms, gram_of(word_at(data + 2 * i)));
		if (!any)
			continue;
		size_t found = window_in(forms, text, at, at + SPAN, from);

		if (found < at + SPAN)
			return found;
	}
	for (at = at > from ? at - 1 : at; at < text.size; at++)
		if (is_window(forms, text, at))
			return at;
	return text.size;
}

/* ---- what begins there */

enum mask_match mask_forms_match(const struct mask_forms *forms, struct str text, bool last,
	size_t *out_size)
{
	enum mask_match found = MASK_NONE;
	size_t longest = 0;

	for (size_t i = forms->heads[(unsigned char)*text.data]; i; i = forms->links[i].next) {
		const struct mask_form *form = &forms->items[forms->links[i].form];
		size_t size = 0;
		enum mask_match match = mask_form_match(form, text, last, &size);

		/* A longer one may follow: a shorter one has to wait. */
		if (match == MASK_PART)
			return MASK_PART;
		if (match == MASK_WHOLE && size > longest)
			longest = size;
		if (match == MASK_WHOLE)
			found = MASK_WHOLE;
	}
	*out_size = longest;
	return found;
}

/* ---- the forms of a secret */

static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity ? 2 * *capacity : 64;
	return memory_resize(items, *capacity * size);
}

/* The newest form may begin with this byte. */
static void link_byte(struct mask_forms *forms, unsigned char first)
{
	size_t form = forms->count - 1, head = forms->heads[first];

	if (head && forms->links[head].form == form)
		return;
	forms->links =
		grow(forms->links, forms->link_count, &forms->link_capacity, sizeof(*forms->links));
	forms->links[forms->link_count] = (struct link){form, head};
	forms->heads[first] = forms->link_count++;
}

/* The newest form may begin with these bytes. */
static void link_window(struct mask_forms *forms, const char *window)
{
	add_window(forms, window);
	link_byte(forms, (unsigned char)*window);
}

static void add_form(struct mask_forms *forms, enum mask_form_kind kind, struct str text)
{
	forms->items = grow(forms->items, forms->count, &forms->capacity, sizeof(*forms->items));
	forms->items[forms->count++] =
		(struct mask_form){.kind = kind, .text = str_copy(text), .size = text.size};
}

static void add_exact(struct mask_forms *forms, struct str text)
{
	if (!text.size)
		return;
	add_form(forms, FORM_EXACT, text);
	if (text.size >= WINDOW) {
		link_window(forms, text.data);
		return;
	}
	forms->short_ones = true;
	forms->starts[(unsigned char)*text.data] = true;
	link_byte(forms, (unsigned char)*text.data);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
}

/* All that the escaped text may begin with, behind what the window has already. */
static void link_escapes(struct mask_forms *forms, struct str text, char *window, size_t size,
	size_t *left)
{
	struct mask_escapes escapes;

	if (size >= WINDOW && *left) {
		--*left;
		link_window(forms, window);
	}
	if (size >= WINDOW || !text.size)
		return;
	mask_escapes_of(text, &escapes);
	struct str rest = {text.data + escapes.size, text.size - escapes.size};

	for (size_t i = 0; i < escapes.count; i++) {
		size_t more = escapes.items[i].size;

		memcpy(window + size, escapes.items[i].text, more);
		link_escapes(forms, rest, window, size + more, left);
		if (!escapes.items[i].any_case)
			continue;
		for (size_t at = size; at < size + more; at++)
			window[at] = lower(window[at]);
		link_escapes(forms, rest, window, size + more, left);
	}
}

static void add_escaped(struct mask_forms *forms, struct str secret)
{
	char window[WINDOW + MASK_ESCAPE_SIZE];
	struct mask_escapes escapes = {0};
	size_t left = WINDOWS_MAX;
	bool any = false;

	for (size_t at = 0; at < secret.size && !any; at += escapes.size) {
		mask_escapes_of((struct str){secret.data + at, secret.size - at}, &escapes);
		any = escapes.count > 1;
	}
	if (!any)
		return;
	add_form(forms, FORM_ESCAPED, secret);
	link_escapes(forms, secret, window, 0, &left);
}

static void add_hex(struct mask_forms *forms, struct str secret)
{
	scoped(buf_free) struct buf hex = {0};

	hex_append(&hex, secret.data, secret.size);
	add_exact(forms, buf_str(&hex));
	for (size_t i = 0; i < hex.size; i++)
		hex.data[i] = mask_upper(hex.data[i]);
	add_exact(forms, buf_str(&hex));
}

/* As it is, and with a line folded where the first group ends. */
static void link_folds(struct mask_forms *forms, const struct mask_form *form)
{
	char window[WINDOW + 2];
	size_t phase = form->phase;

	link_window(forms, form->text);
	if (!phase)
		return;
	memcpy(window, form->text, WINDOW);
	memmove(window + phase + 1, window + phase, WINDOW - phase);
	window[phase] = '\n';
	link_window(forms, window);
	memcpy(window + phase, "\r\n", 2);
	memcpy(window + phase + 2, form->text + phase, WINDOW - phase);
	link_window(forms, window);
}

/*
 * What base64 makes of the secret behind `before` bytes of something else. Characters that both
 * decide are left out; the last one, which what follows decides, too, is the tail.
 */
static void add_base64(struct mask_forms *forms, struct str secret, size_t before)
{
	static const size_t shared[] = {0, 2, 3}; /* characters that 0, 1, 2 bytes have a part in */
	scoped(buf_free) struct buf bytes = {0}, encoded = {0};
	size_t bits = 8 * (before + secret.size), whole = bits / 6;

	buf_append(&bytes, "\0\0", before);
	buf_append_str(&bytes, secret);
	base64_append(&encoded, bytes.data, bytes.size);
	add_form(forms, FORM_BASE64,
		(struct str){encoded.data + shared[before], whole - shared[before]});
	struct mask_form *form = &forms->items[forms->count - 1];

	form->phase = (4 - shared[before]) % 4;
	form->tail_bits = bits % 6;
	if (form->tail_bits)
		form->tail_value =
			(unsigned)mask_base64_value(encoded.data[whole]) >> (6 - bits % 6);
	link_folds(forms, form);
	for (size_t i = 0; i < form->size; i++)
		form->text[i] = form->text[i] == '+'   ? '-'
				: form->text[i] == '/' ? '_'
						       : form->text[i];
	link_folds(forms, form);
}

static void add_lines(struct mask_forms *forms, struct str secret)
{
	struct str rest = secret;

	while (rest.data) {
		struct str line = str_trim(str_cut(&rest, '\n'));

		if (line.size >= MASK_LINE_LEAST && line.size < secret.size)
			add_exact(forms, line);
	}
}

static void add_secret(struct mask_forms *forms, struct str secret)
{
	struct str trimmed = str_trim(secret);

	add_exact(forms, secret);
	/* A file's last line break is none of its secret's. */
	if (trimmed.size < secret.size && trimmed.size >= MASK_ENCODED_LEAST)
		add_exact(forms, trimmed);
	if (trimmed.size < MASK_ENCODED_LEAST)
		return;
	add_lines(forms, trimmed);
	add_escaped(forms, trimmed);
	add_hex(forms, trimmed);
	for (size_t before = 0; before < 3; before++)
		add_base64(forms, trimmed, before);
}

/* The anchors of credentials all have a window's size. */
static void add_shapes(struct mask_forms *forms)
{
	for (size_t i = 0; i < secret_shape_count; i++)
		add_window(forms, secret_shapes[i].anchor);
}

struct mask_forms *mask_forms_new(const struct strings *secrets)
{
	struct mask_forms *forms = memory_new(sizeof(*forms));

	forms->link_count = 1; /* 0 ends a list */
	for (size_t i = 0; i < secrets->count; i++)
		add_secret(forms, str_of(secrets->items[i]));
	add_shapes(forms);
	return forms;
}

void mask_forms_free(struct mask_forms **forms)
{
	if (!*forms)
		return;
	for (size_t i = 0; i < (*forms)->count; i++)
		free((*forms)->items[i].text);
	free((*forms)->items);
	free((*forms)->links);
	free(*forms);
	*forms = NULL;
}
