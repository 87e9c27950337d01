/*
 * loader_cache.h - /etc/ld.so.cache: which file the loader takes for a library's name.
 *
 * Source  glibc, elf/cache.c and sysdeps/generic/dl-cache.h ("glibc-ld.so.cache1.1"). Entries that
 *         need a newer processor (hwcaps) are passed over: an image must run on any.
 */
#ifndef BUILDERS_IMAGE_LOADER_CACHE_H
#define BUILDERS_IMAGE_LOADER_CACHE_H

#include "base/buf.h"

/*
 * Calls found with each path that the cache gives for name, in the cache's order, until it returns
 * true. Damaged entries are passed over; bytes that are no cache hold nothing.
 */
bool loader_cache_find(struct str cache, struct str name,
	bool (*found)(void *context, struct str path), void *context);

#endif
