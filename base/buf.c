#include "base/buf.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct str str_of(const char *text)
{
	return text ? (struct str){text, strlen(text)} : (struct str){0};
}

bool str_equal(struct str a, struct str b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool str_equal_text(struct str a, const char *text)
{
	return str_equal(a, str_of(text));
}

bool str_equal_ignoring_case(struct str a, struct str b)
{
	return a.size == b.size && (a.size == 0 || strncasecmp(a.data, b.data, a.size) == 0);
}

bool str_starts_with(struct str piece, const char *prefix)
{
	size_t size = strlen(prefix);

	return piece.size >= size && (size == 0 || memcmp(piece.data, prefix, size) == 0);
}

bool str_ends_with(struct str piece, const char *suffix)
{
	size_t size = strlen(suffix);

	return piece.size >= size &&
	       (size == 0 || memcmp(piece.data + piece.size - size, suffix, size) == 0);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str piece)
{
	while (piece.size && is_blank(piece.data[0])) {
		piece.data++;
		piece.size--;
	}
	while (piece.size && is_blank(piece.data[piece.size - 1]))
		piece.size--;
	return piece;
}

struct str str_cut(struct str *rest, char separator)
{
	struct str whole = *rest;
	const char *at = whole.size ? memchr(whole.data, separator, whole.size) : NULL;

	if (!at) {
		*rest = (struct str){0};
		return whole;
	}
	size_t before = (size_t)(at - whole.data);

	*rest = (struct str){at + 1, whole.size - before - 1};
	return (struct str){whole.data, before};
}

bool str_to_int(struct str piece, int64_t *out_value)
{
	bool negative = piece.size && piece.data[0] == '-';
	int64_t value = 0;

	if (piece.size == (size_t)negative)
		return false;
	for (size_t i = negative; i < piece.size; i++) {
		int digit = piece.data[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, negative ? -digit : digit, &value))
			return false;
	}
	*out_value = value;
	return true;
}

size_t utf8_length(struct str piece)
{
	const unsigned char *text = (const unsigned char *)piece.data;
	unsigned char least = 0x80, most = 0xBF;

	if (!piece.size || text[0] < 0x80)
		return piece.size > 0;
	size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;

	if (text[0] < 0xC2 || text[0] > 0xF4 || piece.size < length)
		return 0;
	if (text[0] == 0xE0)
		least = 0xA0;
	else if (text[0] == 0xED)
		most = 0x9F;
	else if (text[0] == 0xF0)
		least = 0x90;
	else if (text[0] == 0xF4)
		most = 0x8F;
	if (text[1] < least || text[1] > most)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

bool str_is_utf8(struct str piece)
{
	while (piece.size) {
		size_t length = utf8_length(piece);

		if (!length)
			return false;
		piece.data += length;
		piece.size -= length;
	}
	return true;
}

char *str_copy(struct str piece)
{
	return memory_copy(piece.data, piece.size);
}

bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool text_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
	return str_ends_with(str_of(text), suffix);
}

bool text_matches(const char *text, const char *pattern)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

enum { NEAREST_MAX = 64 };

/* Levenshtein distance with one row; words beyond NEAREST_MAX are never near. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1], na = strlen(a), nb = strlen(b);

	if (na > NEAREST_MAX || nb > NEAREST_MAX)
		return NEAREST_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t insert = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = change < insert ? change : insert;
		}
	}
	return row[nb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 2;

	for (size_t i = 0; i < count; i++) {
		size_t d = distance(word, candidates[i]);

		if (d < best_distance && d < strlen(candidates[i])) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}

char *buf_reserve(struct buf *buf, size_t size)
{
	size_t need = buf->size + size + 1;

	if (need > buf->capacity) {
		size_t room = buf->capacity ? buf->capacity * 2 : 64;

		if (room < need)
			room = need;
		buf->data = memory_resize(buf->data, room);
		buf->capacity = room;
	}
	return buf->data + buf->size;
}

void buf_append(struct buf *buf, const void *bytes, size_t size)
{
	char *room = buf_reserve(buf, size);

	if (size)
		memcpy(room, bytes, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_str(struct buf *buf, struct str piece)
{
	buf_append(buf, piece.data, piece.size);
}

void buf_append_char(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	size_t room = buf->capacity > buf->size ? buf->capacity - buf->size : 0;
	int size = vsnprintf(room ? buf->data + buf->size : NULL, room, format, args);

	va_end(args);
	if (size >= 0 && (size_t)size >= room) {
		char *to = buf_reserve(buf, (size_t)size);

		size = vsnprintf(to, (size_t)size + 1, format, again);
	}
	va_end(again);
	if (size > 0)
		buf->size += (size_t)size;
}

void buf_clear(struct buf *buf)
{
	buf->size = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_remove_front(struct buf *buf, size_t size)
{
	if (size >= buf->size) {
		buf_clear(buf);
		return;
	}
	memmove(buf->data, buf->data + size, buf->size - size + 1);
	buf->size -= size;
}

const char *buf_text(const struct buf *buf)
{
	if (!buf->data)
		return "";
	buf->data[buf->size] = '\0';
	return buf->data;
}

struct str buf_str(const struct buf *buf)
{
	return (struct str){buf_text(buf), buf->size};
}

char *buf_take(struct buf *buf)
{
	char *text = buf->data ? buf->data : memory_new(1);

	text[buf->size] = '\0';
	*buf = (struct buf){0};
	return text;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void strings_add_owned(struct strings *list, char *text)
{
	list->items = memory_resize(list->items, (list->count + 2) * sizeof(*list->items));
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
}

void strings_add(struct strings *list, const char *text)
{
	strings_add_owned(list, memory_copy_text(text));
}

void strings_printf(struct strings *list, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	strings_add_owned(list, memory_format_list(format, args));
	va_end(args);
}

bool strings_contain(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (text_equal(list->items[i], text))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(struct strings *list)
{
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare);
}

void strings_free(struct strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strings){0};
}
