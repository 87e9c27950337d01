/*
 * keyed_cache.h - a buildspec's cache with a key: restored before the first command, saved behind the
 *                 last one, each key once and never updated.
 *
 *     keyed_cache_open -> (binds to the sandbox) -> keyed_cache_set_key -> keyed_cache_restore
 *         -> commands -> keyed_cache_save
 *
 * Paths are files and folders of the checkout, and in the sandbox those below /root. Links are kept as
 * links when they lead to something below the same root; others are left out, and told.
 *
 * A restored file replaces one of that name. Nothing is put behind a link, and nothing is restored of
 * an entry that is not whole.
 *
 * Source  buildspec reference, section 8.2.
 */
#ifndef BUILDSPEC_KEYED_CACHE_H
#define BUILDSPEC_KEYED_CACHE_H

#include "base/sandbox.h"
#include "buildspec/buildspec.h"

/* What belongs together: the checkout, or a folder below /root. */
struct cache_root {
	char *folder; /* on this machine; owned */
	struct strings
		patterns; /* relative to it; without a wildcard: a file, or all below a folder */
};

struct keyed_cache {
	char *store, *group; /* of cache_entry.h; owned */
	int64_t limit_bytes;
	struct cache_root *roots; /* owned; [0] is the checkout */
	size_t root_count;
	char *key; /* evaluated; NULL: not set, or empty; owned */
	void (*say)(void *self, const char *line);
	void *self;
};

struct keyed_cache_options {
	const char *folder; /* where this service's caches are kept */
	const char *source; /* the private checkout */
	const char *work;   /* private folder; NULL: no folders below /root are kept */
	bool sandbox;
	int64_t limit_bytes; /* of all entries; 0: 5 GiB */
	/* Gets one line for each thing worth knowing. */
	void (*say)(void *self, const char *line);
	void *self;
};

/* out_binds: appended to; an array of count with its own texts, as cache.h has it. */
bool keyed_cache_open(const struct cache_spec *spec, const struct keyed_cache_options *options,
	struct keyed_cache *out_cache, struct sandbox_bind **binds, size_t *bind_count,
	struct error *err) must_use;

/* As the shell has evaluated it. An empty key: there is no cache this time. */
void keyed_cache_set_key(struct keyed_cache *cache, const char *key);
/* Puts the entry of that key, or of the first fallback key that begins one, into its places. */
bool keyed_cache_restore(struct keyed_cache *cache, const struct strings *fallback_keys,
	struct error *err) must_use;

/* To be called when no command runs any more. */
bool keyed_cache_save(struct keyed_cache *cache, struct error *err) must_use;

void keyed_cache_free(struct keyed_cache *cache);

#endif
