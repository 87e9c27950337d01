#include "base/archive_library.h"

#include "base/library.h"

#include <pthread.h>

struct archive_library libarchive;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *problem; /* owned: why loading failed */

static void load(void)
{
	static const struct library_function functions[] = {
#define ARCHIVE_ROW(name) {"archive_" #name, &libarchive.name},
		ARCHIVE_FUNCTIONS(ARCHIVE_ROW)
#undef ARCHIVE_ROW
			{"archive_errno", &libarchive.error_number},
	};

	problem = library_load("libarchive.so.13", functions, countof(functions));
}

bool archive_library_load(struct error *err)
{
	pthread_once(&once, load);
	return !problem || library_missing(err, "libarchive", problem, "libarchive13");
}
