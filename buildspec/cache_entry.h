/*
 * cache_entry.h - the entries of keyed caches on this machine: written once, whole or not at all.
 *
 *     STORE/lock                 held shared while an entry is read, alone while one is made or removed
 *     STORE/GROUP/NAME/meta      {"key","created_ms","size_bytes","files": SHA-256 of the next}
 *     STORE/GROUP/NAME/files     [{"path","mode","size","sha256"} or {"path","link"}, …]
 *     STORE/GROUP/NAME/0, 1, …   contents, in the order of that list
 *
 * GROUP stands for the buildspec's cache/paths, NAME for the key. The time of meta is when the entry
 * was last used; what was not used for longest goes when there is too much.
 *
 * Builds cannot reach the store: it is mounted into no sandbox.
 */
#ifndef BUILDSPEC_CACHE_ENTRY_H
#define BUILDSPEC_CACHE_ENTRY_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

#include <sys/types.h>

struct cache_file {
	char *path;           /* owned; "0/lib/a.o": the number of its root, its path below it */
	char *link;           /* owned; where a link leads; NULL: a regular file */
	mode_t mode;          /* regular file: permission bits */
	int64_t size_bytes;   /* regular file */
	struct digest digest; /* regular file */
};

struct cache_files {
	struct cache_file *items; /* owned */
	size_t count, room;
	int64_t size_bytes; /* of all contents */
};
void cache_files_add(struct cache_files *files, struct cache_file file); /* takes its texts */
void cache_files_free(struct cache_files *files);

struct cache_store {
	const char *folder;  /* made when missing */
	const char *group;   /* a name for a folder */
	int64_t limit_bytes; /* of all entries of the store */
};

/* Is there an entry of exactly this key? */
bool cache_store_has(const struct cache_store *store, const char *key);

/* The key of the newest entry whose key begins with prefix, owned; NULL when there is none. */
bool cache_store_find(const struct cache_store *store, const char *prefix, char **out_key,
	struct error *err) must_use;

/*
 * Copies an entry's contents to folder (existing) as 0, 1, …, each compared with its digest.
 *
 * out_broken  why the entry was not whole, owned: it has been removed, and what lies in folder is of
 *             no use; else NULL
 */
bool cache_store_take(const struct cache_store *store, const char *key, const char *folder,
	struct cache_files *out_files, char **out_broken, struct error *err) must_use;

/*
 * Makes a folder in the store for the contents of an entry-to-be; owned. What was left there by a
 * build that was killed is removed.
 */
bool cache_store_begin(const struct cache_store *store, char **out_folder, struct error *err)
	must_use;

/*
 * Makes an entry of a folder of cache_store_begin(), which holds 0, 1, … for files' regular ones by
 * their place in the list. When there is an entry of that key, that one stays. Then removes what was
 * not used for longest until the store keeps its limit; out_removed counts these.
 */
bool cache_store_commit(const struct cache_store *store, const char *key, const char *folder,
	const struct cache_files *files, size_t *out_removed, struct error *err) must_use;

#endif
