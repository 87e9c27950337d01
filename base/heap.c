#include "base/heap.h"

#include "base/memory.h"

#include <stdlib.h>

/* Places count from 1: the parent of place n is n / 2, its children are 2n and 2n + 1. */
static void put(struct heap *heap, size_t place, struct heap_item *item)
{
	heap->items[place - 1] = item;
	item->place = place;
}

static void rise(struct heap *heap, struct heap_item *item)
{
	size_t place = item->place;

	for (; place > 1; place /= 2) {
		struct heap_item *parent = heap->items[place / 2 - 1];

		if (parent->due <= item->due)
			break;
		put(heap, place, parent);
	}
	put(heap, place, item);
}

static void sink(struct heap *heap, struct heap_item *item)
{
	size_t place = item->place, child;

	for (; (child = 2 * place) <= heap->count; place = child) {
		if (child < heap->count && heap->items[child]->due < heap->items[child - 1]->due)
			child++;
		if (item->due <= heap->items[child - 1]->due)
			break;
		put(heap, place, heap->items[child - 1]);
	}
	put(heap, place, item);
}

void heap_add(struct heap *heap, struct heap_item *item)
{
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity ? 2 * heap->capacity : 16;
		heap->items = memory_resize(heap->items, heap->capacity * sizeof(*heap->items));
	}
	put(heap, ++heap->count, item);
	rise(heap, item);
}

void heap_remove(struct heap *heap, struct heap_item *item)
{
	size_t place = item->place;
	struct heap_item *last;

	if (place == 0)
		return;
	item->place = 0;
	last = heap->items[--heap->count];
	if (last == item)
		return;
	put(heap, place, last);
	rise(heap, last);
	sink(heap, last);
}

struct heap_item *heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->items[0] : NULL;
}

void heap_free(struct heap *heap)
{
	free(heap->items);
	*heap = (struct heap){0};
}
