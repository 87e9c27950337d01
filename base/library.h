/*
 * library.h - a shared library that is loaded when it is first needed, by the modules that wrap one
 *             (*_library.c): its functions are looked up once and called through a table.
 *
 * Threads  loading is for one thread at a time: the wrappers call it from pthread_once().
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include "base/error.h"

struct library_function {
	const char *name;
	void *slot; /* address of a function pointer */
};

/*
 * Loads a library, to be kept until the process ends, and fills the slots.
 *
 * file     its soname; relocated at once, so that nothing is found missing later
 * Returns  NULL; or why it could not be done, the caller's.
 */
char *library_load(const char *file, const struct library_function *functions, size_t count)
	must_use;

/* Raises ERROR_NOT_FOUND for "libcurl" with the Debian package that has it; returns false. */
bool library_missing(struct error *err, const char *name, const char *problem, const char *package);

#endif
