/*
 * block_pool.h - blocks of 256 KiB that uploads pass from thread to thread, straight from the system:
 *                the heap would keep what a rush of uploads needed.
 *
 * While somebody uses the pool (enter … leave) blocks that were given back are kept for the next
 * taker; when nobody does, 2 MiB of them are and the rest returns to the system.
 *
 * Threads  any thread may call anything; a list is its owner's.
 * Limits   none of its own: who takes looks at block_pool_used().
 */
#ifndef DEPLOYERS_LOCAL_BLOCK_POOL_H
#define DEPLOYERS_LOCAL_BLOCK_POOL_H

#include "base/attributes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { BLOCK_SIZE = 256 << 10, BLOCKS_KEPT = 8 };

struct block {
	struct block *following; /* in a list, or free */
	size_t size;             /* of bytes that are in use */
	/* Owned: BLOCK_SIZE bytes in whole pages, so that a block becomes whole pages of a file. */
	unsigned char *bytes;
};

/* First in, first out. */
struct block_list {
	struct block *first, *last;
};

struct block_pool {
	pthread_mutex_t lock;
	struct block *free;
	size_t free_count, users;
	atomic_size_t used_count;
};

void block_pool_open(struct block_pool *pool);
void block_pool_close(struct block_pool *pool); /* when every block is back */

void block_pool_enter(struct block_pool *pool);
void block_pool_leave(struct block_pool *pool);

/* An empty block, the caller's until it is given back. Out of memory ends the process. */
struct block *block_take(struct block_pool *pool) must_use;
void block_give_back(struct block_pool *pool, struct block *block);
/* Those that are taken. */
size_t block_pool_used(const struct block_pool *pool) must_use;

void block_list_add(struct block_list *list, struct block *block);
struct block *block_list_next(struct block_list *list) must_use; /* NULL: it is empty */

#endif
