/*
 * store.h - what builds have made, kept by key, so that the same build is restored and not repeated.
 *
 *     <folder>/entries/<key>        one build: where it comes from, its files by digest; used last
 *                                   when the file's time says
 *     <folder>/blobs/ab/<sha256>    contents, each once, however many builds have it
 *     <folder>/lock                 held shared by who keeps or restores, alone by who removes
 *     <folder>/used                 bytes of all blobs, about; counted anew when some are removed
 *
 * Whole or absent   a blob gets its name when it is complete, an entry when all its blobs are there;
 *                   what a process that was killed left goes with the next removal.
 * Nothing is taken on trust   an entry begins with its own digest, and every blob is hashed while it
 *                   is copied out. What does not match counts as not there, is said and removed.
 * Copies, no links  a restored file that somebody changes in place ("strip" does) must not change the
 *                   store, nor another build's files.
 * Size              when the blobs take more than the limit, the builds that were used longest ago go
 *                   until nine tenths of it are left.
 * Threads           any number of processes may use one store; a struct store is only a name.
 */
#ifndef BUILDERS_STORE_STORE_H
#define BUILDERS_STORE_STORE_H

#include "base/buf.h"
#include "base/error.h"

#define STORE_LIMIT_VARIABLE "DOGSHORE_STORE_LIMIT"
#define STORE_LIMIT_DEFAULT_BYTES (10ll << 30)

struct store {
	char *folder; /* owned; made when something is kept */
	int64_t limit_bytes;
};

struct store store_of(const char *folder, int64_t limit_bytes) must_use;
void store_free(struct store *store);

/* "10GiB", "500MB", "0" (keeps nothing): a whole number and K, M, G or T, powers of 1024 with or
 * without "iB" or "B". text NULL or empty: the default. ERROR_USAGE names the variable. */
bool store_limit_parse(const char *text, int64_t *out_bytes, struct error *err) must_use;

/* The build that was kept. */
struct store_origin {
	char *commit;    /* owned; the commit it was made from */
	int64_t run;     /* the run that made it; 0: none, it was started by hand */
	int64_t made_ms; /* since 1970 */
	int64_t size_bytes;
};
void store_origin_free(struct store_origin *origin);
/* "run 12, commit abc…", "commit abc…"; owned. */
char *store_origin_text(const struct store_origin *origin) must_use;

/*
 * Keeps files and folders under a key; what was there under it is replaced.
 *
 * key     hex digits, as long as a SHA-256
 * names   what to keep of folder; those that are not there are left out
 * origin  size_bytes is not read
 * out_kept  false: nothing was kept, because it alone is larger than the limit, or the limit is 0
 *
 * Links are kept as links. Fails when the store cannot be written; the build is none the worse.
 */
bool store_keep(const struct store *store, const char *key, const struct store_origin *origin,
	const char *folder, const char *const *names, size_t count, bool *out_kept,
	struct error *err) must_use;

/* What is kept under a key, without looking at its blobs. False: nothing, or nothing that can be read. */
bool store_find(const struct store *store, const char *key, struct store_origin *out_origin);

/*
 * Puts what was kept into folder, in which none of it may be: the same bytes, permission bits and links.
 *
 * out_found  false: there is nothing under this key. Or something was broken: then *out_broken (owned;
 *            else NULL) says what, the entry is gone from the store and folder is as it was.
 */
bool store_restore(const struct store *store, const char *key, const char *folder,
	struct store_origin *out_origin, bool *out_found, char **out_broken, struct error *err)
	must_use;

#endif
