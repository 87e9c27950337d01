#include "tests/test.h"

#include "base/http_server.h"
#include "tests/unit/base/server_fixture.h"

#include <microhttpd.h>
#include <sys/socket.h>

TEST(a_body_arrives_whole_by_length_and_in_chunks)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	CHECK_CONTAINS(fixture_talk(&f, str_literal("POST /a HTTP/1.1\r\n" LAST
						    "Content-Length: 5\r\n\r\nhello")),
		"q=(none) hello");
	CHECK_CONTAINS(fixture_talk(&f, str_literal("POST /a HTTP/1.1\r\n" LAST
						    "Transfer-Encoding: chunked\r\n\r\n"
						    "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")),
		"q=(none) hello");
}

TEST(extensions_of_chunks_are_passed_over)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	if (MHD_VERSION >= 0x01000000 && MHD_VERSION < 0x01000200)
		SKIP("this libmicrohttpd refuses them");
	CHECK_CONTAINS(fixture_talk(&f, str_literal("POST /a HTTP/1.1\r\n" LAST
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
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("POST /a HTTP/1.1\r\nHost: x\r\n", 100001);

	fixture_open(&f);
	buf_append_text(&request, "GET /b HTTP/1.1\r\n" LAST "\r\n");
	const char *answer = fixture_talk(&f, buf_str(&request));
	CHECK(text_starts_with(answer, "HTTP/1.1 413 "));
	CHECK_CONTAINS(answer, "HTTP/1.1 200 OK");
	CHECK_TEXT(buf_text(&f.story), "closed /a\nhandle /b\nclosed /b\n");
}

TEST(a_chunked_body_beyond_the_limit_is_answered_413)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request = {0};

	fixture_open(&f);
	buf_append_text(&request, "POST /a HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 101; i++)
		buf_printf(&request, "3e8\r\n%01000d\r\n", i);
	buf_append_text(&request, "0\r\n\r\n");
	CHECK(text_starts_with(fixture_talk(&f, buf_str(&request)), "HTTP/1.1 413 "));
	CHECK_INT(f.handled, 0);
}

TEST(a_streamed_body_may_be_larger_than_the_limit)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /sink HTTP/1.1\r\n" LAST, 3000000);

	fixture_open(&f);
	CHECK_CONTAINS(fixture_talk(&f, buf_str(&request)), "PUT /sink from");
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
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /pause HTTP/1.1\r\n" LAST, 1000000);

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	ssize_t sent = send(f.client, request.data, request.size, MSG_DONTWAIT | MSG_NOSIGNAL);

	REQUIRE(sent > 0);
	REQUIRE(fixture_run(&f, took_a_piece));
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
	fixture_run(&f, fixture_never);
	CHECK_CONTAINS(buf_text(&f.received), "PUT /pause from");
	CHECK_INT(f.sunk.size, 1000000);
}

TEST(a_server_that_is_freed_closes_what_is_paused)
{
	scoped(buf_free) struct buf request =
		request_with_body("PUT /pause HTTP/1.1\r\n" LAST, 100000);
	struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	REQUIRE(send(f.client, request.data, request.size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
	REQUIRE(fixture_run(&f, took_a_piece));
	http_server_free(&f.server);
	CHECK_TEXT(buf_text(&f.story), "closed /pause\n");
	fixture_close(&f);
}

TEST(a_sink_that_fails_ends_the_upload_with_its_error)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /sink HTTP/1.1\r\n" LAST, 300000);

	fixture_open(&f);
	f.sink_limit = 1000;
	const char *answer = fixture_talk(&f, buf_str(&request));
	CHECK(text_starts_with(answer, "HTTP/1.1 413 "));
	CHECK_CONTAINS(answer, "the sink is full");
	CHECK_INT(f.handled, 0);
}

TEST(an_answer_before_the_body_reaches_a_client_that_sends_all_of_it_and_one_that_asks_first)
{
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf request =
		request_with_body("PUT /refuse HTTP/1.1\r\n" LAST, 1000000);

	fixture_open(&f);
	CHECK(text_starts_with(fixture_talk(&f, buf_str(&request)), "HTTP/1.1 403 "));
	const char *answer =
		fixture_talk(&f, str_literal("PUT /refuse HTTP/1.1\r\nHost: x\r\n"
					     "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	CHECK(text_starts_with(answer, "HTTP/1.1 403 "));
	CHECK_INT(f.handled, 0);
}

TEST_MAIN()
