/*
 * library_search.h - where the loader would find a library that a program or library asks for.
 *
 * The order of ld.so(8): DT_RPATH of the asker and of those that asked for it (only without
 * DT_RUNPATH), DT_RUNPATH of the asker, ld.so.cache, the default folders; with DF_1_NODEFLIB the
 * first two only. A file for another machine or class is passed over, as the loader does. Each folder
 * has two names: where it is here, and where it will be in the image; only $ORIGIN makes them
 * differ.
 */
#ifndef BUILDERS_IMAGE_LIBRARY_SEARCH_H
#define BUILDERS_IMAGE_LIBRARY_SEARCH_H

#include "builders/image/elf.h"
#include "builders/image/tree.h"

enum library_role {
	LIBRARY_PROGRAM, /* a program, or a plug-in: has no asker */
	LIBRARY_LOADER,
	LIBRARY_NEEDED,  /* DT_NEEDED */
	LIBRARY_BY_NAME, /* opened by name at run time */
	LIBRARY_VARIANT, /* of another one, for newer processors (glibc-hwcaps) */
};

/* A program or library that is in the image, and asks for others. */
struct library {
	char *name;  /* owned; its DT_SONAME, else how it was asked for, or the program's name */
	char *asked; /* owned; how it was asked for first */
	char *path;  /* owned; the file here */
	char *image_path; /* owned; in the image */
	char *host;       /* owned; the file's folder here, for $ORIGIN */
	char *folder;     /* owned; its folder in the image, for $ORIGIN */
	char *why;        /* owned; NULL for programs */
	enum library_role role;
	bool with_links;             /* at the same path as here, with the links that lead there */
	const struct elf_file *file; /* of places.opened */
	struct library *asker;       /* who needed it; NULL for programs */
	const struct library
		*opener; /* of a plug-in: the first program, whose DT_RPATH counts too */
};

struct opened_file {
	char *path; /* owned */
	struct elf_file *file;
};

/* Where is looked besides what the files say themselves. */
struct library_places {
	const char *architecture; /* borrowed: OCI name of the machine wanted */
	struct strings folders;   /* the default folders */
	char *lib;                /* owned; what $LIB stands for */
	const char *cache_path;   /* borrowed: ld.so.cache; NULL: there is none (musl) */
	const char *root; /* borrowed: unpacked packages, whose files will be in the image at their
			     paths below it and come before this machine's; NULL: none */
	struct buf cache; /* its content, once it was read */
	bool cache_read;
	struct strings *warnings;   /* borrowed */
	struct opened_file *opened; /* owned: every file that was looked at and is one of ours */
	size_t opened_count;
};
/* The folders of glibc on Debian and others for an architecture. */
void library_places_default(struct library_places *places);
/* Opens and parses once. The file stays the places'. Fails as elf_file_open(). */
bool library_places_open(struct library_places *places, const char *path,
	const struct elf_file **out_file, struct error *err) must_use;
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
	const struct elf_file *file;
};
void library_search_free(struct library_search *search);

/* Is the file that was found in places.root, and so in the image anyway? */
bool library_is_in_root(const struct library_places *places, const char *path);

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
