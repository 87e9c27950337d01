#include "tests/test.h"

#include "base/http_plain.h"
#include "base/memory.h"

static enum http_plain_state parse(const char *text)
{
	scoped(http_response_free) struct http_response response = {0};

	return http_plain_parse(str_of(text), false, 100, &response);
}

TEST(a_whole_answer_is_read)
{
	static const char text[] = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
				   "content-length:  5 \r\nX-Empty:\r\n\r\nhello";
	scoped(http_response_free) struct http_response response = {0};

	CHECK_INT(http_plain_parse(str_of(text), false, 100, &response), HTTP_PLAIN_WHOLE);
	CHECK_INT(response.status, 404);
	CHECK_INT(response.headers.count, 3);
	CHECK_TEXT(http_response_header(&response, "content-type"), "text/plain");
	CHECK_TEXT(buf_text(&response.body), "hello");
}

/* Cut anywhere it is not whole yet, and nothing of it is given out. */
TEST(a_piece_of_an_answer_waits_for_more)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

	for (size_t size = 0; size < sizeof(text) - 1; size++) {
		scoped(http_response_free) struct http_response response = {0};

		CHECK_INT(http_plain_parse((struct str){text, size}, false, 100, &response),
			HTTP_PLAIN_MORE);
		CHECK_INT(response.headers.count, 0);
	}
}

TEST(bare_line_feeds_are_line_ends)
{
	CHECK_INT(parse("HTTP/1.1 429 Too Many Requests\nContent-Length: 2\n\nno"),
		HTTP_PLAIN_WHOLE);
}

TEST(a_body_without_a_length_ends_with_the_connection)
{
	scoped(http_response_free) struct http_response response = {0};
	struct str text = str_literal("HTTP/1.1 429 Too Many Requests\n\nslow down");

	CHECK_INT(http_plain_parse(text, false, 100, &response), HTTP_PLAIN_MORE);
	CHECK_INT(http_plain_parse(text, true, 100, &response), HTTP_PLAIN_WHOLE);
	CHECK_TEXT(buf_text(&response.body), "slow down");
	CHECK_INT(http_plain_parse(str_literal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
			  true, 100, &response),
		HTTP_PLAIN_MORE);
	CHECK_INT(http_plain_parse(str_literal("HTTP/1.1 200 OK\r\nContent-"), true, 100,
			  &response),
		HTTP_PLAIN_MORE);
}

TEST(what_is_out_of_the_ordinary_is_left_to_libcurl)
{
	static const char *const odd[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n",
		"\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
	};

	for (size_t i = 0; i < countof(odd); i++)
		CHECK_INT(parse(odd[i]), HTTP_PLAIN_ODD);
}

TEST(a_head_without_an_end_is_odd)
{
	scoped(buf_free) struct buf text = {0};

	buf_append_text(&text, "HTTP/1.1 200 OK\r\n");
	while (text.size <= 64 * 1024)
		buf_append_text(&text, "X-A: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
	CHECK_INT(parse(buf_text(&text)), HTTP_PLAIN_ODD);
}

TEST(only_small_gets_to_this_machine_without_tls_fit)
{
	static const struct {
		const char *url;
		bool fits;
	} rows[] = {
		{"http://127.0.0.1:5000/v2/", true},
		{"http://127.9.9.9/v2/?a=b", true},
		{"https://127.0.0.1:5000/v2/", false},
		{"http://192.0.2.1/v2/", false},
		{"http://localhost:5000/v2/", false}, /* may be an address of either family */
		{"http://127.0.0.1:99999/v2/", false},
		{"http://127.0.0.1:0/v2/", false},
		{"http://127.0.0.1/a b", false},
		{"http://127.0.0.1/a\r\nX: y", false},
	};
	struct http_header header = {"Accept", "*/*"}, broken = {"Accept", "a\r\nX: y"};

	for (size_t i = 0; i < countof(rows); i++) {
		struct http_request request = {.url = rows[i].url};
		CHECK_INT(http_plain_fits(&request), rows[i].fits);
	}
	struct http_request request = {.url = rows[0].url, .headers = &header, .header_count = 1};
	CHECK(http_plain_fits(&request));
	request.method = "POST";
	CHECK(!http_plain_fits(&request));
	request.method = "GET";
	request.headers = &broken;
	CHECK(!http_plain_fits(&request));
}

TEST_MAIN()
