#include "base/microhttpd_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct microhttpd_library microhttpd;

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
	/* Held until the process ends, as GnuTLS behind it wants. */
	void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
	bool complete = library != NULL;

#define MICROHTTPD_LOOK_UP(name)                                                                   \
	complete = complete && look_up(library, "MHD_" #name, &microhttpd.name);
	MICROHTTPD_FUNCTIONS(MICROHTTPD_LOOK_UP)
#undef MICROHTTPD_LOOK_UP
	if (!complete && (problem = dlerror()) == NULL)
		problem = "unknown reason";
}

bool microhttpd_library_load(struct error *err)
{
	pthread_once(&once, load);
	if (!problem)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "load libmicrohttpd: %s", problem);
	return error_next(err, "install it: apt-get install libmicrohttpd12");
}
