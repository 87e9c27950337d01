/*
 * library_search.h - where the loader would find a library that a program or library asks for.
 *
 * The order of ld.so(8): DT_RPATH of the asker and of those that asked for it (only without
 * DT_RUNPATH), DT_RUNPATH of the asker, ld.so.cache, the default folders. A file for another machine
 * is passed over, as the loader does. Each folder has two names: where it is here, and where it will
 * be in the image; only $ORIGIN makes them differ.
 */
#ifndef BUILDERS_IMAGE_LIBRARY_SEARCH_H
#define BUILDERS_IMAGE_LIBRARY_SEARCH_H

#include "builders/image/elf.h"

/* A program or library that is in the image, and asks for others. */
struct library {
	char *name;   /* owned; its DT_SONAME, else how it was asked for, or the program's name */
	char *asked;  /* owned; how it was asked for first */
	char *host;   /* owned; the file's folder here, for $ORIGIN */
	char *folder; /* owned; its folder in the image, for $ORIGIN */
	struct elf_file file;
	struct library *asker; /* who needed it; NULL for programs */
};

/* Where is looked besides what the files say themselves. */
struct library_places {
	const char *architecture; /* borrowed: OCI name of the machine wanted */
	struct strings folders;   /* the default folders */
	const char *cache_path;   /* borrowed: ld.so.cache; NULL: there is none (musl) */
	struct buf cache;         /* its content, once it was read */
	bool cache_read;
	struct strings *warnings; /* borrowed */
};
/* The folders of glibc on Debian and others for an architecture. */
void library_places_default(struct library_places *places);
void library_places_free(struct library_places *places);

/* One search for one name; what was tried is kept for the error. */
struct library_search {
	struct library_places *places;
	struct library *asker;
	struct str name;
	struct strings tried; /* folders, "ld.so.cache" */
	struct strings other; /* files of that name that were passed over */
	/* The result. */
	char *path;       /* owned; here */
	char *image_path; /* owned; NULL: the same path, with the links that lead there */
	struct elf_file file;
};
void library_search_free(struct library_search *search);

/* Looks in all places; false when it is nowhere. */
bool library_search_run(struct library_search *search) must_use;
/* Looks at one file. */
bool library_search_file(struct library_search *search, const char *path) must_use;
/* The error for a library that is nowhere: who needs it, where we searched, the likely package. */
bool library_search_refuse(const struct library_search *search, struct error *err);

/* The Debian package that a library of this soname is usually in ("libfoo.so.1": libfoo1). Owned;
 * NULL when the name is not regular. */
char *library_guess_package(struct str soname) must_use;

#endif
