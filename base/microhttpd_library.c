#include "base/microhttpd_library.h"

#include "base/library.h"

#include <pthread.h>

struct microhttpd_library microhttpd;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *problem; /* owned: why loading failed */

static void load(void)
{
	static const struct library_function functions[] = {
#define MICROHTTPD_ROW(name) {"MHD_" #name, &microhttpd.name},
		MICROHTTPD_FUNCTIONS(MICROHTTPD_ROW)
#undef MICROHTTPD_ROW
	};

	problem = library_load("libmicrohttpd.so.12", functions, countof(functions));
}

bool microhttpd_library_load(struct error *err)
{
	pthread_once(&once, load);
	return !problem || library_missing(err, "libmicrohttpd", problem, "libmicrohttpd12");
}
