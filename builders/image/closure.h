/*
 * closure.h - what a program needs besides itself: its loader, its shared libraries and theirs, and
 *             what those open at run time.
 *
 * The libraries are found as the loader would find them (ld.so(8)), by reading: DT_RPATH of the
 * library and of those that asked for it, DT_RUNPATH of the library, ld.so.cache, the default
 * folders (read from the loader itself); breadth first. Nothing is run. LD_LIBRARY_PATH is ignored,
 * since the image will not have it. A library lands where the image's own loader looks for it:
 *
 *     default folder, absolute RPATH/RUNPATH   at the same path, with the links that lead there
 *     $ORIGIN/…                                beside the program in the same way
 *     another folder of ld.so.cache            in the default folder (the image has no cache)
 *
 * Of a library that exists for several kinds of processor (glibc-hwcaps), the one that runs on all
 * is taken, and those for the levels asked for besides.
 *
 * Every version that a file needs of another (DT_VERNEED) must be defined there (DT_VERDEF).
 *
 *     closure_add (each program and plug-in) -> closure_finish (companions.h: files that libraries
 *     open at run time, and warnings)
 */
#ifndef BUILDERS_IMAGE_CLOSURE_H
#define BUILDERS_IMAGE_CLOSURE_H

#include "builders/image/library_search.h"
#include "builders/image/tree.h"

struct closure_options {
	const char *architecture; /* OCI name every file must be made for */
	const struct strings
		*with; /* requests of companions.h; borrowed, as those below; NULL: none */
	const struct strings *hwcaps; /* "x86-64-v3" */
	const struct strings *env; /* "NAME=value", the image's: its TZ and locale are included */
	const char *root;        /* unpacked packages, which are in the tree already; NULL: none */
	bool allow_static_glibc; /* static programs that need their very glibc at run time */
	/* For tests, borrowed; NULL: this machine's. */
	const char *loader_cache;   /* "/etc/ld.so.cache" */
	const char *const *folders; /* default folders, NULL-terminated */
	const char *certificates;   /* "/etc/ssl/certs/ca-certificates.crt" */
	const char *zones;          /* "/usr/share/zoneinfo" */
	const char *locales;        /* "/usr/lib/locale" */
};

struct closure; /* remembers the libraries that are in already, over several programs */

struct closure *closure_new(const struct closure_options *options, struct tree *tree,
	struct strings *warnings) must_use;
void closure_free(struct closure **closure);

/*
 * Adds what the ELF file at source needs, when it will lie at image_path; the file itself is added
 * by the caller. When it fails, nothing was added.
 *
 * Each program finds its libraries for itself; a plug-in (without PT_INTERP) also finds those of the
 * first program, which will have loaded them before it.
 *
 * Fails with  ERROR_INVALID (no ELF file, truncated, made for another machine, a version that a
 *             library lacks, a static program that needs glibc), ERROR_NOT_FOUND (a library or the
 *             loader: names who needs it, where we looked and the likely package).
 */
bool closure_add(struct closure *closure, const char *source, const char *image_path,
	struct error *err) must_use;

/*
 * Adds what the programs and plug-ins in a folder need, when the folder will lie at image_path: files
 * that may be executed or are named like libraries (*.so, *.so.*), and are ELF files. One that
 * cannot run in the image is only warned of: a folder may hold what is never used.
 */
bool closure_add_folder(struct closure *closure, const char *source, const char *image_path,
	struct error *err) must_use;

/* Adds the files that libraries open at run time; call once, when all programs, plug-ins and the
 * user's files are in the tree. ERROR_USAGE for a request that is not known. */
bool closure_finish(struct closure *closure, struct error *err) must_use;

/* True when a library of this name ("libssl.so") is in, whatever its version. */
bool closure_has(const struct closure *closure, const char *stem);

/* All programs, plug-ins and libraries: a program, then what was found for it. */
size_t closure_count(const struct closure *closure);
const struct library *closure_at(const struct closure *closure, size_t index);

#endif
