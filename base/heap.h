/*
 * heap.h - what is due next: items ordered by a time, the earliest on top (a binary heap).
 *
 * An item is embedded in what it belongs to and knows its place, so removing it is O(log n).
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/attributes.h"

struct heap_item {
	int64_t due;
	size_t place; /* in the heap, from 1; 0: in none */
};

/* All-zero is empty. */
struct heap {
	struct heap_item **items; /* owned; the items are not */
	size_t count, capacity;
};

/* item: in no heap, with due set. */
void heap_add(struct heap *heap, struct heap_item *item);
/* An item that is in no heap is fine. */
void heap_remove(struct heap *heap, struct heap_item *item);
struct heap_item *heap_first(const struct heap *heap); /* NULL when empty */
void heap_free(struct heap *heap);

#endif
