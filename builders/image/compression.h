/*
 * compression.h - how layers are compressed: block by block, each on its own.
 *
 * A block becomes a zstd frame or a gzip member. The first two blocks of a layer are of 512 KiB, so
 * that a small layer is work for two processors; the others of 1 MiB. Sizes and parameters are fixed:
 * what comes out depends on the bytes and on the library's version alone.
 */
#ifndef BUILDERS_IMAGE_COMPRESSION_H
#define BUILDERS_IMAGE_COMPRESSION_H

#include "base/error.h"

enum compression {
	COMPRESSION_ZSTD, /* level 1, matches from 6 bytes, content checksum */
	COMPRESSION_GZIP, /* libdeflate level 6 */
	COMPRESSION_NONE,
};

enum {
	COMPRESSION_BLOCK_LIMIT = 1 << 20,
	COMPRESSION_MORE =
		16 << 10, /* over what a block becomes at worst: 5 KiB more than it was */
};

bool compression_of_name(const char *name, enum compression *out_compression) must_use;
const char *compression_name(enum compression compression);
/* The media type of a layer so compressed. */
const char *compression_media_type(enum compression compression);
/* "zstd 1.5.4 level 1, blocks of …": recorded where a digest must be made again, and part of the keys
 * of the cache. Static. */
const char *compression_identity(enum compression compression);
/* Bytes of the block of that number, from 0; the last one of a layer may have less. */
size_t compression_block_size(size_t number);

/* What one thread compresses with; made when it is first used. */
struct compressor {
	struct ZSTD_CCtx_s *zstd;              /* owned */
	struct libdeflate_compressor *deflate; /* owned */
};
void compressor_free(struct compressor *compressor);
/* Loads the library; a hint. */
void compressor_warm(struct compressor *compressor, enum compression compression);
/* One block. room is size + COMPRESSION_MORE at least. 0: out of memory. Not for COMPRESSION_NONE. */
size_t compressor_run(struct compressor *compressor, enum compression compression,
	const void *bytes, size_t size, void *out, size_t room) must_use;

#endif
