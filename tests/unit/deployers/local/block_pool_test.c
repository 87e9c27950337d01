#include "tests/test.h"

#include "deployers/local/block_pool.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How much of this process is mapped, in KiB: what the pool takes and gives back is. */
static long mapped_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (!file || fscanf(file, "%ld", &pages) != 1)
		abort();
	fclose(file);
	return pages * 4;
}

TEST(a_block_is_empty_and_counted_while_it_is_taken)
{
	struct block_pool pool;

	block_pool_open(&pool);
	struct block *one = block_take(&pool), *two = block_take(&pool);

	CHECK_INT((int64_t)one->size, 0);
	CHECK(one != two);
	/* a block is 256 KiB in pages of its own: so is what is written of it */
	CHECK_INT(BLOCK_SIZE, 256 * 1024);
	CHECK_INT((int64_t)((uintptr_t)one->bytes % 4096), 0);
	memset(one->bytes, 1, BLOCK_SIZE);
	memset(two->bytes, 2, BLOCK_SIZE);
	CHECK_INT(one->bytes[BLOCK_SIZE - 1], 1);
	CHECK_INT((int64_t)block_pool_used(&pool), 2);
	block_give_back(&pool, one);
	CHECK_INT((int64_t)block_pool_used(&pool), 1);
	block_give_back(&pool, two);
	CHECK_INT((int64_t)block_pool_used(&pool), 0);
	block_pool_close(&pool);
}

TEST(what_is_given_back_is_empty_when_it_is_taken_again)
{
	struct block_pool pool;

	block_pool_open(&pool);
	block_pool_enter(&pool);
	struct block *block = block_take(&pool);

	block->size = 77;
	block_give_back(&pool, block);
	struct block *again = block_take(&pool);

	CHECK(again == block);
	CHECK_INT((int64_t)again->size, 0);
	block_give_back(&pool, again);
	block_pool_leave(&pool);
	block_pool_close(&pool);
}

TEST(a_rush_leaves_eight_blocks_when_it_is_over)
{
	struct block_pool pool;
	struct block *blocks[64];
	long before, rush;

	block_pool_open(&pool);
	block_pool_enter(&pool);
	mapped_kib(); /* what reading it needs is there from now on */
	before = mapped_kib();
	for (int i = 0; i < 64; i++)
		blocks[i] = block_take(&pool);
	rush = mapped_kib();
	CHECK_INT(rush - before, 64 * 256);
	for (int i = 0; i < 40; i++)
		block_give_back(&pool, blocks[i]);
	/* somebody is still there, who may need them */
	CHECK_INT(mapped_kib(), rush);
	block_pool_leave(&pool);
	CHECK_INT(mapped_kib(), rush - (40 - 8) * 256);
	/* and those that come later do not stay either */
	for (int i = 40; i < 64; i++)
		block_give_back(&pool, blocks[i]);
	CHECK_INT(mapped_kib(), before + 8 * 256);
	block_pool_close(&pool);
	CHECK_INT(mapped_kib(), before);
}

TEST(a_list_gives_what_came_first)
{
	struct block_pool pool;
	struct block_list list = {0};

	block_pool_open(&pool);
	struct block *one = block_take(&pool), *two = block_take(&pool), *three = block_take(&pool);

	CHECK(!block_list_next(&list));
	block_list_add(&list, one);
	block_list_add(&list, two);
	CHECK(block_list_next(&list) == one);
	block_list_add(&list, three);
	CHECK(block_list_next(&list) == two);
	CHECK(block_list_next(&list) == three);
	CHECK(!block_list_next(&list));
	block_list_add(&list, one);
	CHECK(block_list_next(&list) == one);
	CHECK(!block_list_next(&list));
	block_give_back(&pool, one);
	block_give_back(&pool, two);
	block_give_back(&pool, three);
	block_pool_close(&pool);
}

TEST_MAIN()
