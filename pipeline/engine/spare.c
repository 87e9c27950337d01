#include "pipeline/engine/spare.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than this does not fit a socket's buffer; such a command is started as usual. */
enum { MESSAGE_BYTES_MAX = 128 * 1024 };

struct head {
	uint32_t bytes; /* of the texts that follow */
	uint32_t words; /* how many of them are argv; the rest is the environment */
};

void spare_start(struct spare *spare)
{
	const char *argv[] = {"/proc/self/exe", "spare", NULL};
	scoped(error_free) struct error err = {0};
	int ends[2];

	if (spare->process.pid || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return;
	const struct process_options options = {.argv = argv,
		.stdin_fd = ends[1],
		.stdout_fd = -1,
		.stderr_fd = -1,
		.die_with_parent = true};

	if (process_start(&options, &spare->process, &err)) {
		spare->socket = ends[0];
	} else {
		error_ignore(&err, "a stage is started as usual then");
		close(ends[0]);
	}
	close(ends[1]);
}

void spare_free(struct spare *spare)
{
	struct process_exit exit;

	if (!spare->process.pid)
		return;
	close(spare->socket);
	/* It has begun nothing, so there is nothing to end gracefully. */
	kill(spare->process.pid, SIGKILL);
	process_stop(&spare->process, 0, &exit);
	process_free(&spare->process);
	*spare = (struct spare){0};
}

static void append_texts(struct buf *out, const struct strings *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		buf_append(out, texts->items[i], strlen(texts->items[i]) + 1);
}

/* The head carries the descriptors. */
static bool send_head(int socket, struct head head, const int *descriptors, size_t count)
{
	union {
		char bytes[CMSG_SPACE(SPARE_DESCRIPTORS * sizeof(int))];
		struct cmsghdr aligned;
	} control = {0};
	struct iovec piece = {&head, sizeof(head)};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(head);
}

static bool send_all(int socket, struct str rest)
{
	while (rest.size) {
		ssize_t sent = send(socket, rest.data, rest.size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		rest.data += sent;
		rest.size -= (size_t)sent;
	}
	return true;
}

bool spare_use(struct spare *spare, const struct strings *argv, const struct strings *env,
	const int *descriptors, size_t count, struct process *out_process)
{
	scoped(buf_free) struct buf texts = {0};

	if (!spare->process.pid || count > SPARE_DESCRIPTORS)
		return false;
	append_texts(&texts, argv);
	append_texts(&texts, env);
	if (texts.size > MESSAGE_BYTES_MAX)
		return false;
	const struct head head = {(uint32_t)texts.size, (uint32_t)argv->count};

	/* Half a message is none: it waits for the rest, and is killed. */
	if (!send_head(spare->socket, head, descriptors, count) ||
		!send_all(spare->socket, buf_str(&texts))) {
		spare_free(spare);
		return false;
	}
	close(spare->socket);
	*out_process = spare->process;
	*spare = (struct spare){0};
	return true;
}

/* *out_count is 0 at the end of the socket. */
static bool receive_head(struct head *out, int *descriptors, size_t *out_count, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(SPARE_DESCRIPTORS * sizeof(int))];
		struct cmsghdr aligned;
	} control = {0};
	struct iovec piece = {out, sizeof(*out)};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t size;

	do {
		size = recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	} while (size < 0 && errno == EINTR);
	*out_count = 0;
	if (size == 0)
		return true;
	struct cmsghdr *rights = size == (ssize_t)sizeof(*out) ? CMSG_FIRSTHDR(&message) : NULL;

	if (!rights || rights->cmsg_type != SCM_RIGHTS || out->bytes > MESSAGE_BYTES_MAX)
		return error_raise(err, ERROR_PROTOCOL, "this is no command of an engine");
	*out_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(descriptors, CMSG_DATA(rights), *out_count * sizeof(int));
	return true;
}

static bool receive_texts(size_t size, struct buf *out, struct error *err)
{
	char *to = buf_reserve(out, size);

	while (out->size < size) {
		ssize_t got = read(STDIN_FILENO, to + out->size, size - out->size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_raise(err, ERROR_PROTOCOL, "the engine ended in the middle");
		out->size += (size_t)got;
	}
	return true;
}

static bool take_descriptors(const int *descriptors, struct error *err)
{
	scoped(descriptor_close) int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* Those behind the first two are locks: they stay open as long as we live. */
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
		dup2(descriptors[0], STDOUT_FILENO) < 0 || dup2(descriptors[1], STDERR_FILENO) < 0)
		return error_raise_errno(err, "take the engine's descriptors");
	close(descriptors[0]);
	close(descriptors[1]);
	return true;
}

bool spare_wait(struct strings *out_argv, struct error *err)
{
	scoped(buf_free) struct buf texts = {0};
	int descriptors[SPARE_DESCRIPTORS];
	struct head head = {0};
	size_t count = 0, number = 0;

	if (!receive_head(&head, descriptors, &count, err))
		return false;
	if (count == 0)
		return true;
	if (count < 2 || !receive_texts(head.bytes, &texts, err) ||
		!take_descriptors(descriptors, err))
		return error_raise(err, ERROR_PROTOCOL, "this is no command of an engine");
	clearenv();
	for (size_t at = 0; at < texts.size; number++) {
		const char *text = texts.data + at;

		at += strnlen(text, texts.size - at) + 1;
		if (number < head.words)
			strings_add(out_argv, text);
		else
			putenv(memory_copy_text(text)); /* the environment's from now on */
	}
	return true;
}
