#include "base/curl_library.h"

#include "base/library.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

struct curl_library curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *problem; /* owned: why loading failed */

/* Whether the program has libcurl's archive, and the machine no other. */
static bool linked(void)
{
	struct stat status;

	if (!&curl_linked)
		return false;
	if (stat(curl_linked.beside, &status) != 0)
		return errno == ENOENT;
	return status.st_size == curl_linked.size && status.st_mtime == curl_linked.modified;
}

static void load(void)
{
	static const struct library_function functions[] = {
#define CURL_ROW(name) {"curl_" #name, &curl.name},
		CURL_FUNCTIONS(CURL_ROW)
#undef CURL_ROW
	};

	if (linked())
		curl = curl_linked.functions;
	else
		problem = library_load("libcurl.so.4", functions, countof(functions));
	if (!problem && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		problem = memory_copy_text("curl_global_init failed");
}

bool curl_library_load(struct error *err)
{
	pthread_once(&once, load);
	return !problem || library_missing(err, "libcurl", problem, "libcurl4");
}
