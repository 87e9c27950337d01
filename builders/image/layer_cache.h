/*
 * layer_cache.h - layers that were made before, found again by what they were made from.
 *
 *     <folder>/blobs/<hex>   compressed layers
 *     <folder>/keys/<hex>    which layer a key stands for
 *     <folder>/notes/<hex>   something that is known of a layer: that no secret was found in it
 *
 * A key is a digest of either what the files looked like (device, inode, size, times of content and
 * of change) or of the layer's uncompressed content; both with the compressor's version. The first
 * finds a layer without reading any file. It is only kept when every file had been left alone for a
 * while (LAYER_CACHE_QUIET_NS) when it was looked at: a write in the same tick of the kernel's clock
 * would not change the times.
 *
 * Blobs share their bytes with those in layouts where the file system can do that. All have one fixed
 * time of content, so that one that was written over shows, and is made again.
 *
 * The cache is a help, never a must: when it cannot be read or written the layer is made again.
 * At most 256 blobs stay; those unused for longest go first. Several processes may share it.
 */
#ifndef BUILDERS_IMAGE_LAYER_CACHE_H
#define BUILDERS_IMAGE_LAYER_CACHE_H

#include "builders/image/layout.h"
#include "builders/image/packer.h"

enum { LAYER_CACHE_QUIET_NS = 100 * 1000 * 1000 };

struct layer_cache {
	char *folder; /* owned */
};

/* The cache in folder, made at the first store. */
struct layer_cache layer_cache_of(const char *folder) must_use;
void layer_cache_free(struct layer_cache *cache);

/* Finds the layer of a key and makes its blob appear in the layout. False: not there. */
bool layer_cache_take(const struct layer_cache *cache, const struct digest *key,
	const struct layout *layout, struct packed *out_packed);

/* Was this noted? */
bool layer_cache_has_note(const struct layer_cache *cache, const struct digest *note);
void layer_cache_put_note(const struct layer_cache *cache, const struct digest *note);
/* 32 random bytes that only this cache knows, so that notes tell nothing to others. */
bool layer_cache_secret(const struct layer_cache *cache, struct digest *out_secret);

/* Remembers a layer whose blob is in the layout. */
void layer_cache_store(const struct layer_cache *cache, const struct digest *key,
	const struct layout *layout, const struct packed *packed);

#endif
