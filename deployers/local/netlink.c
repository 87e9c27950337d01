#include "deployers/local/netlink.h"

#include <errno.h>
#include <stdalign.h>
#include <sys/socket.h>
#include <unistd.h>

void netlink_batch_free(struct netlink_batch *batch)
{
	buf_free(&batch->bytes);
	*batch = (struct netlink_batch){0};
}

/* Lengths lie in the buffer, which moves when it grows: always found again by offset. */
static void set_message_size(struct netlink_batch *batch)
{
	uint32_t size = (uint32_t)(batch->bytes.size - batch->message);

	memcpy(batch->bytes.data + batch->message, &size, sizeof(size));
}

static void append_padded(struct netlink_batch *batch, const void *data, size_t size)
{
	static const char zeros[NLMSG_ALIGNTO];

	buf_append(&batch->bytes, data, size);
	buf_append(&batch->bytes, zeros, NLMSG_ALIGN(size) - size);
}

void netlink_message(struct netlink_batch *batch, int type, int flags, const void *header,
	size_t header_size)
{
	struct nlmsghdr message = {
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK),
		.nlmsg_seq = (uint32_t)++batch->count,
	};

	batch->message = batch->bytes.size;
	append_padded(batch, &message, sizeof(message));
	append_padded(batch, header, header_size);
	set_message_size(batch);
}

void netlink_attribute(struct netlink_batch *batch, int type, const void *data, size_t size)
{
	struct rtattr attribute = {.rta_len = (uint16_t)(sizeof(attribute) + size),
		.rta_type = (uint16_t)type};

	buf_append(&batch->bytes, &attribute, sizeof(attribute));
	append_padded(batch, data, size);
	set_message_size(batch);
}

void netlink_text(struct netlink_batch *batch, int type, const char *text)
{
	netlink_attribute(batch, type, text, strlen(text) + 1);
}

void netlink_number(struct netlink_batch *batch, int type, uint32_t number)
{
	netlink_attribute(batch, type, &number, sizeof(number));
}

size_t netlink_nest(struct netlink_batch *batch, int type, const void *header, size_t header_size)
{
	size_t nest = batch->bytes.size;

	netlink_attribute(batch, type, header, header_size);
	return nest;
}

void netlink_nest_end(struct netlink_batch *batch, size_t nest)
{
	uint16_t size = (uint16_t)(batch->bytes.size - nest);

	memcpy(batch->bytes.data + nest, &size, sizeof(size));
	set_message_size(batch);
}

bool netlink_open(int *out_fd, struct error *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return error_raise_errno(err, "open a netlink socket");
	*out_fd = fd;
	return true;
}

static bool receive(int fd, char *buffer, size_t size, ssize_t *out_size, const char *what,
	struct error *err)
{
	do
		*out_size = recv(fd, buffer, size, 0);
	while (*out_size < 0 && errno == EINTR);
	if (*out_size < 0)
		return error_raise_errno(err, "read the kernel's answer while %s", what);
	return true;
}

enum { ANSWER_SIZE = 64 * 1024 };

bool netlink_send(int fd, struct netlink_batch *batch, const char *what, struct error *err)
{
	alignas(struct nlmsghdr) char buffer[4096];
	size_t waiting = batch->count;
	int refused = 0;
	ssize_t size = send(fd, batch->bytes.data, batch->bytes.size, 0);

	batch->count = 0;
	buf_clear(&batch->bytes);
	if (size < 0)
		return error_raise_errno(err, "ask the kernel while %s", what);
	while (waiting) {
		if (!receive(fd, buffer, sizeof(buffer), &size, what, err))
			return false;
		size_t left = (size_t)size;

		for (struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, left) && waiting;
			message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type != NLMSG_ERROR)
				continue;
			struct nlmsgerr *answer = NLMSG_DATA(message);

			waiting--;
			if (answer->error && !refused)
				refused = -answer->error;
		}
	}
	errno = refused;
	return !refused || error_raise_errno(err, "%s", what);
}

bool netlink_list(int fd, int type, int family,
	void (*each)(void *context, struct nlmsghdr *message), void *context, struct error *err)
{
	alignas(struct nlmsghdr) static char buffer[ANSWER_SIZE];
	struct {
		struct nlmsghdr message;
		struct rtgenmsg general;
	} request = {
		.message = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.general)),
			.nlmsg_type = (uint16_t)type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.general = {.rtgen_family = (unsigned char)family},
	};
	ssize_t size;

	if (send(fd, &request, request.message.nlmsg_len, 0) < 0)
		return error_raise_errno(err, "list the machine's network");
	for (;;) {
		if (!receive(fd, buffer, sizeof(buffer), &size, "listing the network", err))
			return false;
		size_t left = (size_t)size;

		for (struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, left);
			message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return true;
			if (message->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)NLMSG_DATA(message))->error;
				return error_raise_errno(err, "list the machine's network");
			}
			each(context, message);
		}
	}
}
