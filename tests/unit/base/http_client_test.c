#include "tests/test.h"

#include "base/http_client.h"
#include "base/memory.h"
#include "tests/unit/base/fake_server.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server saw, and what it shall answer. */
struct script {
	struct strings heads, bodies;
	char *other; /* owned; where /away leads */
	int closes;  /* so many requests (on reused connections only) are dropped without answer */
};

static void script_free(struct script *script)
{
	strings_free(&script->heads);
	strings_free(&script->bodies);
	text_free(&script->other);
}

static void redirect(struct buf *out, int status, const char *to)
{
	scoped(text_free) char *header = memory_format("Location: %s\r\n", to);

	fake_reply(out, status, header, str_of("moved"));
}

/* 70 KiB of them, each small. */
static void add_headers(struct buf *out)
{
	buf_append_text(out, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 70; i++)
		buf_printf(out, "X-%d: %01020d\r\n", i, 0);
	buf_append_text(out, "Content-Length: 0\r\n\r\n");
}

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct script *script = context;
	const char *target = request->target;

	strings_add(&script->heads, request->head);
	strings_add_owned(&script->bodies, str_copy(request->body));
	if (script->closes > 0 && request->number > 1) {
		script->closes--;
		return;
	}
	if (text_equal(target, "/hold"))
		request->hold = true;
	else if (text_equal(target, "/dribble"))
		buf_append_text(out, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
			request->dribble = true;
	else if (text_equal(target, "/away"))
		redirect(out, 307, script->other);
	else if (text_equal(target, "/a/near"))
		redirect(out, 302, "../there?x=1");
	else if (text_equal(target, "/see"))
		redirect(out, 303, "/there");
	else if (text_equal(target, "/loop"))
		redirect(out, 302, "/loop");
	else if (text_equal(target, "/ftp"))
		redirect(out, 302, "ftp://127.0.0.1/");
	else if (text_equal(target, "/garbage"))
		buf_append_text(out, "SSH-2.0-OpenSSH_9.2\r\n\r\n"), request->close = true;
	else if (text_equal(target, "/short"))
		buf_append_text(out, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
			request->close = true;
	else if (text_equal(target, "/headers"))
		add_headers(out), request->close = true;
	else if (text_equal(target, "/503"))
		fake_reply(out, 503, "Retry-After: 2\r\nX-Two: 1\r\nx-two: 2\r\n", str_of("busy"));
	else if (text_equal(request->method, "HEAD"))
		buf_append_text(out, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
	else
		fake_reply(out, 200, "Content-Type: text/plain\r\n", str_of("hello"));
}

static char *url(struct fake_server *server, const char *path)
{
	return memory_format("http://127.0.0.1:%d%s", fake_server_port(server), path);
}

/* Each test: a server, its script and a client, gone at the end of the scope. */
#define SCENE                                                                                      \
	scoped(script_free) struct script script = {0};                                            \
	scoped(http_client_free) struct http_client *client = NULL;                                \
	scoped(http_response_free) struct http_response response = {0};                            \
	scoped(fake_server_stop) struct fake_server *server =                                      \
		fake_server_start(NULL, answer, &script);                                          \
	struct error err = {0};                                                                    \
	REQUIRE_OK(http_client_new(&client, &err))

TEST(a_get_gives_status_headers_and_body)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/503");

	REQUIRE_OK(http_perform(client, &(struct http_request){.url = target}, &response, &err));
	CHECK_INT(response.status, 503);
	CHECK_TEXT(buf_text(&response.body), "busy");
	CHECK_TEXT(http_response_header(&response, "retry-after"), "2");
	CHECK_TEXT(http_response_header(&response, "X-TWO"), "1");
	CHECK(!http_response_header(&response, "Retry"));
	CHECK(response.bytes_sent > 0 && response.bytes_received > 4 && response.was_sent);
	CHECK_CONTAINS(script.heads.items[0], "GET /503 HTTP/1.1\r\n");
	CHECK_CONTAINS(script.heads.items[0], "User-Agent: dogshore/");
}

TEST(a_body_goes_with_its_length_and_without_expect)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");
	scoped(buf_free) struct buf body = {0};
	struct http_header headers[] = {{"X-Empty", ""}, {"Content-Type", "text/x"}};

	while (body.size < 3 << 20) /* libcurl would ask with Expect: from 1 MiB on */
		buf_append_text(&body, "0123456789abcdef");
	REQUIRE_OK(http_perform(client,
		&(struct http_request){.method = "PUT",
			.url = target,
			.body = buf_str(&body),
			.headers = headers,
			.header_count = countof(headers)},
		&response, &err));
	CHECK_CONTAINS(script.heads.items[0], "PUT /x HTTP/1.1\r\n");
	CHECK_CONTAINS(script.heads.items[0], "Content-Length: 3145728\r\n");
	CHECK_CONTAINS(script.heads.items[0], "X-Empty:");
	CHECK_CONTAINS(script.heads.items[0], "Content-Type: text/x\r\n");
	CHECK(!strcasestr(script.heads.items[0], "expect"));
	CHECK(text_equal(script.bodies.items[0], buf_text(&body)));
}

TEST(an_empty_post_says_that_it_is_empty)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");

	REQUIRE_OK(http_perform(client, &(struct http_request){.method = "POST", .url = target},
		&response, &err));
	CHECK_CONTAINS(script.heads.items[0], "POST /x HTTP/1.1\r\n");
	CHECK_CONTAINS(script.heads.items[0], "Content-Length: 0\r\n");
	CHECK(!strcasestr(script.heads.items[0], "content-type"));
}

TEST(a_head_has_no_body)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");

	REQUIRE_OK(http_perform(client, &(struct http_request){.method = "HEAD", .url = target},
		&response, &err));
	CHECK_TEXT(http_response_header(&response, "content-length"), "77");
	CHECK_INT(response.body.size, 0);
}

TEST(a_body_is_read_from_a_file_at_an_offset)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");
	FILE *file = tmpfile();

	REQUIRE(file);
	fputs("skip this, send this, not this", file);
	fflush(file);
	REQUIRE_OK(http_perform(client,
		&(struct http_request){.method = "PATCH",
			.url = target,
			.body_fd = fileno(file),
			.body_offset = 11,
			.body_size = 9},
		&response, &err));
	CHECK_TEXT(script.bodies.items[0], "send this");
	CHECK_CONTAINS(script.heads.items[0], "Content-Length: 9\r\n");
	http_response_free(&response);
	/* A file that is shorter than promised is our mistake, not an answer. */
	CHECK_FAILS(http_perform(client,
			    &(struct http_request){.method = "PUT",
				    .url = target,
				    .body_fd = fileno(file),
				    .body_offset = 25,
				    .body_size = 9},
			    &response, &err),
		ERROR_CONFLICT);
	fclose(file);
}

TEST(connections_are_used_again)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");

	for (int i = 0; i < 5; i++) {
		http_response_free(&response);
		REQUIRE_OK(http_perform(client, &(struct http_request){.url = target}, &response,
			&err));
	}
	CHECK_INT(fake_server_requests(server), 5);
	CHECK_INT(fake_server_connections(server), 1);
}

/* The server drops a reused connection after it got the request: only what may be repeated is. */
TEST(a_post_is_not_sent_twice_behind_our_back)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");

	REQUIRE_OK(http_perform(client, &(struct http_request){.url = target}, &response, &err));
	http_response_free(&response);
	script.closes = 1;
	CHECK_FAILS(http_perform(client,
			    &(struct http_request){.method = "POST",
				    .url = target,
				    .body = str_literal("{}")},
			    &response, &err),
		ERROR_UNAVAILABLE);
	CHECK(response.was_sent);
	CHECK_INT(fake_server_requests(server), 2);
}

TEST(a_refused_connection_certainly_sent_nothing)
{
	scoped(http_client_free) struct http_client *client = NULL;
	scoped(http_response_free) struct http_response response = {0};
	struct error err = {0};
	struct script script = {0};
	struct fake_server *server = fake_server_start(NULL, answer, &script);
	scoped(text_free) char *target = url(server, "/x?X-Amz-Signature=secret");

	fake_server_stop(&server);
	REQUIRE_OK(http_client_new(&client, &err));
	CHECK(!http_perform(client, &(struct http_request){.method = "POST", .url = target},
		&response, &err));
	CHECK_INT(err.kind, ERROR_UNAVAILABLE);
	CHECK_INT(err.system_errno, ECONNREFUSED);
	CHECK_CONTAINS(err.message, "POST http://127.0.0.1:");
	CHECK(!strstr(err.message, "secret"));
	CHECK(!response.was_sent);
	error_free(&err);
}

TEST(redirects_are_answers_unless_asked_for)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/a/near");

	REQUIRE_OK(http_perform(client, &(struct http_request){.url = target}, &response, &err));
	CHECK_INT(response.status, 302);
	CHECK_TEXT(buf_text(&response.body), "moved");
	http_response_free(&response);
	REQUIRE_OK(http_perform(client, &(struct http_request){.url = target, .redirect_limit = 1},
		&response, &err));
	CHECK_INT(response.status, 200);
	CHECK_TEXT(buf_text(&response.body), "hello");
	CHECK_CONTAINS(script.heads.items[2], "GET /there?x=1 HTTP/1.1\r\n");
}

TEST(redirects_keep_or_change_the_method_as_rfc_9110_says)
{
	SCENE;
	scoped(text_free) char *see = url(server, "/see");
	scoped(text_free) char *away = url(server, "/away");
	struct http_request post = {.method = "POST",
		.url = see,
		.body = str_literal("data"),
		.redirect_limit = 3};

	script.other = url(server, "/there");
	REQUIRE_OK(http_perform(client, &post, &response, &err));
	CHECK_CONTAINS(script.heads.items[1], "GET /there HTTP/1.1\r\n");
	CHECK_TEXT(script.bodies.items[1], "");
	http_response_free(&response);
	post.url = away;
	REQUIRE_OK(http_perform(client, &post, &response, &err));
	CHECK_CONTAINS(script.heads.items[3], "POST /there HTTP/1.1\r\n");
	CHECK_TEXT(script.bodies.items[3], "data");
}

TEST(credentials_do_not_follow_to_another_host)
{
	SCENE;
	scoped(script_free) struct script other_script = {0};
	scoped(fake_server_stop) struct fake_server *other =
		fake_server_start(NULL, answer, &other_script);
	scoped(text_free) char *target = url(server, "/away");
	struct http_header headers[] = {{"Authorization", "Basic c2VjcmV0"},
		{"X-Amz-Security-Token", "secret"}, {"Range", "bytes=0-9"}};
	struct http_request request = {.url = target,
		.headers = headers,
		.header_count = countof(headers),
		.redirect_limit = 5};

	script.other = url(other, "/blob");
	REQUIRE_OK(http_perform(client, &request, &response, &err));
	REQUIRE(other_script.heads.count == 1);
	CHECK(!strcasestr(other_script.heads.items[0], "authorization"));
	CHECK(!strcasestr(other_script.heads.items[0], "x-amz"));
	CHECK_CONTAINS(other_script.heads.items[0], "Range: bytes=0-9\r\n");
	scoped(text_free) char *origin = url(other, "");
	CHECK_TEXT(response.elsewhere, origin);
	http_response_free(&response);
	/* On the same host and port they stay. */
	text_free(&script.other);
	script.other = url(server, "/blob");
	REQUIRE_OK(http_perform(client, &request, &response, &err));
	CHECK_CONTAINS(script.heads.items[2], "Authorization: Basic c2VjcmV0\r\n");
	CHECK(!response.elsewhere);
}

TEST(redirects_end)
{
	SCENE;
	scoped(text_free) char *loop = url(server, "/loop");
	scoped(text_free) char *ftp = url(server, "/ftp");

	REQUIRE_OK(http_perform(client, &(struct http_request){.url = loop, .redirect_limit = 4},
		&response, &err));
	CHECK_INT(response.status, 302);
	CHECK_INT(fake_server_requests(server), 5);
	http_response_free(&response);
	CHECK_FAILS(http_perform(client, &(struct http_request){.url = ftp, .redirect_limit = 4},
			    &response, &err),
		ERROR_PROTOCOL);
}

struct sink {
	struct buf got;
	size_t limit;
};

static bool sink_take(void *context, const void *bytes, size_t size, struct error *err)
{
	struct sink *sink = context;

	if (sink->got.size + size > sink->limit)
		return error_raise(err, ERROR_LIMIT, "the sink is full");
	buf_append(&sink->got, bytes, size);
	return true;
}

TEST(a_body_may_go_elsewhere)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/a/near");
	struct sink sink = {.limit = 100};
	struct http_request request = {.url = target,
		.redirect_limit = 1,
		.on_body = sink_take,
		.context = &sink};

	REQUIRE_OK(http_perform(client, &request, &response, &err));
	CHECK_TEXT(buf_text(&sink.got), "hello"); /* nothing of the redirect's own body */
	CHECK_INT(response.body.size, 0);
	http_response_free(&response);
	sink.limit = 7;
	CHECK(!http_perform(client, &request, &response, &err));
	CHECK_INT(err.kind, ERROR_LIMIT);
	CHECK_CONTAINS(err.message, "the sink is full");
	error_free(&err);
	buf_free(&sink.got);
}

TEST(limits_and_broken_answers)
{
	SCENE;
	static const struct {
		const char *path;
		size_t body_limit;
		enum error_kind kind;
	} rows[] = {
		{"/x", 4, ERROR_LIMIT},
		{"/headers", 0, ERROR_LIMIT},
		{"/garbage", 0, ERROR_PROTOCOL},
		{"/short", 0, ERROR_UNAVAILABLE},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(text_free) char *target = url(server, rows[i].path);
		struct http_request request = {.url = target,
			.body_limit_bytes = rows[i].body_limit};

		CHECK_FAILS(http_perform(client, &request, &response, &err), rows[i].kind);
		CHECK_INT(response.error.kind, rows[i].kind);
		http_response_free(&response);
	}
}

TEST(a_silent_server_is_given_up)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/hold");
	struct http_request stall = {.url = target, .stall_timeout_ms = 20};
	struct http_request total = {.url = target, .timeout_ms = 20};

	CHECK_FAILS(http_perform(client, &stall, &response, &err), ERROR_TIMED_OUT);
	CHECK(response.was_sent);
	http_response_free(&response);
	CHECK_FAILS(http_perform(client, &total, &response, &err), ERROR_TIMED_OUT);
}

TEST(an_answer_that_dribbles_for_ever_is_ended)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/dribble");
	struct http_request drip = {.url = target, .stall_timeout_ms = 100, .timeout_ms = -1};

	CHECK_FAILS(http_perform(client, &drip, &response, &err), ERROR_TIMED_OUT);
	CHECK(response.bytes_received > 0);
}

TEST(many_requests_run_side_by_side)
{
	SCENE;
	enum { COUNT = 20 };
	struct http_request requests[COUNT] = {0};
	struct http_response responses[COUNT];
	scoped(text_free) char *target = url(server, "/x");
	scoped(text_free) char *bad = url(server, "/short");

	for (int i = 0; i < COUNT; i++)
		requests[i] = (struct http_request){.url = i == 7 ? bad : target};
	CHECK_FAILS(http_perform_all(client, requests, responses, COUNT, 4, &err),
		ERROR_UNAVAILABLE);
	for (int i = 0; i < COUNT; i++) {
		CHECK_INT(responses[i].error.kind, i == 7 ? ERROR_UNAVAILABLE : ERROR_NONE);
		if (i != 7)
			CHECK_TEXT(buf_text(&responses[i].body), "hello");
		http_response_free(&responses[i]);
	}
	CHECK_INT(fake_server_requests(server), COUNT);
	CHECK(fake_server_connections(server) <= 5);
}

TEST(unix_sockets_and_proxies)
{
	SCENE;
	char folder[] = "/tmp/dogshore-http-XXXXXX";
	scoped(text_free) char *target = url(server, "/x");

	REQUIRE(mkdtemp(folder));
	scoped(text_free) char *path = memory_format("%s/socket", folder);
	scoped(fake_server_stop) struct fake_server *local =
		fake_server_start(path, answer, &script);

	REQUIRE_OK(http_perform(client,
		&(struct http_request){.url = "http://haproxy.invalid/show", .unix_socket = path},
		&response, &err));
	CHECK_TEXT(buf_text(&response.body), "hello");
	CHECK_CONTAINS(script.heads.items[0], "GET /show HTTP/1.1\r\nHost: haproxy.invalid\r\n");
	http_response_free(&response);
	/* A proxy in the environment is not asked for loopback addresses. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	CHECK_OK(http_perform(client, &(struct http_request){.url = target}, &response, &err));
	unsetenv("http_proxy");
	unlink(path);
	rmdir(folder);
}

TEST(what_would_smuggle_a_header_is_refused)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");
	struct http_header evil = {"X-Name", "a\r\nHost: other"};

	CHECK_FAILS(http_perform(client,
			    &(struct http_request){.url = target,
				    .headers = &evil,
				    .header_count = 1},
			    &response, &err),
		ERROR_INVALID);
	http_response_free(&response);
	CHECK_FAILS(http_perform(client, &(struct http_request){.url = "ftp://host/"}, &response,
			    &err),
		ERROR_INVALID);
	CHECK_INT(fake_server_requests(server), 0);
}

TEST_MAIN()
