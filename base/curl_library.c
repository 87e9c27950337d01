#include "base/curl_library.h"

#include "base/library.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct curl_library curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *problem; /* owned: why loading failed */

/* Somebody may have put another one before the system's. */
static bool may_have_own(void)
{
	static const char *const variables[] = {"LD_LIBRARY_PATH", "LD_PRELOAD"};
	static const char *const files[] = {"/usr/local/lib/libcurl.so.4",
		"/usr/local/lib/x86_64-linux-gnu/libcurl.so.4"};

	for (size_t i = 0; i < countof(variables); i++) {
		const char *value = getenv(variables[i]);
		if (value && *value)
			return true;
	}
	for (size_t i = 0; i < countof(files); i++)
		if (access(files[i], F_OK) == 0)
			return true;
	return false;
}

/* Whether the machine's libcurl is the one whose archive the program has. */
static bool is_linked(void)
{
	char page[PAGE];
	ssize_t size;
	int fd = &curl_linked && !may_have_own() ? open(curl_linked.beside, O_RDONLY | O_CLOEXEC)
						 : -1;

	if (fd < 0)
		return false;
	do {
		size = read(fd, page, sizeof(page));
	} while (size < 0 && errno == EINTR);
	close(fd);
	return size > 0 &&
	       memmem(page, (size_t)size, curl_linked.build_id, CURL_BUILD_ID_SIZE) != NULL;
}

static void load(void)
{
	static const struct library_function functions[] = {
#define CURL_ROW(name) {"curl_" #name, &curl.name},
		CURL_FUNCTIONS(CURL_ROW)
#undef CURL_ROW
	};

	bool linked = is_linked();
	if (!linked)
		problem = library_load("libcurl.so.4", functions, countof(functions));
	/* The machine has none at all. */
	if (problem && &curl_linked && access(curl_linked.beside, F_OK) < 0 && errno == ENOENT) {
		text_free(&problem);
		linked = true;
	}
	if (linked)
		curl = curl_linked.functions;
	if (!problem && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		problem = memory_copy_text("curl_global_init failed");
}

bool curl_library_load(struct error *err)
{
	pthread_once(&once, load);
	return !problem || library_missing(err, "libcurl", problem, "libcurl4");
}
