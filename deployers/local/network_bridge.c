#include "deployers/local/network_internal.h"

#include "base/digest.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

unsigned if_nametoindex(const char *name); /* net/if.h and linux/if.h exclude each other */

/* 10.96.0.0/12 holds 4096 networks of /24. */
static const uint32_t networks_start = 10u << 24 | 96u << 16;
enum { NETWORK_COUNT = 4096 };

void network_tag(const char *state, char out[9])
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest = digest_of_str(str_of(state));

	digest_to_hex(&digest, hex);
	snprintf(out, 9, "%.8s", hex);
}

void network_address_text(uint32_t address, char out[NETWORK_ADDRESS_SIZE])
{
	snprintf(out, NETWORK_ADDRESS_SIZE, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
		address >> 8 & 255, address & 255);
}

static void bridge_name(const char *tag, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "ds-%s", tag);
}

void network_add_address(struct netlink_batch *batch, unsigned index, uint32_t address)
{
	struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = index};
	uint32_t wire = htonl(address);

	netlink_message(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_attribute(batch, IFA_LOCAL, &wire, sizeof(wire));
	netlink_attribute(batch, IFA_ADDRESS, &wire, sizeof(wire));
}

void network_link_up(struct netlink_batch *batch, unsigned index)
{
	struct ifinfomsg header = {.ifi_index = (int)index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP};

	netlink_message(batch, RTM_NEWLINK, 0, &header, sizeof(header));
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

static bool make_bridge(struct network *network, const char *name, struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	struct ifinfomsg header = {0};
	uint32_t tag = (uint32_t)strtoul(network->tag, NULL, 16);
	/* A fixed address: by default a bridge takes the lowest of its ports' and changes it as
	 * they come and go, which breaks connections for as long as neighbours remember the old. */
	unsigned char mac[6] = {2, 0x65, (unsigned char)(tag >> 24), (unsigned char)(tag >> 16),
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

bool network_open_bridge(struct network *network, struct error *err)
{
	scoped(netlink_batch_free) struct netlink_batch batch = {0};
	char name[IFNAMSIZ];

	bridge_name(network->tag, name);
	network->bridge_index = if_nametoindex(name);
	if (!choose_network(network, err))
		return false;
	if (!network->bridge_index && !make_bridge(network, name, err))
		return false;
	network_address_text(network->base + 1, network->gateway);
	network_add_address(&batch, network->bridge_index, network->base + 1);
	if (!netlink_send(network->socket, &batch, "giving the tasks' bridge its address", err)) {
		if (err->system_errno != EEXIST)
			return false;
		error_ignore(err, "an adopted bridge has it");
	}
	network_link_up(&batch, network->bridge_index);
	return netlink_send(network->socket, &batch, "starting the tasks' bridge", err);
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
	char tag[NETWORK_TAG_SIZE], name[IFNAMSIZ];

	network_tag(state, tag);
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
