#include "tests/test.h"

#include "base/http_gate.h"

/* Each line: RFC 9112 or 9110 section, the request's head, whether it may pass. */
struct row {
	const char *section;
	struct str head;
	bool passes;
};

#define POST "POST /rooms HTTP/1.1\r\nHost: x\r\n"
/* An initializer of a static row must be a constant, so no compound literal. */
#define PIECE(text)                                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
#define HEAD(text) PIECE(text "\r\n")

static const struct row rows[] = {
	{"3", HEAD("GET /health HTTP/1.1\r\nHost: x\r\n"), true},
	{"3", HEAD("GET /a?b=c%20d HTTP/1.0\r\n"), true},
	{"3.2", HEAD("GET http://x:80/a HTTP/1.1\r\nHost: x:80\r\n"), true},
	{"3.2", HEAD("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n"), true},
	{"6.2", HEAD(POST "Content-Length: 12\r\n"), true},
	{"6.1", HEAD(POST "Transfer-Encoding: Chunked\r\n"), true},
	{"5.1", HEAD(POST "X:\t a b \t\r\nEmpty:\r\n"), true},
	{"5", HEAD(POST "Caf\xc3\xa9-free: x\r\n"), false},
	{"5", HEAD(POST "X: caf\xc3\xa9\r\n"), true},

	{"6.3", HEAD(POST "Content-Length: 0\r\nContent-Length: 12\r\n"), false},
	{"6.3", HEAD(POST "Content-Length: 5\r\ncontent-length: 5\r\n"), false},
	{"6.3", HEAD(POST "Content-Length: 5, 5\r\n"), false},
	{"6.2", HEAD(POST "Content-Length: +5\r\n"), false},
	{"6.2", HEAD(POST "Content-Length: -5\r\n"), false},
	{"6.2", HEAD(POST "Content-Length: 0x5\r\n"), false},
	{"6.2", HEAD(POST "Content-Length: 5 5\r\n"), false},
	{"6.2", HEAD(POST "Content-Length:\r\n"), false},
	{"6.2", HEAD(POST "Content-Length: 99999999999999999999\r\n"), false},
	{"6.1", HEAD(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), false},
	{"6.1", HEAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), false},
	{"6.1", HEAD(POST "Transfer-Encoding: xchunked\r\n"), false},
	{"6.1", HEAD(POST "Transfer-Encoding: gzip, chunked\r\n"), false},
	{"6.1", HEAD(POST "Transfer-Encoding: identity\r\n"), false},
	{"6.1", HEAD(POST "Transfer-Encoding:\r\n"), false},
	{"6.1", HEAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"), false},
	{"5.1", HEAD(POST "Content-Length : 5\r\n"), false},
	{"5.1", HEAD(POST "Content-Length\t: 5\r\n"), false},
	{"5.1", HEAD(POST ": 5\r\n"), false},
	{"5.1", HEAD(POST "no colon\r\n"), false},
	{"5.2", HEAD(POST "X: a\r\n Content-Length: 5\r\n"), false},
	{"5.2", HEAD(POST "X: a\r\n\tb\r\n"), false},
	{"2.2", HEAD("GET / HTTP/1.1\nHost: x\n"), false},
	{"2.2", HEAD(POST "X: a\nContent-Length: 5\r\n"), false},
	{"2.2", HEAD(POST "X: a\rContent-Length: 5\r\n"), false},
	{"9110 5.5", HEAD(POST "X: a\0b\r\n"), false},
	{"9110 5.5", HEAD(POST "X: a\x01\r\n"), false},
	{"3.2", HEAD("GET / HTTP/1.1\r\n"), false},
	{"3.2", HEAD("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET / HTTP/1.1\r\nHost: x, y\r\n"), false},
	{"3.2", HEAD("GET / HTTP/1.1\r\nHost: x/y\r\n"), false},
	{"3.2", HEAD("GET rooms HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET * HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET http:// HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET /a#b HTTP/1.1\r\nHost: x\r\n"), false},
	{"3.2", HEAD("GET /a b HTTP/1.1\r\nHost: x\r\n"), false},
	{"3", HEAD("GET  / HTTP/1.1\r\nHost: x\r\n"), false},
	{"3", HEAD("GET /  HTTP/1.1\r\nHost: x\r\n"), false},
	{"3", HEAD("GET /\r\nHost: x\r\n"), false},
	{"3", HEAD("G(T / HTTP/1.1\r\nHost: x\r\n"), false},
	{"2.3", HEAD("GET / HTTP/2.0\r\nHost: x\r\n"), false},
	{"2.3", HEAD("GET / HTTP/1.10\r\nHost: x\r\n"), false},
	{"2.3", HEAD("GET / http/1.1\r\nHost: x\r\n"), false},
	{"2.1", HEAD(POST "\r\nGET /second HTTP/1.1\r\nHost: x\r\n"), false},
	{"2.1", PIECE(POST), false},
	{"2.1", PIECE(""), false},
};

TEST(each_head_passes_or_not_as_its_section_says)
{
	for (size_t i = 0; i < countof(rows); i++) {
		const char *why = http_gate_check_raw(rows[i].head);

		if ((why == NULL) != rows[i].passes)
			TEST_FAIL("row %zu (section %s): %s", i, rows[i].section,
				why ? why : "passed");
	}
}

TEST(as_many_header_lines_as_fit_the_limit_pass_and_one_more_does_not)
{
	scoped(buf_free) struct buf head = {0};

	buf_append_text(&head, "GET / HTTP/1.1\r\nHost: x\r\n");
	for (int i = 1; i < 256; i++)
		buf_printf(&head, "X-%d: y\r\n", i);
	size_t size = head.size;
	buf_append_text(&head, "\r\n");
	CHECK(http_gate_check_raw(buf_str(&head)) == NULL);
	head.size = size;
	buf_append_text(&head, "One-more: y\r\n\r\n");
	CHECK_TEXT(http_gate_check_raw(buf_str(&head)), "there are too many header lines");
}

TEST_MAIN()
