/*
 * memory.h - memory that is there or ends the process, and arenas.
 *
 * Nothing here returns NULL: out of memory ends the process with one clear line. Sizes that come
 * from outside are checked by the caller first.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/attributes.h"

#include <stdarg.h>

/* Zeroed memory; release with free(). size 0 gives a pointer that free() accepts. */
void *memory_new(size_t size) must_use;
/* count * size zeroed bytes; the product is checked. */
void *memory_new_array(size_t count, size_t size) must_use;
/* As realloc(). New bytes are not zeroed. */
void *memory_resize(void *old, size_t size) must_use;
/* A copy of text, NULL for NULL. */
char *memory_copy_text(const char *text) must_use;
/* A copy of size bytes with a NUL behind. */
char *memory_copy(const void *bytes, size_t size) must_use;
char *memory_format(const char *format, ...) must_use printf_like(1, 2);
char *memory_format_list(const char *format, va_list args) must_use
	__attribute__((format(printf, 1, 0)));

/* For scoped(text_free) char *name = NULL. */
void text_free(char **text);

/* What is built once, read often and dropped whole. All-zero is an empty arena. */
struct arena {
	struct arena_block *first; /* owned */
};

/* Zeroed, aligned for any object; lives until arena_free(). */
void *arena_new(struct arena *arena, size_t size) must_use;
char *arena_copy_text(struct arena *arena, const char *text) must_use;
char *arena_copy(struct arena *arena, const void *bytes, size_t size) must_use;
char *arena_format(struct arena *arena, const char *format, ...) must_use printf_like(2, 3);
void arena_free(struct arena *arena);

#endif
