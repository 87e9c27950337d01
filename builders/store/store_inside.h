/*
 * store_inside.h - what the files of this folder share: entries, and names of things.
 */
#ifndef BUILDERS_STORE_STORE_INSIDE_H
#define BUILDERS_STORE_STORE_INSIDE_H

#include "base/digest.h"
#include "builders/store/store.h"

#include <sys/types.h>

enum store_file_kind {
	STORE_FILE,
	STORE_FOLDER,
	STORE_LINK,
};

struct store_file {
	enum store_file_kind kind;
	char *path;   /* owned; relative */
	char *target; /* owned; of a link */
	mode_t mode;  /* permission bits; not of links */
	struct digest digest;
	int64_t size_bytes;
};

struct store_entry {
	struct store_origin origin;
	struct store_file *files; /* owned; folders before what is in them */
	size_t count;
};
void store_entry_free(struct store_entry *entry);
/* The next place; its texts become the entry's. */
struct store_file *store_entry_add(struct store_entry *entry);
void store_entry_write(const struct store_entry *entry, struct buf *out);
/* False: no entry of ours, or not as it was written. */
bool store_entry_read(const char *path, struct store_entry *out_entry) must_use;

char *store_entry_path(const struct store *store, const char *key) must_use;
char *store_blob_path(const struct store *store, const struct digest *digest) must_use;
/* The lock, which is made when missing; *out_fd is the caller's. */
bool store_lock(const struct store *store, bool alone, int *out_fd, struct error *err) must_use;

/* Blobs of this size were added. Must hold the lock, shared will do. *out_full: more than the limit. */
bool store_add_used(const struct store *store, int64_t size_bytes, bool *out_full,
	struct error *err) must_use;
/* Removes what was used longest ago, blobs that nobody needs and what killed processes left. Takes
 * the lock alone. */
bool store_prune(const struct store *store, struct error *err) must_use;

#endif
