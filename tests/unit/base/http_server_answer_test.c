#include "tests/test.h"

#include "base/http_server.h"
#include "tests/unit/base/server_fixture.h"

#include <sys/socket.h>

TEST(a_kept_exchange_is_answered_later_and_the_next_request_waits_for_it)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
				     "GET /next HTTP/1.1\r\n" LAST "\r\n"));
	REQUIRE(fixture_run(&f, fixture_keeps));
	CHECK_INT(http_server_open_requests(f.server), 1);
	CHECK(str_equal_text(http_exchange_body(f.kept), "hi"));
	loop_add_timer(f.loop, 1, fixture_answer_kept, &f);
	fixture_run(&f, fixture_never);
	CHECK(text_starts_with(buf_text(&f.received), "HTTP/1.1 202 Accepted\r\n"));
	CHECK_CONTAINS(buf_text(&f.received), "laterHTTP/1.1 200 OK");
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\nhandle /next\nclosed /next\n");
	CHECK_INT(http_server_open_requests(f.server), 0);
}

TEST(a_client_that_goes_away_while_it_is_kept_is_noticed)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(fixture_run(&f, fixture_keeps));
	shutdown(f.client, SHUT_WR);
	CHECK(fixture_run(&f, fixture_keeps_none));
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\n");
}

TEST(a_server_that_is_freed_closes_what_it_kept)
{
	struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(fixture_run(&f, fixture_keeps));
	http_server_free(&f.server);
	CHECK_TEXT(buf_text(&f.story), "handle /keep\nclosed /keep\n");
	fixture_close(&f);
}

TEST(a_file_is_sent_from_an_offset)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	const char *answer = fixture_talk(&f, str_literal("GET /file HTTP/1.1\r\n" LAST "\r\n"));
	const char *body = strstr(answer, "\r\n\r\n");

	CHECK_CONTAINS(answer, "\r\nContent-Length: 1099978\r\n");
	REQUIRE(body != NULL);
	CHECK(text_starts_with(body + 4, "line 00001\n"));
	CHECK(text_ends_with(body, "line 99998\n"));
	CHECK_INT(strlen(body + 4), 1099978);
}

TEST(head_gets_the_length_and_no_body)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	const char *answer = fixture_talk(&f, str_literal("HEAD /head HTTP/1.1\r\n" LAST "\r\n"));

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
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /stream HTTP/1.1\r\n" LAST "\r\n"));
	REQUIRE(fixture_run(&f, fixture_keeps));
	CHECK(http_answer_stream_write(f.kept, str_literal("data: 1\n\n")));
	loop_add_timer(f.loop, 1, write_second, &f);
	REQUIRE(fixture_run(&f, has_second_piece));
	http_answer_stream_end(f.kept);
	fixture_run(&f, fixture_never);
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
	scoped(fixture_close) struct fixture f;

	fixture_open(&f);
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(fixture_run(&f, is_idle_stream));
	shutdown(f.client, SHUT_WR);
	CHECK(fixture_run(&f, fixture_keeps_none));
	CHECK_TEXT(buf_text(&f.story), "handle /stream\nclosed /stream\n");
}

TEST(a_stream_that_nobody_reads_ends_at_its_limit)
{
	enum { PIECE = 1 << 20, MORE_THAN_THE_LIMIT = 64 };
	scoped(fixture_close) struct fixture f;
	scoped(buf_free) struct buf piece = {0};
	bool written = true;

	fixture_open(&f);
	memset(buf_reserve(&piece, PIECE), 'x', PIECE);
	piece.size = PIECE;
	REQUIRE(fixture_connect(&f));
	fixture_send(&f, str_literal("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	REQUIRE(fixture_run(&f, is_idle_stream));
	for (int i = 0; i < MORE_THAN_THE_LIMIT && written && f.kept; i++) {
		written = http_answer_stream_write(f.kept, buf_str(&piece));
		if (!loop_turn(f.loop, 0, NULL))
			abort();
	}
	CHECK(!written || !f.kept);
}

TEST_MAIN()
