/*
 * landlock.h - processes that cannot signal, trace or (through abstract unix sockets) reach those
 *              outside, whoever they belong to.
 *
 * Source  landlock(7), scopes since ABI 6 (Linux 6.12). Abstract sockets live in the network namespace:
 *         without this, whoever shares the host's network reaches those of the host's programs.
 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include "base/attributes.h"

/* A descriptor of the rule; 0 where the kernel has none. It closes on exec.
 * sockets  also cut abstract unix sockets off; else signals and tracing alone */
int landlock_open(bool sockets);
/* From now on for the caller and its children. System calls only. Needs no_new_privs or root. */
bool landlock_enter(int fd);

#endif
