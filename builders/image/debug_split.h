/*
 * debug_split.h - a program in two files: one to run, one to debug with.
 *
 * objcopy (binutils) does it; for another machine the one of that machine, e.g.
 * aarch64-linux-gnu-objcopy. Both files are kept, found again by what the program looked like or by
 * its content, so an unchanged program is not split again. The 64 used last stay.
 */
#ifndef BUILDERS_IMAGE_DEBUG_SPLIT_H
#define BUILDERS_IMAGE_DEBUG_SPLIT_H

#include "base/buf.h"
#include "base/error.h"

struct debug_split {
	char *program;  /* owned; the file without symbols and debug information */
	char *debug;    /* owned; what was taken out; NULL: there was nothing */
	char *build_id; /* owned; hex */
};
void debug_split_free(struct debug_split *split);

/*
 * folder  where both files are kept, made when missing
 *
 * A program that was compiled without -g or is stripped is not split: program is source then, and
 * debug NULL.
 *
 * Fails with  ERROR_INVALID (no ELF file; no build id, by which debuggers find the other half),
 *             ERROR_NOT_FOUND (no objcopy), ERROR_FAILED (objcopy failed).
 */
bool debug_split(const char *source, const char *folder, struct debug_split *out_split,
	struct error *err) must_use;

#endif
