/*
 * loader_list.h - what a loader lists, compared with what reading the files said.
 */
#ifndef BUILDERS_IMAGE_LOADER_LIST_H
#define BUILDERS_IMAGE_LOADER_LIST_H

#include "builders/image/closure.h"

/* One line of a loader's list. */
struct loader_line {
	struct str name; /* as it was asked for; empty when the loader names a file only */
	struct str path; /* empty: not found */
};

/* Reads a line of glibc's or musl's list; false when it is none (linux-vdso, an error message). */
bool loader_line_parse(struct str line, struct loader_line *out_line);

/*
 * Compares the list of one program.
 *
 * program   its place in the closure
 * plug_ins  the list is of its plug-ins too: then nothing may be foreign or not found, but one library
 *           may stand for another of its name, as which is loaded depends on what is opened first
 * list      the loader's output
 * Fails with ERROR_CONFLICT, naming every library that only one of both has.
 */
bool loader_list_compare(const struct closure *closure, const struct tree *tree, size_t program,
	bool plug_ins, struct str list, struct error *err) must_use;

#endif
