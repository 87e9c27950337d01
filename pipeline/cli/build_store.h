/*
 * build_store.h - a build of `dogshore build` and the store that keeps what builds have made.
 *
 * A build that is given secrets is neither kept nor restored: no digest of them is written anywhere.
 */
#ifndef PIPELINE_CLI_BUILD_STORE_H
#define PIPELINE_CLI_BUILD_STORE_H

#include "builders/store/store.h"
#include "pipeline/cli/build_input.h"

struct build_store {
	struct store store;
	char key[65]; /* "": this build has nothing to do with the store */
};
void build_store_free(struct build_store *store);

/* Restores into output, from which an earlier build's files go. A broken entry is told on stderr and
 * counts as none. */
bool build_store_restore(const struct build_store *store, const char *output,
	struct store_origin *out_origin, bool *out_found, struct error *err) must_use;

/* Keeps what a build left in output. What goes wrong is told on stderr: the build is good without. */
void build_store_keep(const struct build_store *store, const char *commit, const char *output);

/* The stage's result of a restored build: the first one's, with this commit and "restored". */
bool build_store_write_result(const struct store_origin *origin, const char *commit,
	const char *output, struct buf *out, struct error *err) must_use;

/* Says where it comes from; plain: shows the log and writes it as plain text, as a build would. */
bool build_store_show(const struct store_origin *origin, const char *output, bool plain,
	struct error *err) must_use;

#endif
