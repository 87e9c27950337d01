/*
 * stored_log_block.h - for stored_log.c and its reader: the bytes in front of a block's text.
 */
#ifndef BUILDERS_EXECUTOR_STORED_LOG_BLOCK_H
#define BUILDERS_EXECUTOR_STORED_LOG_BLOCK_H

#include "builders/executor/stored_log.h"

enum {
	STORED_HEAD = 8, /* of a skippable frame: magic number and size */
	STORED_VERSION = 1,
	/* Two numbers a pair of at most ten bytes, and those before. */
	STORED_INDEX_MAX = 20 * STORED_LOG_TIMES + 64,
};
#define STORED_MAGIC 0x184d2a5du

/* Appends the skippable frame. */
void stored_index_write(const struct stored_time *times, size_t count, size_t text_size,
	size_t frame_size, struct buf *out);

/* Of a skippable frame's content. times has room for STORED_LOG_TIMES. False: it is none of ours. */
bool stored_index_read(struct str content, struct stored_time *times, size_t *out_count,
	size_t *out_text_size, size_t *out_frame_size) must_use;

#endif
