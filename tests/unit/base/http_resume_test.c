#include "tests/test.h"

#include "base/http_client.h"
#include "base/http_resume.h"
#include "base/memory.h"
#include "tests/unit/base/fake_server.h"

/* RFC 9110, 14.4: first-pos, last-pos and complete-length of what a server sends, asked for byte 100 on. */
TEST(only_the_whole_rest_is_a_rest)
{
	static const struct {
		int status;
		const char *range;
		bool fits;
		int64_t unseen;
	} rows[] = {
		{206, "bytes 100-199/200", true, 0},
		{206, "Bytes 100-199/200", true, 0},
		{206, "bytes 100-199/*", true, 0},
		{206, "bytes 100-100/101", true, 0},
		{206, "bytes 0-199/200", false, 0},
		{206, "bytes 101-199/200", false, 0},
		{206, "bytes 99-199/200", false, 0},
		{206, "bytes 100-198/200", false, 0}, /* a part of the rest */
		{206, "bytes 100-200/200", false, 0},
		{206, "bytes 100-99/100", false, 0},
		{206, "bytes -100/200", false, 0},
		{206, "bytes */200", false, 0},
		{206, "100-199/200", false, 0},
		{206, "lines 100-199/200", false, 0},
		{206, "bytes 100-99999999999999999999/200", false, 0},
		{206, "", false, 0},
		{204, "bytes 100-199/200", false, 0},
		{200, "", true, 100}, /* it does without ranges: all of it again */
		{200, "bytes 100-199/200", true, 100},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct http_resume resume = {.passed = 100};
		bool fits = http_resume_begin(&resume, rows[i].status, str_of(rows[i].range));

		if (fits != rows[i].fits)
			printf("# %d %s\n", rows[i].status, rows[i].range);
		CHECK(fits == rows[i].fits);
		if (fits)
			CHECK_INT(resume.unseen, rows[i].unseen);
	}
}

TEST(what_passed_before_passes_unseen)
{
	struct http_resume resume = {0};

	CHECK(http_resume_begin(&resume, 200, str_of("")));
	CHECK_INT(http_resume_unseen(&resume, 30), 0);
	http_resume_pass(&resume, 30);
	http_resume_pass(&resume, 12);
	CHECK_INT(http_resume_fail(&resume), 1);
	CHECK(http_resume_begin(&resume, 200, str_of("")));
	CHECK_INT(http_resume_unseen(&resume, 40), 40);
	http_resume_pass(&resume, 40);
	CHECK_INT(http_resume_unseen(&resume, 10), 2); /* 42 passed before */
	http_resume_pass(&resume, 10);
	CHECK_INT(http_resume_unseen(&resume, 10), 0);
	CHECK_INT(resume.passed, 50);
}

TEST(a_mebibyte_earns_new_tries)
{
	struct http_resume resume = {0};

	http_resume_pass(&resume, HTTP_RESUME_PROGRESS);
	CHECK_INT(http_resume_fail(&resume), 1);
	http_resume_pass(&resume, HTTP_RESUME_PROGRESS - 1);
	CHECK_INT(http_resume_fail(&resume), 2);
	CHECK_INT(http_resume_fail(&resume), 3);
	http_resume_pass(&resume, 1);
	CHECK_INT(http_resume_fail(&resume), 1);
}

TEST(after_a_wrong_part_no_other_is_asked_for)
{
	struct http_resume resume = {.passed = 100};

	CHECK(!http_resume_begin(&resume, 206, str_of("bytes 0-199/200")));
	(void)http_resume_fail(&resume);
	CHECK(resume.no_range && !resume.misfit && !resume.begun);
}

/* The rest of the file, over the wire. */

#define WHOLE "0123456789abcdefghij"

struct script {
	struct strings heads;
	char *elsewhere; /* owned: where /away leads */
};

static void script_free(struct script *script)
{
	strings_free(&script->heads);
	text_free(&script->elsewhere);
}

/* The first answer breaks off behind 8 bytes; the others are the rest from there. */
static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct script *script = context;
	scoped(text_free) char *range = fake_header(request, "Range");

	strings_add(&script->heads, request->head);
	if (text_equal(request->target, "/away")) {
		scoped(text_free) char *to = memory_format("Location: %s\r\n", script->elsewhere);
		fake_reply(out, 307, to, str_of("moved"));
	} else if (range) {
		fake_reply(out, 206, "Content-Range: bytes 8-19/20\r\n", str_of(&WHOLE[8]));
	} else {
		buf_append_text(out, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567");
		request->close = !text_equal(request->target, "/silent");
		request->hold = !request->close;
	}
}

struct asked {
	struct buf got;
	int times;
	enum error_kind lost;
	bool refuses;
};

static bool take(void *context, const void *bytes, size_t size, struct error *err)
{
	struct asked *asked = context;

	(void)err;
	buf_append(&asked->got, bytes, size);
	return true;
}

static bool go_on(void *context, const struct http_response *response, enum error_kind lost,
	int tries, int64_t *out_wait_ms)
{
	struct asked *asked = context;

	(void)response;
	asked->times++;
	asked->lost = lost;
	*out_wait_ms = 1;
	return !asked->refuses && tries < 5;
}

static void asked_free(struct asked *asked)
{
	buf_free(&asked->got);
}

#define SCENE                                                                                      \
	scoped(script_free) struct script script = {0};                                            \
	scoped(asked_free) struct asked asked = {0};                                               \
	scoped(http_client_free) struct http_client *client = NULL;                                \
	scoped(http_response_free) struct http_response response = {0};                            \
	scoped(fake_server_stop) struct fake_server *server =                                      \
		fake_server_start(NULL, answer, &script);                                          \
	struct error err = {0};                                                                    \
	REQUIRE_OK(http_client_new(&client, &err))

static char *url(struct fake_server *server, const char *path)
{
	return memory_format("http://127.0.0.1:%d%s", fake_server_port(server), path);
}

TEST(a_broken_body_goes_on_with_its_next_byte)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");
	struct http_request request = {.url = target,
		.on_body = take,
		.context = &asked,
		.resume = go_on,
		.resume_context = &asked};

	REQUIRE_OK(http_perform(client, &request, &response, &err));
	CHECK_TEXT(buf_text(&asked.got), WHOLE);
	CHECK_INT(response.status, 206);
	CHECK_INT(response.resumed, 1);
	CHECK_INT(asked.lost, ERROR_UNAVAILABLE);
	REQUIRE(script.heads.count == 2);
	CHECK_CONTAINS(script.heads.items[1], "Range: bytes=8-\r\n");
}

TEST(a_silent_body_goes_on_as_well)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/silent");
	struct http_request request = {.url = target,
		.on_body = take,
		.context = &asked,
		.stall_timeout_ms = 50,
		.resume = go_on,
		.resume_context = &asked};

	REQUIRE_OK(http_perform(client, &request, &response, &err));
	CHECK_TEXT(buf_text(&asked.got), WHOLE);
	CHECK_INT(asked.lost, ERROR_TIMED_OUT);
}

/* Storage gives URLs that end: the first one is asked for another. Credentials stay with the first. */
TEST(the_way_begins_where_it_began)
{
	SCENE;
	scoped(script_free) struct script storage_script = {0};
	scoped(fake_server_stop) struct fake_server *storage =
		fake_server_start(NULL, answer, &storage_script);
	scoped(text_free) char *target = url(server, "/away");
	struct http_header header = {"Authorization", "Basic c2VjcmV0"};
	struct http_request request = {.url = target,
		.headers = &header,
		.header_count = 1,
		.redirect_limit = 1,
		.on_body = take,
		.context = &asked,
		.resume = go_on,
		.resume_context = &asked};

	script.elsewhere = url(storage, "/blob");
	REQUIRE_OK(http_perform(client, &request, &response, &err));
	CHECK_TEXT(buf_text(&asked.got), WHOLE);
	REQUIRE(script.heads.count == 2 && storage_script.heads.count == 2);
	CHECK_CONTAINS(script.heads.items[1], "Authorization: Basic c2VjcmV0\r\n");
	CHECK_CONTAINS(storage_script.heads.items[1], "Range: bytes=8-\r\n");
	CHECK(!strstr(storage_script.heads.items[1], "Authorization"));
}

TEST(what_is_not_wanted_ends)
{
	SCENE;
	scoped(text_free) char *target = url(server, "/x");
	struct http_request request = {.url = target, .on_body = take, .context = &asked};

	CHECK_FAILS(http_perform(client, &request, &response, &err), ERROR_UNAVAILABLE);
	CHECK_INT(asked.times, 0);
	http_response_free(&response);
	request.resume = go_on;
	request.resume_context = &asked;
	asked.refuses = true;
	CHECK_FAILS(http_perform(client, &request, &response, &err), ERROR_UNAVAILABLE);
	CHECK_INT(asked.times, 1);
	CHECK_INT(response.resumed, 0);
	CHECK_TEXT(buf_text(&asked.got), "0123456701234567");
}

TEST_MAIN()
