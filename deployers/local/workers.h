/*
 * workers.h - the threads of one of the registry's rooms: as many as there are processors, four at
 *             most, started when the first is needed. Signals are the loop's.
 */
#ifndef DEPLOYERS_LOCAL_WORKERS_H
#define DEPLOYERS_LOCAL_WORKERS_H

#include "base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { WORKERS_MAX = 4 };

struct workers {
	pthread_t threads[WORKERS_MAX];
	size_t count;
};

/* False: the system gives not one thread; a later call tries again. With some there already nothing
 * is done. */
bool workers_start(struct workers *workers, void *(*run)(void *context), void *context) must_use;
/* Waits for all to end; the caller has told them. */
void workers_join(struct workers *workers);

#endif
