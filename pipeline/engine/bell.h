/*
 * bell.h - a FIFO in a run's folder: whoever left something there for the engine rings it.
 *
 * Not inotify: closing its descriptor waits for the kernel's grace period, 5 to 25 ms at the end of
 * every `run`, while a whole run with nothing to do takes 6.
 *
 * Ownership  a bell owns its descriptor and watch; all-zero is no bell.
 */
#ifndef PIPELINE_ENGINE_BELL_H
#define PIPELINE_ENGINE_BELL_H

#include "base/error.h"
#include "base/loop.h"

struct bell {
	int fd; /* 0: none */
	struct watch *watch;
	void (*rung)(void *context);
	void *context;
};

/* Hangs the bell of folder (again is fine); rung is called on the loop. The bell must not move. */
bool bell_hang(struct bell *bell, const char *folder, struct loop *loop,
	void (*rung)(void *context), void *context, struct error *err) must_use;
/* Nobody listening is fine: what was left is found when somebody looks. */
void bell_ring(const char *folder);
void bell_free(struct bell *bell, struct loop *loop);

#endif
