/*
 * undertaker.h - a copy of this process that removes a folder when we end without having done so.
 *
 *     us and the keepers of our commands ── leash ── undertaker
 *
 * It waits until the last of us has let go of the leash, and is deaf to signals but SIGKILL. A small
 * process makes one cheaply; one that has loaded its libraries pays half a millisecond. So a process
 * that waits for its work begins with undertaker_warm_up().
 */
#ifndef BUILDERS_EXECUTOR_UNDERTAKER_H
#define BUILDERS_EXECUTOR_UNDERTAKER_H

#include <sys/types.h>

struct undertaker {
	pid_t pid; /* 0: there is none */
	int leash; /* children that we fork keep it, too; what they exec does not */
};

/* Makes the next undertaker now, before it is needed. */
void undertaker_warm_up(void);
/* Ends one that was made and not needed. */
void undertaker_cool_down(void);

/* From now on path is removed when we end; it need not be there yet. Best effort: without an undertaker
 * what is left waits for the next build's sweep. */
void undertaker_start(struct undertaker *out_undertaker, const char *path);
/* Lets it go, once path is gone. */
void undertaker_end(struct undertaker *undertaker);
/* Lets it go without a look at path, which is not ours. */
void undertaker_dismiss(struct undertaker *undertaker);

#endif
