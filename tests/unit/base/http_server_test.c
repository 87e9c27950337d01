#include "tests/test.h"

#include "base/http_server.h"
#include "tests/unit/base/server_fixture.h"

#include <unistd.h>

static int count_of(const char *text, const char *piece)
{
	int count = 0;

	for (; (text = strstr(text, piece)) != NULL; text += strlen(piece))
		count++;
	return count;
}

TEST(a_request_arrives_decoded_and_its_answer_has_headers_and_body)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	const char *answer =
		fixture_talk(&f, str_literal("GET /a%20b/%C3%A9?x=1&q=c+d%26e HTTP/1.1\r\n" LAST
					     "X-One: 1\r\nX-Two:  2\r\n\r\n"));

	CHECK(text_starts_with(answer, "HTTP/1.1 200 OK\r\n"));
	CHECK_CONTAINS(answer, "\r\nContent-Type: text/plain\r\n");
	CHECK_CONTAINS(answer, "\r\nX-Answer: yes\r\n");
	CHECK_CONTAINS(answer, "\r\n\r\nGET /a b/\xc3\xa9 from 127.0.0.1 q=c d&e X-One=1;X-Two=2;");
	CHECK_TEXT(buf_text(&f.story), "handle /a b/\xc3\xa9\nclosed /a b/\xc3\xa9\n");
}

/* RFC 9110, 5.5; libmicrohttpd 0.9 shows it to the handler. */
TEST(white_space_behind_a_value_is_allowed)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	CHECK_CONTAINS(fixture_talk(&f, str_literal("GET / HTTP/1.1\r\n" LAST
						    "X-One: \t\r\nX-Two: 2 \t \r\n\r\n")),
		"X-One=;X-Two=2");
}

TEST(an_absolute_target_and_an_old_client_are_served)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	CHECK_CONTAINS(fixture_talk(&f,
			       str_literal("GET http://x/a/b?q=1 HTTP/1.1\r\n" LAST "\r\n")),
		"GET /a/b from 127.0.0.1 q=1");
	CHECK_CONTAINS(fixture_talk(&f, str_literal("GET /?q HTTP/1.0\r\n\r\n")),
		"GET / from 127.0.0.1 q= ");
}

TEST(pipelined_requests_are_answered_in_order_on_one_connection)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	const char *answer = fixture_talk(&f,
		str_literal("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
			    "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
			    "GET /3 HTTP/1.1\r\n" LAST "\r\n"));

	CHECK_INT(count_of(answer, "HTTP/1.1 200 OK"), 3);
	CHECK_TEXT(buf_text(&f.story),
		"handle /1\nclosed /1\nhandle /2\nclosed /2\nhandle /3\nclosed /3\n");
}

TEST(a_quiet_server_finishes_what_it_has_and_refuses_new_connections)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(fixture_run(&f, fixture_keeps));
	http_server_quiesce(f.server);
	http_server_quiesce(f.server); /* again changes nothing */
	int busy = f.client;
	f.client = -1;
	CHECK(!fixture_connect(&f));
	close(f.client);
	f.client = busy;
	fixture_answer_kept(&f);
	fixture_run(&f, fixture_never);
	CHECK(text_starts_with(buf_text(&f.received), "HTTP/1.1 202 "));
	CHECK_CONTAINS(buf_text(&f.received), "\r\nConnection: close\r\n");
}

static void handle(void *context, struct http_exchange *exchange)
{
	(void)context, (void)exchange;
}

TEST(a_port_in_use_is_named_with_advice)
{
	scoped(fixture_close) struct fixture f;
	struct http_server *second = NULL;
	struct error err = {0};

	fixture_open(&f);
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
