#include "deployers/local/network.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "deployers/local/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

unsigned if_nametoindex(const char *name); /* net/if.h and linux/if.h exclude each other */

enum {
	POOL_SIZE = 4,
	POOL_DELAY_MS = 30, /* after the last join: not while tasks are being started */
	FIRST_HOST = 2,
	LAST_HOST = 254,
};

/* 10.96.0.0/12 holds 4096 networks of /24. */
static const uint32_t networks_start = 10u << 24 | 96u << 16;
enum { NETWORK_COUNT = 4096 };

struct network {
	struct loop *loop;
	int socket; /* rtnetlink, in the machine's own namespace */
	int home;   /* that namespace */
	unsigned bridge_index;
	char tag[9];   /* 8 hex digits of the state folder */
	uint32_t base; /* of the /24, host byte order */
	char gateway[NETWORK_ADDRESS_SIZE];
	int last_host;
	bool used[256];
	struct network_place pool[POOL_SIZE];
	int pooled;
	struct watch *refill;
};

static void state_tag(const char *state, char out[9])
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest = digest_of_str(str_of(state));

	digest_to_hex(&digest, hex);
	snprintf(out, 9, "%.8s", hex);
}

static void address_text(uint32_t address, char out[NETWORK_ADDRESS_SIZE])
{
	snprintf(out, NETWORK_ADDRESS_SIZE, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
		address >> 8 & 255, address & 255);
}

static void bridge_name(const char *tag, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "ds-%s", tag);
}

static void veth_name(const struct network *network, int host, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "d%s.%u", network->tag, (unsigned)host & 255);
}

/* What other networks of this machine occupy, and the address our bridge has already. */
struct survey {
	unsigned bridge_index;
	uint32_t bridge_address;
	bool taken[NETWORK_COUNT];
};

static void survey_range(struct survey *survey, uint32_t address, int prefix)
{
	uint32_t size = prefix >= 24 ? 256 : 1u << (32 - prefix);
	uint32_t from = address & ~(size - 1);

	for (uint32_t i = 0; i < NETWORK_COUNT; i++) {
		uint32_t net = networks_start + i * 256;

		survey->taken[i] |= net >= from && net < from + size;
	}
}

static uint32_t attribute_address(struct rtattr *attribute, int size, int wanted)
{
	uint32_t address;

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size)) {
		if (attribute->rta_type != wanted)
			continue;
		memcpy(&address, RTA_DATA(attribute), sizeof(address));
		return ntohl(address);
	}
	return 0;
}

static void survey_address(void *context, struct nlmsghdr *message)
{
	struct survey *survey = context;
	struct ifaddrmsg *header = NLMSG_DATA(message);
	uint32_t address = attribute_address(IFA_RTA(header), (int)IFA_PAYLOAD(message), IFA_LOCAL);

	if (!address)
		return;
	if (survey->bridge_index && header->ifa_index == survey->bridge_index)
		survey->bridge_address = address;
	else
		survey_range(survey, address, header->ifa_prefixlen);
}

static void survey_route(void *context, struct nlmsghdr *message)
{
	struct rtmsg *header = NLMSG_DATA(message);

	/* A wide route (10.0.0.0/8 to a VPN) would forbid everything; a /24 inside it is bearable. */
	if (header->rtm_table == RT_TABLE_MAIN && header->rtm_dst_len > 12)
		survey_range(context,
			attribute_address(RTM_RTA(header), (int)RTM_PAYLOAD(message), RTA_DST),
			header->rtm_dst_len);
}

static bool choose_network(struct network *network, struct error *err)
{
	struct survey survey = {.bridge_index = network->bridge_index};
	uint32_t start = (uint32_t)strtoul(network->tag, NULL, 16) % NETWORK_COUNT;

	if (!netlink_list(network->socket, RTM_GETADDR, AF_INET, survey_address, &survey, err))
		return false;
	if (survey.bridge_address) {
		network->base = survey.bridge_address & ~255u;
		return true;
	}
	if (!netlink_list(network->socket, RTM_GETROUTE, AF_INET, survey_route, &survey, err))
		return false;
	for (uint32_t i = 0; i < NETWORK_COUNT; i++) {
		uint32_t at = (start + i) % NETWORK_COUNT;

		if (survey.taken[at])
			continue;
		network->base = networks_start + at * 256;
		return true;
	}
	return error_raise(err, ERROR_CONFLICT,
		"every /24 of 10.96.0.0/12 is in use on this machine, none is left for tasks");
}

static void add_address(struct netlink_batch *batch, unsigned index, uint32_t address)
{
	struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = index};
	uint32_t wire = htonl(address);

	netlink_message(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_attribute(batch, IFA_LOCAL, &wire, sizeof(wire));
	netlink_attribute(batch, IFA_ADDRESS, &wire, sizeof(wire));
}

static void set_link_up(struct netlink_batch *batch, unsigned index)
{
	struct ifinfomsg header = {.ifi_index = (int)index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP};

	netlink_message(batch, RTM_NEWLINK, 0, &header, sizeof(header));
}

static bool make_bridge(struct network *network, const char *name, struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	struct ifinfomsg header = {0};
	uint32_t tag = (uint32_t)strtoul(network->tag, NULL, 16);
	/* A fixed address: by default a bridge takes the lowest of its ports' and changes it as
	 * they come and go, which breaks connections for as long as neighbours remember the old. */
	unsigned char mac[6] = {2, 0x64, (unsigned char)(tag >> 24), (unsigned char)(tag >> 16),
		(unsigned char)(tag >> 8), (unsigned char)tag};

	netlink_message(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_text(&batch, IFLA_IFNAME, name);
	netlink_attribute(&batch, IFLA_ADDRESS, mac, sizeof(mac));
	size_t info = netlink_nest(&batch, IFLA_LINKINFO, NULL, 0);

	netlink_text(&batch, IFLA_INFO_KIND, "bridge");
	netlink_nest_end(&batch, info);
	if (!netlink_send(network->socket, &batch, "making the tasks' bridge", err)) {
		if (err->kind == ERROR_DENIED)
			error_next(err, "run the local cloud as root (it needs CAP_NET_ADMIN and "
					"CAP_SYS_ADMIN)");
		return false;
	}
	network->bridge_index = if_nametoindex(name);
	return true;
}

static bool open_bridge(struct network *network, struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	char name[IFNAMSIZ];

	bridge_name(network->tag, name);
	network->bridge_index = if_nametoindex(name);
	if (!choose_network(network, err))
		return false;
	if (!network->bridge_index && !make_bridge(network, name, err))
		return false;
	address_text(network->base + 1, network->gateway);
	add_address(&batch, network->bridge_index, network->base + 1);
	if (!netlink_send(network->socket, &batch, "giving the tasks' bridge its address", err)) {
		if (err->system_errno != EEXIST)
			return false;
		error_ignore(err, "an adopted bridge has it");
	}
	set_link_up(&batch, network->bridge_index);
	return netlink_send(network->socket, &batch, "starting the tasks' bridge", err);
}

bool network_open(struct cloud *cloud, struct network **out_network, struct error *err)
{
	scoped(network_close) struct network *network = memory_new(sizeof(*network));

	network->socket = network->home = -1;
	network->loop = cloud->loop;
	network->last_host = FIRST_HOST - 1;
	state_tag(cloud->state, network->tag);
	network->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (network->home < 0)
		return error_raise_errno(err, "open this machine's network namespace");
	if (!netlink_open(&network->socket, err) || !open_bridge(network, err))
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

static void delete_link(int socket, unsigned index)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	struct ifinfomsg header = {.ifi_index = (int)index};
	struct error err = {0};

	netlink_message(&batch, RTM_DELLINK, 0, &header, sizeof(header));
	if (!netlink_send(socket, &batch, "removing a link", &err))
		error_ignore(&err, "it went with its namespace");
}

struct links {
	char prefix[IFNAMSIZ];
	unsigned found[512];
	size_t count;
};

static void find_link(void *context, struct nlmsghdr *message)
{
	struct links *links = context;
	struct ifinfomsg *header = NLMSG_DATA(message);
	struct rtattr *attribute = IFLA_RTA(header);
	int size = (int)IFLA_PAYLOAD(message);

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size))
		if (attribute->rta_type == IFLA_IFNAME &&
			text_starts_with(RTA_DATA(attribute), links->prefix) &&
			links->count < countof(links->found))
			links->found[links->count++] = (unsigned)header->ifi_index;
}

bool network_remove(const char *state, struct error *err)
{
	scoped(descriptor_close) int socket = -1;
	struct links links = {0};
	char tag[9], name[IFNAMSIZ];

	state_tag(state, tag);
	snprintf(links.prefix, sizeof(links.prefix), "d%s.", tag);
	bridge_name(tag, name);
	if (!netlink_open(&socket, err) ||
		!netlink_list(socket, RTM_GETLINK, AF_UNSPEC, find_link, &links, err))
		return error_while(err, "removing the network of the local cloud");
	for (size_t i = 0; i < links.count; i++)
		delete_link(socket, links.found[i]);
	unsigned bridge = if_nametoindex(name);

	if (bridge)
		delete_link(socket, bridge);
	if (if_nametoindex(name))
		return error_raise(err, ERROR_CONFLICT, "the bridge %s cannot be removed", name);
	return true;
}

/* One message makes both ends, puts ours on the bridge, theirs (index 2, after lo) into the new
 * namespace. */
static bool make_veth(struct network *network, const char *name, int namespace_fd,
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

	netlink_text(&batch, IFLA_IFNAME, "eth0");
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

	set_link_up(&batch, 1);
	add_address(&batch, 2, address);
	set_link_up(&batch, 2);
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
		if (make_veth(network, name, fd, err))
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
	address_text(address, out_place->ip);
	out_place->namespace_fd = fd;
	fd = -1;
	return true;
}

static void refill(void *context)
{
	struct network *network = context;
	struct error err = {0};

	if (network->pooled == POOL_SIZE)
		return;
	if (!make_place(network, &network->pool[network->pooled], &err)) {
		error_ignore(&err, "a task that needs one tries again and reports it");
		return;
	}
	if (++network->pooled < POOL_SIZE)
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
