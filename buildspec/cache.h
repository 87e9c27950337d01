/*
 * cache.h - keeps the folders that a buildspec's cache/paths name from one build to the next.
 *
 * A path counts up to its first name with a wildcard, so ".cache/ccache" and everything below it is
 * one folder. Nothing is copied: in the sandbox the kept folder is mounted there, without it a link
 * leads to it. Builds that run at the same time share it, as they do on a CodeBuild host.
 *
 * Kept are folders of the checkout that are not part of it, and folders below /root in the sandbox.
 * A cache with a key is left to CodeBuild.
 */
#ifndef BUILDSPEC_CACHE_H
#define BUILDSPEC_CACHE_H

#include "base/sandbox.h"
#include "buildspec/buildspec.h"

struct cache {
	struct sandbox_bind *binds; /* owned, with their texts */
	size_t count;
};

/*
 * Makes what is missing.
 *
 * folder  where this service's caches are kept; made
 * source  the private checkout
 * say     gets one line for each path that is not kept, with the reason
 */
bool cache_open(const struct buildspec *spec, const char *folder, const char *source, bool sandbox,
	void (*say)(void *self, const char *line), void *self, struct cache *out_cache,
	struct error *err) must_use;
void cache_free(struct cache *cache);

#endif
