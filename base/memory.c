#include "base/memory.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *memory, size_t size)
{
	if (!memory) {
		fprintf(stderr, "error: out of memory (%zu more bytes were needed)\n", size);
		exit(3);
	}
	return memory;
}

void *memory_new(size_t size)
{
	return check(calloc(1, size ? size : 1), size);
}

void *memory_new_array(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size ? size : 1), count);
}

void *memory_resize(void *old, size_t size)
{
	return check(realloc(old, size ? size : 1), size);
}

char *memory_copy_text(const char *text)
{
	return text ? memory_copy(text, strlen(text)) : NULL;
}

char *memory_copy(const void *bytes, size_t size)
{
	char *copy = check(malloc(size + 1), size + 1);

	if (size)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

char *memory_format_list(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	return check(text, 0);
}

char *memory_format(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	char *text = memory_format_list(format, args);
	va_end(args);
	return text;
}

void text_free(char **text)
{
	free(*text);
	*text = NULL;
}

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char bytes[];
};

enum { ARENA_BLOCK = 16 * 1024 };

void *arena_new(struct arena *arena, size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct arena_block *block = arena->first;

	if (!block || block->size - block->used < rounded) {
		size_t room = rounded > ARENA_BLOCK ? rounded : ARENA_BLOCK;
		struct arena_block *fresh = memory_new(sizeof(*fresh) + room);

		fresh->size = room;
		/* A large object gets a block of its own behind the current one, which keeps its room. */
		if (block && rounded > ARENA_BLOCK / 2) {
			fresh->next = block->next;
			block->next = fresh;
		} else {
			fresh->next = block;
			arena->first = fresh;
		}
		block = fresh;
	}
	void *memory = block->bytes + block->used;

	block->used += rounded;
	return memory;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t size)
{
	char *copy = arena_new(arena, size + 1);

	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

char *arena_copy_text(struct arena *arena, const char *text)
{
	return text ? arena_copy(arena, text, strlen(text)) : NULL;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	return arena_copy_text(arena, text);
}

void arena_free(struct arena *arena)
{
	while (arena->first) {
		struct arena_block *block = arena->first;

		arena->first = block->next;
		free(block);
	}
}
