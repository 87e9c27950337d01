/*
 * loader_check.h - the image's own loader lists the libraries of each program, in a root that holds
 *                  what the image holds, and the list must be what reading the files said.
 *
 *     loader_check_start -> (pack layers meanwhile) -> loader_check_finish
 *
 * The loader runs with --list in a sandbox of bubblewrap (base/sandbox.h): nothing of the program
 * itself is run, and no root is needed. The first program is listed once more with all plug-ins
 * preloaded.
 *
 * What was listed before is not listed again: the answer depends on the loader and on what it looks
 * at (names, paths, versions, links), not on code, so a key over these is remembered in the cache.
 * Not run: for another machine's programs, and where there is no sandbox; the note then says so.
 *
 * Ownership  a check borrows the closure and the tree, which must not change meanwhile.
 */
#ifndef BUILDERS_IMAGE_LOADER_CHECK_H
#define BUILDERS_IMAGE_LOADER_CHECK_H

#include "builders/image/closure.h"

enum loader_check_result {
	LOADER_CHECK_NOTHING, /* static programs only */
	LOADER_CHECK_AGREES,
	LOADER_CHECK_KNOWN, /* agreed before, and nothing that matters has changed */
	LOADER_CHECK_SKIPPED,
};
/* "agrees", "unchanged", "skipped", "static". */
const char *loader_check_result_name(enum loader_check_result result);

struct loader_check;

/* Starts listing. cache_folder: NULL: no cache. */
struct loader_check *loader_check_start(const struct closure *closure, const struct tree *tree,
	const char *architecture, const char *cache_folder) must_use;

/*
 * Waits, and lists what is left.
 *
 * out_note  owned; why it was skipped, else NULL
 * Fails with ERROR_CONFLICT: the lists differ; names the program, the libraries and what is to be
 *            done. ERROR_TIMEOUT: a loader that does not end.
 */
bool loader_check_finish(struct loader_check *check, enum loader_check_result *out_result,
	char **out_note, struct error *err) must_use;
/* Ends what still runs. */
void loader_check_free(struct loader_check **check);

#endif
