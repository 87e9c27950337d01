#include "base/archive_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct archive_library libarchive;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *problem; /* static or dlerror's; why loading failed */

/* A data pointer becomes a function pointer by copying: ISO C knows no cast between them. */
static bool look_up(void *library, const char *name, void *slot)
{
	void *address = dlsym(library, name);

	memcpy(slot, &address, sizeof(address));
	return address != NULL;
}

static void load(void)
{
	void *library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
	bool complete = library != NULL;

#define ARCHIVE_LOOK_UP(name)                                                                      \
	complete = complete && look_up(library, "archive_" #name, &libarchive.name);
	ARCHIVE_FUNCTIONS(ARCHIVE_LOOK_UP)
#undef ARCHIVE_LOOK_UP
	complete = complete && look_up(library, "archive_errno", &libarchive.error_number);
	if (!complete && (problem = dlerror()) == NULL)
		problem = "unknown reason";
}

bool archive_library_load(struct error *err)
{
	pthread_once(&once, load);
	if (!problem)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "load libarchive: %s", problem);
	return error_next(err, "install it: apt-get install libarchive13");
}
