/*
 * haproxy_generation.h - one process of HAProxy and our connection to its command line.
 *
 * The connection is in interactive mode: answers end in a prompt. It is opened by haproxy.c, which says
 * "prompt" first. Commands block until they are answered, well below a millisecond.
 */
#ifndef DEPLOYERS_LOCAL_HAPROXY_GENERATION_H
#define DEPLOYERS_LOCAL_HAPROXY_GENERATION_H

#include "base/buf.h"

#include <sys/types.h>

struct generation {
	pid_t pid;
	int process; /* owned: a pidfd, since the number may be somebody else's after its end */
	int fd;      /* owned; 0 when all-zero, as process */
	bool broken; /* does not answer any more */
};

void generation_close(struct generation *generation);
/* Ends a hung process so that it does not go on taking connections beside its successor. */
void generation_kill(const struct generation *generation);

/* False when the process is gone or does not answer in time: it is broken from then on,
 * and its connection ends. */
bool generation_ask(struct generation *generation, const char *command, struct buf *out);
/* Appends the value of the line "<name>: <value>" of show info. */
bool generation_info(struct generation *generation, const char *name, struct buf *out);
/* Open and queued sessions of one server; 0 when it is unknown. */
int64_t generation_sessions(struct generation *generation, const char *backend, const char *server);

/* After a reload both processes have the listening sockets; the old one lets go when it has seen its
 * signal. Waits for that: then no new connection can reach it, and what was to take effect has. */
void generation_wait_until_stopping(struct generation *generation);

#endif
