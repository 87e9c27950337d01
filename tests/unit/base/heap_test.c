#include "tests/test.h"

#include "base/heap.h"

enum { COUNT = 500 };

static unsigned random_state = 7;

static int64_t next_random(int64_t below)
{
	random_state = random_state * 1103515245 + 12345;
	return (int64_t)(random_state >> 16) % below;
}

TEST(items_come_out_in_order)
{
	scoped(heap_free) struct heap heap = {0};
	struct heap_item items[COUNT] = {0};
	int64_t last = -1;

	for (int i = 0; i < COUNT; i++) {
		items[i].due = next_random(100); /* many are equal */
		heap_add(&heap, &items[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		struct heap_item *first = heap_first(&heap);

		CHECK(first->due >= last);
		last = first->due;
		heap_remove(&heap, first);
	}
	CHECK(heap_first(&heap) == NULL);
}

TEST(any_item_can_be_removed_at_any_time)
{
	scoped(heap_free) struct heap heap = {0};
	struct heap_item items[COUNT] = {0};

	for (int round = 0; round < 20000; round++) {
		struct heap_item *item = &items[next_random(COUNT)];
		int64_t least = INT64_MAX;

		if (item->place) {
			heap_remove(&heap, item);
		} else {
			item->due = next_random(1000000);
			heap_add(&heap, item);
		}
		if (round % 100 != 0)
			continue;
		for (int i = 0; i < COUNT; i++)
			if (items[i].place && items[i].due < least)
				least = items[i].due;
		CHECK(!heap_first(&heap) || heap_first(&heap)->due == least);
	}
}

TEST(removing_what_is_in_no_heap_changes_nothing)
{
	scoped(heap_free) struct heap heap = {0};
	struct heap_item in = {.due = 1}, out = {.due = 0};

	heap_add(&heap, &in);
	heap_remove(&heap, &out);
	CHECK(heap_first(&heap) == &in);
}

TEST_MAIN()
