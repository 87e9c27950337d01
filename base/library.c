#include "base/library.h"

#include "base/memory.h"

#include <dlfcn.h>
#include <string.h>

static char *reason(void)
{
	const char *said = dlerror();

	return memory_copy_text(said ? said : "unknown reason");
}

char *library_load(const char *file, const struct library_function *functions, size_t count)
{
	void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);

	if (!library)
		return reason();
	for (size_t i = 0; i < count; i++) {
		void *address = dlsym(library, functions[i].name);

		if (!address)
			return reason();
		/* A data pointer becomes a function pointer by copying: ISO C knows no cast between
		 * them. */
		memcpy(functions[i].slot, &address, sizeof(address));
	}
	return NULL;
}

bool library_missing(struct error *err, const char *name, const char *problem, const char *package)
{
	error_raise(err, ERROR_NOT_FOUND, "load %s: %s", name, problem);
	return error_next(err, "install it: apt-get install %s", package);
}
