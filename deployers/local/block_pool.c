#include "deployers/local/block_pool.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void block_pool_open(struct block_pool *pool)
{
	*pool = (struct block_pool){.free = NULL};
	pthread_mutex_init(&pool->lock, NULL);
}

/* Under the lock. */
static struct block *pop(struct block_pool *pool)
{
	struct block *block = pool->free;

	if (block) {
		pool->free = block->following;
		pool->free_count--;
	}
	return block;
}

static struct block *block_new(void)
{
	struct block *block = memory_new(sizeof(*block));

	block->bytes =
		mmap(NULL, BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block->bytes == MAP_FAILED) {
		fprintf(stderr, "error: out of memory (for an upload)\n");
		exit(3);
	}
	return block;
}

static void block_free(struct block *block)
{
	munmap(block->bytes, BLOCK_SIZE);
	free(block);
}

/* Under the lock: what a rush needed goes back to the system when it is over. */
static void trim(struct block_pool *pool, size_t kept)
{
	while (pool->free_count > kept)
		block_free(pop(pool));
}

void block_pool_close(struct block_pool *pool)
{
	trim(pool, 0);
	pthread_mutex_destroy(&pool->lock);
}

void block_pool_enter(struct block_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->users++;
	pthread_mutex_unlock(&pool->lock);
}

void block_pool_leave(struct block_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->users--;
	if (!pool->users)
		trim(pool, BLOCKS_KEPT);
	pthread_mutex_unlock(&pool->lock);
}

struct block *block_take(struct block_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct block *block = pop(pool);

	pthread_mutex_unlock(&pool->lock);
	if (!block)
		block = block_new();
	pool->used_count++;
	block->following = NULL;
	block->size = 0;
	return block;
}

void block_give_back(struct block_pool *pool, struct block *block)
{
	pool->used_count--;
	pthread_mutex_lock(&pool->lock);
	block->following = pool->free;
	pool->free = block;
	pool->free_count++;
	if (!pool->users)
		trim(pool, BLOCKS_KEPT);
	pthread_mutex_unlock(&pool->lock);
}

size_t block_pool_used(const struct block_pool *pool)
{
	return pool->used_count;
}

void block_list_add(struct block_list *list, struct block *block)
{
	block->following = NULL;
	if (list->first)
		list->last->following = block;
	else
		list->first = block;
	list->last = block;
}

struct block *block_list_next(struct block_list *list)
{
	struct block *block = list->first;

	if (block)
		list->first = block->following;
	return block;
}
