#include "deployers/local/workers.h"

#include <signal.h>
#include <unistd.h>

static size_t wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors > WORKERS_MAX ? WORKERS_MAX : (size_t)processors;
}

bool workers_start(struct workers *workers, void *(*run)(void *context), void *context)
{
	sigset_t all, before;

	if (workers->count)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (size_t i = wanted(); i; i--) {
		if (pthread_create(&workers->threads[workers->count], NULL, run, context) != 0)
			break;
		workers->count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return workers->count > 0;
}

void workers_join(struct workers *workers)
{
	while (workers->count)
		pthread_join(workers->threads[--workers->count], NULL);
}
