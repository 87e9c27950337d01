/*
 * closure_inside.h - a closure while it grows; for closure_*.c and companions.c alone.
 */
#ifndef BUILDERS_IMAGE_CLOSURE_INSIDE_H
#define BUILDERS_IMAGE_CLOSURE_INSIDE_H

#include "builders/image/closure.h"

struct closure {
	struct closure_options options;
	struct library_places places;
	struct tree *tree;          /* borrowed */
	struct strings *warnings;   /* borrowed */
	struct library **libraries; /* owned, each too; in order of adding: the queue */
	size_t count, done;
	size_t scope;      /* where the program that is being added stands */
	size_t main_count; /* libraries of the first program, itself included */
	bool musl;
	struct strings suggested; /* "who can use what for …", of dlopen notes */
};

/* Looks for a library that is loaded by name and adds it to the program's scope. False without an
 * error when it is nowhere. */
bool closure_find_by_name(struct closure *closure, struct library *asker, const char *name,
	const char *why, bool *out_found, struct error *err) must_use;

/* companions.c: libraries that this one loads by name. */
bool companions_add_libraries(struct closure *closure, struct library *library, struct error *err)
	must_use;

/* closure_notes.c: what .note.dlopen of this library asks for. */
bool closure_follow_notes(struct closure *closure, struct library *library, struct error *err)
	must_use;

/* closure_versions.c: every version needed in the scope is defined there. */
bool closure_check_versions(struct closure *closure, struct error *err) must_use;

/* The library of this name that the loader would have loaded for the program that is being added. */
struct library *closure_find(const struct closure *closure, struct str name);

#endif
