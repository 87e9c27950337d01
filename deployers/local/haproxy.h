/*
 * haproxy.h - one HAProxy in one folder: started, reloaded without losing a request, spoken to,
 *             adopted after our own death.
 *
 * A reload starts a new process that takes the listening sockets over from the old one; the old one
 * ends when its last client connection has. Until then it still serves those connections by what it
 * knew, so we keep a connection to its command line too and tell it everything we tell the new one.
 * (HAProxy's master mode would do the same; its reload takes three times as long.)
 *
 * Blocking  a command waits for its answer, well below a millisecond; start and reload 20-30 ms.
 */
#ifndef DEPLOYERS_LOCAL_HAPROXY_H
#define DEPLOYERS_LOCAL_HAPROXY_H

#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"

struct haproxy;

/* folder is made when missing; lost is called on the loop when the running process has ended by
 * itself. Adopts a process that runs there. */
bool haproxy_open(struct loop *loop, const char *folder, void (*lost)(void *context), void *context,
	struct haproxy **out_haproxy, struct error *err) must_use;
void haproxy_close(struct haproxy **haproxy); /* leaves it running */

bool haproxy_runs(const struct haproxy *haproxy);
/* The description of the running configuration; NULL when it has none or nothing runs. Owned. */
char *haproxy_description(struct haproxy *haproxy) must_use;

/* Starts with this configuration, or reloads to it. On failure what ran goes on as before. */
bool haproxy_load(struct haproxy *haproxy, struct str config, struct str weights, struct error *err)
	must_use;
/* Ends all of its processes and waits until they are gone. */
bool haproxy_stop(struct haproxy *haproxy, struct error *err) must_use;

/* Tells every process; out (may be NULL) gets the answer of the newest. */
bool haproxy_command(struct haproxy *haproxy, const char *command, struct buf *out,
	struct error *err) must_use;
/* Sum over all processes of the open sessions of one server, queued ones included; 0 where the
 * server is unknown. */
int64_t haproxy_sessions(struct haproxy *haproxy, const char *backend, const char *server);

#endif
