#include "services/kit/trial.h"

#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "trial: %s: %s\n", what, strerror(errno));
	abort();
}

void trial_open(struct trial *trial, const struct service_plan *plan)
{
	static const struct service_settings settings = {.host = "127.0.0.1",
		.log_level = "error",
		.drain_timeout_ms = 5000};
	struct error err = {0};

	/* A test asks much; what is worth reading is what went wrong. */
	log_setup(LOG_PLAIN, LOG_WARNING, 2);
	*trial = (struct trial){0};
	if (loop_new(&trial->loop, &err) &&
		service_open(trial->loop, plan, &settings, &trial->service, &err))
		return;
	error_print(stderr, &err, true);
	abort();
}

void trial_close(struct trial *trial)
{
	service_close(&trial->service);
	loop_free(&trial->loop);
}

void reply_free(struct reply *reply)
{
	buf_free(&reply->head);
	buf_free(&reply->body);
	json_free(&reply->json);
	*reply = (struct reply){0};
}

const char *reply_error_code(const struct reply *reply)
{
	return json_get_text(json_get(reply->json, "error"), "code", "");
}

struct asking {
	struct trial *trial;
	int fd;
	struct buf received;
	struct watch *watch;
	size_t *open; /* how many still read */
};

static void read_more(void *context, unsigned bits)
{
	struct asking *asking = context;
	char bytes[16384];
	ssize_t got = recv(asking->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)bits;
	if (got > 0) {
		buf_append(&asking->received, bytes, (size_t)got);
	} else if (got == 0 || errno != EAGAIN) {
		loop_remove(asking->trial->loop, &asking->watch);
		--*asking->open;
	}
}

static void start(struct asking *asking, const struct buf *request)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)service_port(asking->trial->service)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	asking->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(asking->fd >= 0, "socket");
	require(connect(asking->fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	require(send(asking->fd, request->data, request->size, MSG_NOSIGNAL) ==
			(ssize_t)request->size,
		"send");
	asking->watch = loop_add_fd(asking->trial->loop, asking->fd, LOOP_READ, read_more, asking);
}

static struct reply parse(const struct buf *received)
{
	struct reply reply = {0};
	const char *text = buf_text(received), *body = strstr(text, "\r\n\r\n");
	struct error err = {0};

	if (!body || !text_starts_with(text, "HTTP/1.1 "))
		return reply;
	reply.status = (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
	buf_append(&reply.head, text, (size_t)(body + 2 - text));
	buf_append_text(&reply.body, body + 4);
	if (!json_parse(buf_str(&reply.body), "the answer", NULL, &reply.json, &err))
		error_ignore(&err, "not every answer is JSON");
	return reply;
}

void trial_ask_all(struct trial *trial, const char *method, const char *target, const char *headers,
	const char *body, struct reply *out_replies, size_t count)
{
	struct asking *askings = memory_new_array(count, sizeof(*askings));
	scoped(buf_free) struct buf request = {0};
	struct error err = {0};
	size_t open = count;

	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: trial\r\nConnection: close\r\n%s", method,
		target, headers);
	if (body)
		buf_printf(&request, "Content-Length: %zu\r\n", strlen(body));
	buf_printf(&request, "\r\n%s", body ? body : "");
	for (size_t i = 0; i < count; i++) {
		askings[i] = (struct asking){.trial = trial, .open = &open};
		start(&askings[i], &request);
	}
	while (open > 0)
		require(loop_turn(trial->loop, -1, &err), "loop");
	for (size_t i = 0; i < count; i++) {
		close(askings[i].fd);
		out_replies[i] = parse(&askings[i].received);
		buf_free(&askings[i].received);
	}
	free(askings);
}

struct reply trial_ask(struct trial *trial, const char *method, const char *target,
	const char *headers, const char *body)
{
	struct reply reply;

	trial_ask_all(trial, method, target, headers, body, &reply, 1);
	return reply;
}
