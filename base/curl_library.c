#include "base/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct curl_library curl;

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
	/* Held until the process ends: libcurl's dependencies do not survive being unloaded. */
	void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	bool complete = library != NULL;

#define CURL_LOOK_UP(name) complete = complete && look_up(library, "curl_" #name, &curl.name);
	CURL_FUNCTIONS(CURL_LOOK_UP)
#undef CURL_LOOK_UP
	if (!complete)
		problem = dlerror();
	else if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		problem = "curl_global_init failed";
	if (!complete && !problem)
		problem = "unknown reason";
}

bool curl_library_load(struct error *err)
{
	pthread_once(&once, load);
	if (!problem)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "load libcurl: %s", problem);
	return error_next(err, "install it: apt-get install libcurl4");
}
