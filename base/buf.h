/*
 * buf.h - text and bytes that grow (struct buf, owns) and pieces of them (struct str, borrows);
 *         and lists of owned strings (struct strings).
 *
 * A buf always has a NUL behind its content, so buf_text() is a C string when the content has none
 * inside. What may come from outside is appended with a limit by whoever reads it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attributes.h"

#include <stdarg.h>
#include <string.h>

/* A borrowed piece of text or bytes; not NUL-terminated. All-zero is the empty piece. */
struct str {
	const char *data;
	size_t size;
};

#define str_literal(text) ((struct str){(text), sizeof(text) - 1})
/* For printf: "%.*s", str_printf_arguments(piece) */
#define str_args(piece) (int)(piece).size, (piece).data ? (piece).data : ""

struct str str_of(const char *text); /* NULL gives the empty piece */
bool str_equal(struct str a, struct str b);
bool str_equal_text(struct str a, const char *text);
/* ASCII only, as HTTP header names need it. */
bool str_equal_ignoring_case(struct str a, struct str b);
bool str_starts_with(struct str piece, const char *prefix);
bool str_ends_with(struct str piece, const char *suffix);
struct str str_trim(struct str piece); /* spaces, tabs, CR and LF at both ends */
/* Cuts *rest at the first separator: returns what is before it, *rest keeps what is behind.
 * Without a separator the whole rest is returned and *rest becomes empty with data == NULL. */
struct str str_cut(struct str *rest, char separator);
/* A decimal number and nothing else; false on empty, sign other than a leading '-', or overflow. */
bool str_to_int(struct str piece, int64_t *out_value) must_use;
/* Bytes of the UTF-8 sequence that piece starts with, 0 when it starts with none. RFC 3629: no
 * overlong forms, no surrogates, nothing beyond U+10FFFF. */
size_t utf8_length(struct str piece);
bool str_is_utf8(struct str piece);
char *str_copy(struct str piece) must_use; /* owned, NUL-terminated */

/* text_ helpers for C strings */
bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
/* Shell-style match: '*' any run (including '/'), '?' one character. For branch and path patterns. */
bool text_matches(const char *text, const char *pattern);
/* The candidate nearest to word by edit distance, NULL when none is near enough to suggest. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

struct buf {
	char *data;  /* owned; NULL while empty */
	size_t size; /* bytes of content, without the NUL behind it */
	size_t capacity;
};

void buf_append(struct buf *buf, const void *bytes, size_t size);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_str(struct buf *buf, struct str piece);
void buf_append_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) printf_like(2, 3);
/* Room for at least size more bytes; returns where they go. Follow with buf->size += written. */
char *buf_reserve(struct buf *buf, size_t size) must_use;
void buf_clear(struct buf *buf); /* empties, keeps the memory */
void buf_remove_front(struct buf *buf, size_t size);
const char *buf_text(const struct buf *buf); /* "" when empty; valid until the next change */
struct str buf_str(const struct buf *buf);
char *buf_take(struct buf *buf) must_use; /* the content, now the caller's; buf is empty */
void buf_free(struct buf *buf);

/* A list of owned strings, NULL-terminated so items serves as argv or envp. */
struct strings {
	char **items; /* owned, and each item; NULL while empty */
	size_t count;
};

void strings_add(struct strings *list, const char *text); /* copies */
void strings_add_owned(struct strings *list, char *text); /* takes */
void strings_printf(struct strings *list, const char *format, ...) printf_like(2, 3);
bool strings_contain(const struct strings *list, const char *text);
void strings_sort(struct strings *list); /* bytewise */
void strings_free(struct strings *list);

#endif
