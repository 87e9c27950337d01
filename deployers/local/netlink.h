/*
 * netlink.h - rtnetlink requests: built in a buffer, sent together, each acknowledged.
 *
 * Talking to the kernel directly costs tens of microseconds where starting ip(8) costs milliseconds,
 * and a container's start waits for it.
 *
 * Source  rtnetlink(7), linux/if_link.h, linux/if_addr.h.
 */
#ifndef DEPLOYERS_LOCAL_NETLINK_H
#define DEPLOYERS_LOCAL_NETLINK_H

#include "base/buf.h"
#include "base/error.h"

#include <linux/rtnetlink.h>

/* Requests waiting to be sent; all-zero is empty. */
struct netlink_batch {
	struct buf bytes; /* owned */
	size_t message;   /* where the message being built starts */
	size_t count;
};
void netlink_batch_free(struct netlink_batch *batch);

/* Starts a request with its fixed header; attributes follow. flags as NLM_F_CREATE; the request and
 * acknowledge bits are added. */
void netlink_message(struct netlink_batch *batch, int type, int flags, const void *header,
	size_t header_size);
void netlink_attribute(struct netlink_batch *batch, int type, const void *data, size_t size);
void netlink_text(struct netlink_batch *batch, int type, const char *text);
void netlink_number(struct netlink_batch *batch, int type, uint32_t number);
/* Attributes inside an attribute; header may be NULL. Returns the place for netlink_nest_end(). */
size_t netlink_nest(struct netlink_batch *batch, int type, const void *header, size_t header_size);
void netlink_nest_end(struct netlink_batch *batch, size_t nest);

/* A socket in the network namespace the thread is in. */
bool netlink_open(int *out_fd, struct error *err) must_use;
/* Sends all requests and waits for their acknowledgements; the first refusal is the error, with
 * system_errno set. Empties the batch. */
bool netlink_send(int fd, struct netlink_batch *batch, const char *what, struct error *err)
	must_use;
/* Asks for a list (RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE) and shows every entry to each. */
bool netlink_list(int fd, int type, int family,
	void (*each)(void *context, struct nlmsghdr *message), void *context, struct error *err)
	must_use;

#endif
