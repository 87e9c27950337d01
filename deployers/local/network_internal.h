/*
 * network_internal.h - network.c (the tasks' places) and network_bridge.c (the bridge they hang on).
 */
#ifndef DEPLOYERS_LOCAL_NETWORK_INTERNAL_H
#define DEPLOYERS_LOCAL_NETWORK_INTERNAL_H

#include "deployers/local/netlink.h"
#include "deployers/local/network.h"

#include <linux/if.h>

enum { NETWORK_POOL = 4, NETWORK_TAG_SIZE = 9 };

struct network {
	struct loop *loop;
	int socket; /* rtnetlink, in the machine's own namespace */
	int home;   /* that namespace */
	unsigned bridge_index;
	char tag[NETWORK_TAG_SIZE]; /* 8 hex digits of the state folder */
	uint32_t base;              /* of the /24, host byte order */
	char gateway[NETWORK_ADDRESS_SIZE];
	int last_host;
	bool used[256];
	struct network_place pool[NETWORK_POOL];
	int pooled;
	struct watch *refill;
};

/* 8 hex digits of the state folder */
void network_tag(const char *state, char out[NETWORK_TAG_SIZE]);
void network_address_text(uint32_t address, char out[NETWORK_ADDRESS_SIZE]);
void network_add_address(struct netlink_batch *batch, unsigned index, uint32_t address);
void network_link_up(struct netlink_batch *batch, unsigned index);

/* Makes the bridge with a /24 that is free, or adopts it. */
bool network_open_bridge(struct network *network, struct error *err) must_use;

#endif
