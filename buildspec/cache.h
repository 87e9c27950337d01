/*
 * cache.h - keeps the folders that a buildspec's cache/paths name from one build to the next.
 *
 * A path counts up to its first name with a wildcard, so ".cache/ccache" and everything below it is
 * one folder. Nothing is copied: in the sandbox the kept folder is mounted there, without it a link
 * leads to it. Builds that run at the same time share it, as they do on a CodeBuild host.
 *
 * Kept are folders of the checkout that are not part of it, and folders below /root in the sandbox.
 * A cache with a key is another thing: keyed_cache.h.
 */
#ifndef BUILDSPEC_CACHE_H
#define BUILDSPEC_CACHE_H

#include "buildspec/keyed_cache.h"

struct cache {
	struct sandbox_bind *binds; /* owned, with their texts */
	size_t count;
	bool has_key;
	struct keyed_cache keyed; /* when it has a key; its binds are among those above */
};

/* Makes what is missing. */
bool cache_open(const struct cache_spec *spec, const struct keyed_cache_options *options,
	struct cache *out_cache, struct error *err) must_use;
void cache_free(struct cache *cache);

#endif
