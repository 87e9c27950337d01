/*
 * closure.h - what a program needs besides itself: its loader, its shared libraries and theirs, and
 *             what those open at run time.
 *
 * The libraries are found as the loader would find them (ld.so(8)), by reading: DT_RPATH of the
 * library and of those that asked for it, DT_RUNPATH of the library, ld.so.cache, the default
 * folders; breadth first. Nothing is run. LD_LIBRARY_PATH is ignored, since the image will not have
 * it. A library lands where the image's own loader looks for it:
 *
 *     default folder, absolute RPATH/RUNPATH   at the same path, with the links that lead there
 *     $ORIGIN/…                                beside the program in the same way
 *     another folder of ld.so.cache            in the default folder (the image has no cache)
 *
 * Added besides: libgcc_s where libc is (pthread_cancel and backtraces load it by name), and the
 * certificate authorities where libssl or libgnutls is.
 */
#ifndef BUILDERS_IMAGE_CLOSURE_H
#define BUILDERS_IMAGE_CLOSURE_H

#include "builders/image/elf.h"
#include "builders/image/tree.h"

struct closure_options {
	const char *architecture; /* OCI name every file must be made for */
	/* For tests, borrowed; NULL: this machine's. */
	const char *loader_cache;   /* "/etc/ld.so.cache" */
	const char *const *folders; /* default folders, NULL-terminated */
	const char *certificates;   /* "/etc/ssl/certs/ca-certificates.crt" */
};

struct closure; /* remembers the libraries that are in already, over several programs */

struct closure *closure_new(const struct closure_options *options, struct tree *tree,
	struct strings *warnings) must_use;
void closure_free(struct closure **closure);

/*
 * Adds what the ELF file at source needs, when it will lie at image_path; the file itself is added
 * by the caller.
 *
 * Fails with  ERROR_INVALID (no ELF file, truncated, made for another machine), ERROR_NOT_FOUND (a
 *             library or the loader: names who needs it, where we looked and the likely package).
 */
bool closure_add(struct closure *closure, const char *source, const char *image_path,
	struct error *err) must_use;

/* True when a library of this name ("libssl.so") is in, whatever its version. */
bool closure_has(const struct closure *closure, const char *stem);

#endif
