#include "tests/test.h"

#include "base/http_server.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* A server and one client on one loop, and what the server's callbacks saw. */
struct fixture {
	struct loop *loop;
	struct http_server *server;
	int client; /* -1: not connected */
	struct buf received;
	struct buf story;           /* what the callbacks were called with, in order */
	struct http_exchange *kept; /* by /keep and /stream, until closed */
	struct buf sunk;            /* what the sink took */
	size_t sink_limit;
	struct http_exchange *paused; /* by /pause, at its first piece */
	int handled;
};

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

static void open_fixture(struct fixture *f)
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

static void close_fixture(struct fixture *f)
{
	if (f->client >= 0)
		close(f->client);
	http_server_free(&f->server);
	loop_free(&f->loop);
	buf_free(&f->received);
	buf_free(&f->story);
	buf_free(&f->sunk);
}

static bool connect_client(struct fixture *f)
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

/* Lets the server work until done(f) or the connection ended; true when done. */
static bool run_until(struct fixture *f, bool (*done)(struct fixture *f))
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

static bool never(struct fixture *f)
{
	(void)f;
	return false;
}

/* Sends everything, serving meanwhile; stops early when the server closes. */
static void send_all(struct fixture *f, struct str bytes)
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

/* One connection: sends, and reads until the server closes it. */
static const char *talk(struct fixture *f, struct str request)
{
	if (!connect_client(f))
		return "(not connected)";
	send_all(f, request);
	run_until(f, never);
	return buf_text(&f->received);
}

static int count_of(const char *text, const char *piece)
{
	int count = 0;

	for (; (text = strstr(text, piece)) != NULL; text += strlen(piece))
		count++;
	return count;
}

#define LAST "Host: x\r\nConnection: close\r\n"

TEST(a_request_arrives_decoded_and_its_answer_has_headers_and_body)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	const char *answer =
		talk(&f, str_literal("GET /a%20b/%C3%A9?x=1&q=c+d%26e HTTP/1.1\r\n" LAST
				     "X-One: 1\r\nX-Two:  2\r\n\r\n"));

	CHECK(text_starts_with(answer, "HTTP/1.1 200 OK\r\n"));
	CHECK_CONTAINS(answer, "\r\nContent-Type: text/plain\r\n");
	CHECK_CONTAINS(answer, "\r\nX-Answer: yes\r\n");
	CHECK_CONTAINS(answer, "\r\n\r\nGET /a b/\xc3\xa9 from 127.0.0.1 q=c d&e X-One=1;X-Two=2;");
	CHECK_TEXT(buf_text(&f.story), "handle /a b/\xc3\xa9\nclosed /a b/\xc3\xa9\n");
}

TEST(an_absolute_target_and_an_old_client_are_served)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	CHECK_CONTAINS(talk(&f, str_literal("GET http://x/a/b?q=1 HTTP/1.1\r\n" LAST "\r\n")),
		"GET /a/b from 127.0.0.1 q=1");
	CHECK_CONTAINS(talk(&f, str_literal("GET /?q HTTP/1.0\r\n\r\n")),
		"GET / from 127.0.0.1 q= ");
}

TEST(pipelined_requests_are_answered_in_order_on_one_connection)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	const char *answer =
		talk(&f, str_literal("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
				     "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
				     "GET /3 HTTP/1.1\r\n" LAST "\r\n"));

	CHECK_INT(count_of(answer, "HTTP/1.1 200 OK"), 3);
	CHECK_TEXT(buf_text(&f.story),
		"handle /1\nclosed /1\nhandle /2\nclosed /2\nhandle /3\nclosed /3\n");
}

TEST(a_body_arrives_whole_by_length_and_in_chunks)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	CHECK_CONTAINS(talk(&f, str_literal("POST /a HTTP/1.1\r\n" LAST
					    "Content-Length: 5\r\n\r\nhello")),
		"q=(none) hello");
	CHECK_CONTAINS(talk(&f, str_literal("POST /a HTTP/1.1\r\n" LAST
					    "Transfer-Encoding: chunked\r\n\r\n"
					    "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n")),
		"q=(none) hello");
}

/* The head, then size bytes of 'x'. */
static struct buf request_with_body(const char *head, size_t size)
{
	struct buf request = {0};

	buf_append_text(&request, head);
	buf_printf(&request, "Content-Length: %zu\r\n\r\n", size);
	memset(buf_reserve(&request, size), 'x', size);
	request.size += size;
	return request;
}

TEST(a_body_beyond_the_limit_is_answered_413_and_the_connection_goes_on)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("POST /a HTTP/1.1\r\nHost: x\r\n", 100001);

	open_fixture(&f);
	buf_append_text(&request, "GET /b HTTP/1.1\r\n" LAST "\r\n");
	const char *answer = talk(&f, buf_str(&request));
	CHECK(text_starts_with(answer, "HTTP/1.1 413 "));
	CHECK_CONTAINS(answer, "HTTP/1.1 200 OK");
	CHECK_TEXT(buf_text(&f.story), "closed /a\nhandle /b\nclosed /b\n");
}

TEST(a_chunked_body_beyond_the_limit_is_answered_413)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request = {0};

	open_fixture(&f);
	buf_append_text(&request, "POST /a HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 101; i++)
		buf_printf(&request, "3e8\r\n%01000d\r\n", i);
	buf_append_text(&request, "0\r\n\r\n");
	CHECK(text_starts_with(talk(&f, buf_str(&request)), "HTTP/1.1 413 "));
	CHECK_INT(f.handled, 0);
}

TEST(a_streamed_body_may_be_larger_than_the_limit)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /sink HTTP/1.1\r\n" LAST, 3000000);

	open_fixture(&f);
	CHECK_CONTAINS(talk(&f, buf_str(&request)), "PUT /sink from");
	CHECK_INT(f.sunk.size, 3000000);
}

static void go_on(void *context)
{
	struct fixture *f = context;

	buf_append_char(&f->story, '.');
	http_exchange_continue(f->paused);
}

static bool took_a_piece(struct fixture *f)
{
	return f->sunk.size > 0;
}

TEST(a_paused_body_is_not_received_until_it_goes_on)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /pause HTTP/1.1\r\n" LAST, 1000000);

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	ssize_t sent = send(f.client, request.data, request.size, MSG_DONTWAIT | MSG_NOSIGNAL);

	REQUIRE(sent > 0);
	REQUIRE(run_until(&f, took_a_piece));
	size_t first = f.sunk.size;

	for (int i = 0; i < 20; i++)
		REQUIRE(loop_turn(f.loop, 0, NULL));
	CHECK_INT(f.sunk.size, first);
	CHECK(first < 1000000);
	/* Each piece pauses again, so it needs to go on as often. */
	while (f.sunk.size < 1000000) {
		size_t before = f.sunk.size;

		go_on(&f);
		for (int i = 0; i < 20 && f.sunk.size == before; i++) {
			ssize_t more = send(f.client, request.data + sent,
				request.size - (size_t)sent, MSG_DONTWAIT | MSG_NOSIGNAL);

			sent += more > 0 ? more : 0;
			REQUIRE(loop_turn(f.loop, 0, NULL));
		}
	}
	go_on(&f);
	run_until(&f, never);
	CHECK_CONTAINS(buf_text(&f.received), "PUT /pause from");
	CHECK_INT(f.sunk.size, 1000000);
}

TEST(a_server_that_is_freed_closes_what_is_paused)
{
	scoped(buf_free) struct buf request =
		request_with_body("PUT /pause HTTP/1.1\r\n" LAST, 100000);
	struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	REQUIRE(send(f.client, request.data, request.size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
	REQUIRE(run_until(&f, took_a_piece));
	http_server_free(&f.server);
	CHECK_TEXT(buf_text(&f.story), "closed /pause\n");
	close_fixture(&f);
}

TEST(a_sink_that_fails_ends_the_upload_with_its_error)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /sink HTTP/1.1\r\n" LAST, 300000);

	open_fixture(&f);
	f.sink_limit = 1000;
	const char *answer = talk(&f, buf_str(&request));
	CHECK(text_starts_with(answer, "HTTP/1.1 413 "));
	CHECK_CONTAINS(answer, "the sink is full");
	CHECK_INT(f.handled, 0);
}

TEST(an_answer_before_the_body_reaches_a_client_that_sends_all_of_it_and_one_that_asks_first)
{
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /refuse HTTP/1.1\r\n" LAST, 1000000);

	open_fixture(&f);
	CHECK(text_starts_with(talk(&f, buf_str(&request)), "HTTP/1.1 403 "));
	const char *answer =
		talk(&f, str_literal("PUT /refuse HTTP/1.1\r\nHost: x\r\n"
				     "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	CHECK(text_starts_with(answer, "HTTP/1.1 403 "));
	CHECK_INT(f.handled, 0);
}

static bool is_kept(struct fixture *f)
{
	return f->kept != NULL;
}

static bool is_not_kept(struct fixture *f)
{
	return f->kept == NULL;
}

static void answer_kept(void *context)
{
	struct fixture *f = context;

	http_answer(f->kept, 202, NULL, str_literal("later"));
}

TEST(a_kept_exchange_is_answered_later_and_the_next_request_waits_for_it)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
				 "GET /next HTTP/1.1\r\n" LAST "\r\n"));
	REQUIRE(run_until(&f, is_kept));
	CHECK_INT(http_server_open_requests(f.server), 1);
	CHECK(str_equal_text(http_exchange_body(f.kept), "hi"));
	loop_add_timer(f.loop, 1, answer_kept, &f);
	run_until(&f, never);
	CHECK(text_starts_with(buf_text(&f.received), "HTTP/1.1 202 Accepted\r\n"));
	CHECK_CONTAINS(buf_text(&f.received), "laterHTTP/1.1 200 OK");
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\nhandle /next\nclosed /next\n");
	CHECK_INT(http_server_open_requests(f.server), 0);
}

TEST(a_client_that_goes_away_while_it_is_kept_is_noticed)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(run_until(&f, is_kept));
	shutdown(f.client, SHUT_WR);
	CHECK(run_until(&f, is_not_kept));
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\n");
}

TEST(a_server_that_is_freed_closes_what_it_kept)
{
	struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(run_until(&f, is_kept));
	http_server_free(&f.server);
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\n");
	close_fixture(&f);
}

TEST(a_file_is_sent_from_an_offset)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	const char *answer = talk(&f, str_literal("GET /file HTTP/1.1\r\n" LAST "\r\n"));
	const char *body = strstr(answer, "\r\n\r\n");

	CHECK_CONTAINS(answer, "\r\nContent-Length: 1099978\r\n");
	REQUIRE(body != NULL);
	CHECK(text_starts_with(body + 4, "line 00001\n"));
	CHECK(text_ends_with(body, "line 99998\n"));
	CHECK_INT(strlen(body + 4), 1099978);
}

TEST(head_gets_the_length_and_no_body)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	const char *answer = talk(&f, str_literal("HEAD /head HTTP/1.1\r\n" LAST "\r\n"));

	CHECK(text_starts_with(answer, "HTTP/1.1 200 OK\r\n"));
	CHECK_CONTAINS(answer, "\r\nContent-Length: 12345\r\n");
	CHECK(text_ends_with(answer, "\r\n\r\n"));
}

static bool has_second_piece(struct fixture *f)
{
	return strstr(buf_text(&f->received), "data: 2\n") != NULL;
}

static void write_second(void *context)
{
	struct fixture *f = context;

	CHECK(http_answer_stream_write(f->kept, str_literal("data: 2\n\n")));
}

TEST(a_stream_is_sent_piece_by_piece_until_it_ends)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /stream HTTP/1.1\r\n" LAST "\r\n"));
	REQUIRE(run_until(&f, is_kept));
	CHECK(http_answer_stream_write(f.kept, str_literal("data: 1\n\n")));
	loop_add_timer(f.loop, 1, write_second, &f);
	REQUIRE(run_until(&f, has_second_piece));
	http_answer_stream_end(f.kept);
	run_until(&f, never);
	CHECK_CONTAINS(buf_text(&f.received), "\r\nContent-Type: text/event-stream\r\n");
	CHECK_CONTAINS(buf_text(&f.received), "data: 1\n\n");
	CHECK_TEXT(buf_text(&f.story), "handle /stream\nclosed /stream\n");
}

static bool is_idle_stream(struct fixture *f)
{
	return strstr(buf_text(&f->received), "\r\n\r\n") != NULL;
}

TEST(a_stream_whose_reader_went_away_is_closed)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(run_until(&f, is_idle_stream));
	shutdown(f.client, SHUT_WR);
	CHECK(run_until(&f, is_not_kept));
	CHECK_TEXT(buf_text(&f.story), "handle /stream\nclosed /stream\n");
}

TEST(a_stream_that_nobody_reads_ends_at_its_limit)
{
	enum { PIECE = 1 << 20, MORE_THAN_THE_LIMIT = 64 };
	scoped(close_fixture) struct fixture f;
	scoped(buf_free) struct buf piece = {0};
	bool written = true;

	open_fixture(&f);
	memset(buf_reserve(&piece, PIECE), 'x', PIECE);
	piece.size = PIECE;
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(run_until(&f, is_idle_stream));
	for (int i = 0; i < MORE_THAN_THE_LIMIT && written && f.kept; i++) {
		written = http_answer_stream_write(f.kept, buf_str(&piece));
		if (!loop_turn(f.loop, 0, NULL))
			abort();
	}
	CHECK(!written || !f.kept);
}

TEST(a_quiet_server_finishes_what_it_has_and_refuses_new_connections)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	REQUIRE(connect_client(&f));
	send_all(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(run_until(&f, is_kept));
	http_server_quiesce(f.server);
	http_server_quiesce(f.server); /* again changes nothing */
	int busy = f.client;
	f.client = -1;
	CHECK(!connect_client(&f));
	close(f.client);
	f.client = busy;
	answer_kept(&f);
	run_until(&f, never);
	CHECK(text_starts_with(buf_text(&f.received), "HTTP/1.1 202 "));
	CHECK_CONTAINS(buf_text(&f.received), "\r\nConnection: close\r\n");
}

TEST(a_port_in_use_is_named_with_advice)
{
	scoped(close_fixture) struct fixture f;
	struct http_server *second = NULL;
	struct error err = {0};

	open_fixture(&f);
	struct http_server_options options = {.handle = handle, .port = http_server_port(f.server)};
	REQUIRE(!http_server_start(f.loop, &options, &second, &err));
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK_CONTAINS(err.message, "listen on 127.0.0.1 port ");
	CHECK(err.next != NULL);
	CHECK_FAILS(http_server_start(f.loop,
			    &(struct http_server_options){.handle = handle, .host = "nowhere"},
			    &second, &err),
		ERROR_USAGE);
}

TEST_MAIN()
