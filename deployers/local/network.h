/*
 * network.h - the tasks' network: a bridge with a /24, and for each task a network namespace with an
 *             address of its own.
 *
 *     bridge ds-1f2e3d4c 10.97.14.1/24 ── veth d1f2e3d4c.7 ── eth0 10.97.14.7 (a task)
 *
 * A task's containers are started inside its namespace, so the namespace has no name and no file: it
 * lives as long as a container or a descriptor holds it, and takes its veth along when it ends. Both
 * happen some time after the last one left, so addresses are given out round-robin: one comes again
 * only after all the others. A few namespaces are made ahead, off the way of a starting task.
 *
 * The machine forwards nothing for them: tasks reach each other and this machine, nothing else.
 */
#ifndef DEPLOYERS_LOCAL_NETWORK_H
#define DEPLOYERS_LOCAL_NETWORK_H

#include "deployers/local/cloud.h"

struct network;

enum { NETWORK_ADDRESS_SIZE = 16 };

/* Makes the bridge or adopts it; sets nothing in cloud. Fails with ERROR_DENIED without the right to
 * configure networks (the advice says so), ERROR_CONFLICT when no /24 of 10.96.0.0/12 is free. */
bool network_open(struct cloud *cloud, struct network **out_network, struct error *err) must_use;
void network_close(struct network **network); /* leaves the bridge and the tasks' namespaces */
/* Takes the bridge and every veth on it away, also those of another life of this state folder. */
bool network_remove(const char *state, struct error *err) must_use;

const char *network_gateway(const struct network *network); /* "10.97.14.1" */

/* One task's place in the network. */
struct network_place {
	int namespace_fd; /* the caller's; 0 when all-zero */
	char ip[NETWORK_ADDRESS_SIZE];
};
bool network_join(struct network *network, struct network_place *out_place, struct error *err)
	must_use;
/* The task is gone: closes the descriptor, takes its veth away, frees the address. */
void network_leave(struct network *network, struct network_place *place);
/* A task from before our start has this address: takes it over, with the namespace of the process
 * (0: without). */
void network_adopt(struct network *network, const char *ip, pid_t process,
	struct network_place *out_place);

#endif
