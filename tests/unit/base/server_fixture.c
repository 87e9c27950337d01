#include "tests/unit/base/server_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool take(void *self, const void *bytes, size_t size, struct error *err)
{
	struct fixture *f = self;

	if (f->sink_limit && f->sunk.size + size > f->sink_limit)
		return error_raise(err, ERROR_LIMIT, "the sink is full");
	buf_append(&f->sunk, bytes, size);
	return true;
}

static bool take_and_pause(void *self, const void *bytes, size_t size, struct error *err)
{
	struct fixture *f = self;

	http_exchange_pause(f->paused);
	return take(self, bytes, size, err);
}

static void begin(void *context, struct http_exchange *exchange, struct http_body_sink *sink)
{
	struct fixture *f = context;

	if (strcmp(http_exchange_path(exchange), "/pause") == 0) {
		f->paused = exchange;
		*sink = (struct http_body_sink){take_and_pause, f};
	}

	if (strcmp(http_exchange_path(exchange), "/sink") == 0)
		*sink = (struct http_body_sink){take, f};
	if (strcmp(http_exchange_path(exchange), "/refuse") == 0)
		http_answer(exchange, 403, "text/plain", str_literal("no"));
}

static void tell_header(void *context, const char *name, const char *value)
{
	if (name[0] == 'X')
		buf_printf(context, "%s=%s;", name, value);
}

static void answer_echo(struct fixture *f, struct http_exchange *exchange)
{
	scoped(buf_free) struct buf body = {0};
	const char *query = http_exchange_query(exchange, "q");

	(void)f;
	buf_printf(&body, "%s %s from %s q=%s ", http_exchange_method(exchange),
		http_exchange_path(exchange), http_exchange_client(exchange),
		query ? query : "(none)");
	http_exchange_each_header(exchange, tell_header, &body);
	buf_append_str(&body, http_exchange_body(exchange));
	http_answer_header(exchange, "X-Answer", "yes");
	http_answer_buf(exchange, 200, "text/plain", &body);
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct fixture *f = context;
	const char *path = http_exchange_path(exchange);

	f->handled++;
	buf_printf(&f->story, "handle %s\n", path);
	if (strcmp(path, "/keep") == 0) {
		f->kept = exchange;
	} else if (strcmp(path, "/stream") == 0) {
		f->kept = exchange;
		http_answer_stream_begin(exchange, 200, "text/event-stream");
	} else if (strcmp(path, "/file") == 0) {
		FILE *file = tmpfile();

		for (int i = 0; i < 100000; i++)
			fprintf(file, "line %05d\n", i);
		fflush(file);
		/* From line 1 on, without the last: 99,998 lines of 11 bytes. */
		http_answer_file(exchange, 200, "text/plain", dup(fileno(file)), 11, 99998 * 11);
		fclose(file);
	} else if (strcmp(path, "/head") == 0) {
		http_answer_head(exchange, 200, "text/plain", 12345);
	} else {
		answer_echo(f, exchange);
	}
}

static void closed(void *context, struct http_exchange *exchange)
{
	struct fixture *f = context;

	buf_printf(&f->story, "closed %s\n", http_exchange_path(exchange));
	if (f->kept == exchange)
		f->kept = NULL;
}

void fixture_open(struct fixture *f)
{
	struct error err = {0};

	*f = (struct fixture){.client = -1};
	struct http_server_options options = {.begin = begin,
		.handle = handle,
		.closed = closed,
		.body_limit_bytes = 100000,
		.context = f};
	if (!loop_new(&f->loop, &err) || !http_server_start(f->loop, &options, &f->server, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
}

void fixture_close(struct fixture *f)
{
	if (f->client >= 0)
		close(f->client);
	http_server_free(&f->server);
	loop_free(&f->loop);
	buf_free(&f->received);
	buf_free(&f->story);
	buf_free(&f->sunk);
}

bool fixture_connect(struct fixture *f)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(f->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	if (f->client >= 0)
		close(f->client);
	buf_clear(&f->received);
	f->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(f->client, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void nothing(void *context, unsigned bits)
{
	(void)context, (void)bits;
}

bool fixture_run(struct fixture *f, bool (*done)(struct fixture *f))
{
	struct watch *watch = loop_add_fd(f->loop, f->client, LOOP_READ, nothing, NULL);
	char bytes[65536];
	bool ended = false;

	while (!done(f) && !ended) {
		if (!loop_turn(f->loop, -1, NULL))
			abort();
		ssize_t got = recv(f->client, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got > 0)
			buf_append(&f->received, bytes, (size_t)got);
		ended = got == 0 || (got < 0 && errno != EAGAIN);
	}
	loop_remove(f->loop, &watch);
	return done(f);
}

bool fixture_never(struct fixture *f)
{
	(void)f;
	return false;
}

void fixture_send(struct fixture *f, struct str bytes)
{
	while (bytes.size > 0) {
		ssize_t sent = send(f->client, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0) {
			bytes.data += sent;
			bytes.size -= (size_t)sent;
		}
		if (!loop_turn(f->loop, 0, NULL))
			abort();
	}
}

const char *fixture_talk(struct fixture *f, struct str request)
{
	if (!fixture_connect(f))
		return "(not connected)";
	fixture_send(f, request);
	fixture_run(f, fixture_never);
	return buf_text(&f->received);
}

bool fixture_keeps(struct fixture *f)
{
	return f->kept != NULL;
}

bool fixture_keeps_none(struct fixture *f)
{
	return f->kept == NULL;
}

void fixture_answer_kept(void *context)
{
	struct fixture *f = context;

	http_answer(f->kept, 202, NULL, str_literal("later"));
}
