#include "deployers/local/network_internal.h"

#include "base/file.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	POOL_DELAY_MS = 30, /* after the last join: not while tasks are being started */
	FIRST_HOST = 2,
	LAST_HOST = 254,
};

static void veth_name(const struct network *network, int host, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "d%s.%u", network->tag, (unsigned)host & 255);
}

bool network_open(struct cloud *cloud, struct network **out_network, struct error *err)
{
	scoped(network_close) struct network *network = memory_new(sizeof(*network));

	network->socket = network->home = -1;
	network->loop = cloud->loop;
	network->last_host = FIRST_HOST - 1;
	network_tag(cloud->state, network->tag);
	network->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (network->home < 0)
		return error_raise_errno(err, "open this machine's network namespace");
	if (!netlink_open(&network->socket, err) || !network_open_bridge(network, err))
		return error_while(err, "setting up the network of the local cloud");
	*out_network = network;
	network = NULL;
	return true;
}

const char *network_gateway(const struct network *network)
{
	return network->gateway;
}

void network_close(struct network **network)
{
	struct network *net = *network;

	if (!net)
		return;
	while (net->pooled)
		network_leave(net, &net->pool[--net->pooled]);
	if (net->loop)
		loop_remove(net->loop, &net->refill);
	descriptor_close(&net->socket);
	descriptor_close(&net->home);
	free(net);
	*network = NULL;
}

/* One message makes both ends, puts ours on the bridge, theirs (index 2, after lo) into the new
 * namespace. */
static bool make_veth(struct network *network, const char *name, uint32_t address, int namespace_fd,
	struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	struct ifinfomsg ours = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct ifinfomsg theirs = {.ifi_index = 2}; /* not up: it has no peer yet at that moment */

	netlink_message(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ours, sizeof(ours));
	netlink_text(&batch, IFLA_IFNAME, name);
	netlink_number(&batch, IFLA_MASTER, network->bridge_index);
	size_t info = netlink_nest(&batch, IFLA_LINKINFO, NULL, 0);

	netlink_text(&batch, IFLA_INFO_KIND, "veth");
	size_t data = netlink_nest(&batch, IFLA_INFO_DATA, NULL, 0);
	size_t peer = netlink_nest(&batch, VETH_INFO_PEER, &theirs, sizeof(theirs));

	/* An address always has the same hardware address: who spoke to an earlier task there, and
	 * remembers it, reaches the new one. Else the kernel tries the old for some ten seconds. */
	unsigned char mac[6] = {2, 0x64, (unsigned char)(address >> 24),
		(unsigned char)(address >> 16), (unsigned char)(address >> 8),
		(unsigned char)address};

	netlink_text(&batch, IFLA_IFNAME, "eth0");
	netlink_attribute(&batch, IFLA_ADDRESS, mac, sizeof(mac));
	netlink_number(&batch, IFLA_NET_NS_FD, (uint32_t)namespace_fd);
	netlink_nest_end(&batch, peer);
	netlink_nest_end(&batch, data);
	netlink_nest_end(&batch, info);
	return netlink_send(network->socket, &batch, "making a task's network link", err);
}

static bool configure_inside(struct network *network, int socket, uint32_t address,
	struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	struct rtmsg route = {.rtm_family = AF_INET,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	uint32_t gateway = htonl(network->base + 1);

	network_link_up(&batch, 1);
	network_add_address(&batch, 2, address);
	network_link_up(&batch, 2);
	netlink_message(&batch, RTM_NEWROUTE, NLM_F_CREATE, &route, sizeof(route));
	netlink_attribute(&batch, RTA_GATEWAY, &gateway, sizeof(gateway));
	netlink_number(&batch, RTA_OIF, 2);
	return netlink_send(socket, &batch, "configuring a task's network", err);
}

/* Runs in the new namespace. As in awsvpc tasks, a service without privileges may use port 80. */
static void allow_low_ports(void)
{
	int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0", 1) < 0)
		errno = 0; /* an old kernel: the service then needs the capability */
	close(fd);
}

static bool make_namespace(struct network *network, int *out_fd, int *out_socket, struct error *err)
{
	bool made = false;

	if (unshare(CLONE_NEWNET) < 0)
		return error_raise_errno(err, "make a network namespace");
	*out_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*out_fd < 0)
		error_raise_errno(err, "open the new network namespace");
	else
		made = netlink_open(out_socket, err);
	allow_low_ports();
	if (setns(network->home, CLONE_NEWNET) < 0) {
		fprintf(stderr, "error: cannot return to the machine's network namespace\n");
		abort(); /* everything after this would happen in the wrong network */
	}
	return made;
}

static bool next_host(struct network *network, int *out_host, struct error *err)
{
	for (int i = FIRST_HOST; i <= LAST_HOST; i++) {
		int host = network->last_host + 1 > LAST_HOST ? FIRST_HOST : network->last_host + 1;

		network->last_host = host;
		if (!network->used[host]) {
			*out_host = host;
			return true;
		}
	}
	return error_raise(err, ERROR_LIMIT,
		"all %d addresses of the local network are in use by tasks",
		LAST_HOST - FIRST_HOST + 1);
}

static bool make_place(struct network *network, struct network_place *out_place, struct error *err)
{
	scoped(descriptor_close) int fd = -1, socket = -1;
	char name[IFNAMSIZ];
	int host = 0;

	for (int tries = 0;; tries++) {
		if (!next_host(network, &host, err))
			return false;
		if (fd < 0 && !make_namespace(network, &fd, &socket, err))
			return false;
		veth_name(network, host, name);
		if (make_veth(network, name, network->base + (uint32_t)host, fd, err))
			break;
		/* The veth of an earlier task is still being removed: another address. */
		if (err->system_errno != EEXIST || tries > LAST_HOST)
			return false;
		error_free(err);
	}
	uint32_t address = network->base + (uint32_t)host;

	if (!configure_inside(network, socket, address, err))
		return false;
	network->used[host] = true;
	network_address_text(address, out_place->ip);
	out_place->namespace_fd = fd;
	fd = -1;
	return true;
}

static void refill(void *context)
{
	struct network *network = context;
	struct error err = {0};

	if (network->pooled == NETWORK_POOL)
		return;
	if (!make_place(network, &network->pool[network->pooled], &err)) {
		error_ignore(&err, "a task that needs one tries again and reports it");
		return;
	}
	if (++network->pooled < NETWORK_POOL)
		watch_set_delay(network->refill, 1);
}

bool network_join(struct network *network, struct network_place *out_place, struct error *err)
{
	if (!network->refill && network->loop)
		network->refill = loop_add_timer(network->loop, POOL_DELAY_MS, refill, network);
	else if (network->refill)
		watch_set_delay(network->refill, POOL_DELAY_MS);
	if (!network->pooled)
		return make_place(network, out_place, err);
	*out_place = network->pool[--network->pooled];
	network->pool[network->pooled] = (struct network_place){0};
	return true;
}

/* The host part of one of our addresses, 0 for anybody else's. */
static int host_of(const struct network *network, const char *ip)
{
	struct in_addr address;

	if (inet_pton(AF_INET, ip, &address) != 1 ||
		(ntohl(address.s_addr) & ~255u) != network->base)
		return 0;
	return (int)(ntohl(address.s_addr) & 255);
}

void network_leave(struct network *network, struct network_place *place)
{
	int host = host_of(network, place->ip);

	/* The veth goes with its namespace once nobody holds it; waiting for that here would cost
	 * the loop some 10 ms of the kernel's grace periods. */
	if (place->namespace_fd)
		descriptor_close(&place->namespace_fd);
	network->used[host] = false;
	*place = (struct network_place){0};
}

void network_adopt(struct network *network, const char *ip, pid_t process,
	struct network_place *out_place)
{
	scoped(text_free) char *path = memory_format("/proc/%d/ns/net", (int)process);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int host = host_of(network, ip);

	network->used[host] = true;
	if (host > network->last_host)
		network->last_host = host;
	snprintf(out_place->ip, sizeof(out_place->ip), "%s", ip);
	out_place->namespace_fd = fd < 0 ? 0 : fd;
}
