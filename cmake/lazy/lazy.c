/*
 * lazy.c - loads a library when one of its functions is called for the first time.
 *
 * dogshore's stages are processes that are started many times and need few of the libraries each;
 * loading all of them (libarchive alone brings libxml2 and ICU) took 4 of the 4.5 ms of a start.
 * generate.sh writes the tables and the jumps; other programs and the tests link as usual.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIBRARIES_MAX = 32 }; /* of the others no handle is kept */

struct lazy_symbol {
	const char *name;
	uint64_t library;
};

extern const char *const lazy_libraries[];
extern const struct lazy_symbol lazy_symbols[];
extern void *lazy_slots[];

void *lazy_resolve(uint64_t number);

static _Noreturn void give_up(const char *library)
{
	const char *reason = dlerror();

	fprintf(stderr, "error: load %s: %s\n  next:  install it, or dogshore anew\n", library,
		reason ? reason : "it lacks a function that it had when dogshore was built");
	exit(3);
}

/* Global, so that a library finds a function that dogshore puts in its place (pipeline/source/git.c)
 * and that function finds the library's own. Never unloaded; opening twice gives the same handle. */
void *lazy_resolve(uint64_t number)
{
	static void *handles[LIBRARIES_MAX];
	const struct lazy_symbol *symbol = &lazy_symbols[number];
	const char *library = lazy_libraries[symbol->library];
	void **kept = symbol->library < LIBRARIES_MAX ? &handles[symbol->library] : NULL;
	void *handle = kept ? __atomic_load_n(kept, __ATOMIC_ACQUIRE) : NULL;

	if (!handle)
		handle = dlopen(library, RTLD_LAZY | RTLD_GLOBAL);
	if (kept)
		__atomic_store_n(kept, handle, __ATOMIC_RELEASE);
	void *address = handle ? dlsym(handle, symbol->name) : NULL;

	if (!address)
		give_up(library);
	/* Two threads at once write the same value. */
	__atomic_store_n(&lazy_slots[number], address, __ATOMIC_RELEASE);
	return address;
}
