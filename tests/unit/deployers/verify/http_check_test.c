#include "tests/test.h"

#include "base/memory.h"
#include "deployers/verify/http_check.h"

/* Time begins at 1000; `for` is 3 s where nothing else is said. */
static const struct http_check three_seconds = {.http = "/health", .for_ms = 3000};

static struct http_check_state start(void)
{
	return (struct http_check_state){.started_ms = 1000};
}

struct answer {
	int64_t now_ms;
	int status;
};

/* Every answer but the last goes on; gives what the last one leads to. */
static enum http_check_step play(const struct http_check *check, struct http_check_state *state,
	const struct answer *answers, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		CHECK_INT(http_check_decide(check, state, answers[i].now_ms, answers[i].status),
			HTTP_CHECK_GO_ON);
	return http_check_decide(check, state, answers[count - 1].now_ms,
		answers[count - 1].status);
}

#define PLAY(check, state, ...)                                                                    \
	play((check), (state), (const struct answer[]){__VA_ARGS__},                               \
		sizeof((const struct answer[]){__VA_ARGS__}) / sizeof(struct answer))

TEST(it_passes_when_it_held_for_as_long_as_was_asked)
{
	struct http_check_state state = start();

	/* Holding since 1500: over at 4500, not before. */
	CHECK_INT(PLAY(&three_seconds, &state, {1500, 200}, {3000, 200}, {4499, 200}, {4500, 200}),
		HTTP_CHECK_PASSED);
	CHECK_INT(state.answers, 4);
}

TEST(without_for_one_good_answer_is_enough)
{
	struct http_check check = {.http = "/", .expect = 301};
	struct http_check_state state = start();

	CHECK_INT(PLAY(&check, &state, {1000, 200}, {1020, 301}), HTTP_CHECK_PASSED);
}

TEST(first_answers_may_be_refused_for_ten_seconds)
{
	struct http_check_state state = start();

	CHECK_INT(PLAY(&three_seconds, &state, {1000, 0}, {2000, 503}, {10999, 0}, {11000, 200},
			  {14000, 200}),
		HTTP_CHECK_PASSED);
	state = start();
	CHECK_INT(PLAY(&three_seconds, &state, {1000, 0}, {5000, 503}, {11000, 503}),
		HTTP_CHECK_FAILED);
	scoped(text_free) char *cause =
		http_check_cause(&three_seconds, &state, "http://h/health", NULL);

	CHECK_TEXT(cause, "GET http://h/health answered 503, expected 200 (3 times in 10.0 s)");
}

TEST(one_wrong_answer_may_be_an_accident_two_in_a_row_are_none)
{
	struct http_check_state state = start();

	CHECK_INT(PLAY(&three_seconds, &state, {1000, 200}, {2000, 503}, {3000, 200}, {4000, 200}),
		HTTP_CHECK_PASSED);
	state = start();
	CHECK_INT(PLAY(&three_seconds, &state, {1000, 200}, {2000, 503}, {3000, 0}),
		HTTP_CHECK_FAILED);
	scoped(text_free) char *cause =
		http_check_cause(&three_seconds, &state, "http://h/health", "connection refused");

	CHECK_TEXT(cause, "GET http://h/health got no answer, expected 200 (2 times): "
			  "connection refused");
}

/* Behind a balancer: one of two tasks is bad, so no two wrong answers follow one another. */
TEST(three_wrong_ones_of_the_last_ten_fail_it)
{
	struct http_check check = {.http = "/", .for_ms = 60000};
	struct http_check_state state = start();

	CHECK_INT(PLAY(&check, &state, {1000, 200}, {2000, 503}, {3000, 200}, {4000, 503},
			  {5000, 200}, {6000, 503}),
		HTTP_CHECK_FAILED);
	scoped(text_free) char *cause = http_check_cause(&check, &state, "http://h/", NULL);

	CHECK_TEXT(cause, "GET http://h/ answered 503, expected 200 (3 times)");
}

TEST(wrong_answers_of_long_ago_are_forgotten)
{
	struct http_check check = {.http = "/", .for_ms = 60000};
	struct http_check_state state = start();

	/* Every fifth answer is wrong: two of any ten. */
	for (int i = 0; i < 60; i++)
		CHECK_INT(http_check_decide(&check, &state, 1000 + i * 1000,
				  i % 5 == 4 ? 500 : 200),
			HTTP_CHECK_GO_ON);
	CHECK_INT(http_check_decide(&check, &state, 61000, 200), HTTP_CHECK_PASSED);
}

TEST(it_does_not_pass_with_a_wrong_answer)
{
	struct http_check_state state = start();

	CHECK_INT(PLAY(&three_seconds, &state, {1000, 200}, {4000, 503}, {5000, 200}),
		HTTP_CHECK_PASSED);
	/* A refusal before the first good answer does not count as one of two in a row. */
	state = start();
	CHECK_INT(PLAY(&three_seconds, &state, {1000, 503}, {2000, 200}, {3000, 503}, {5000, 200}),
		HTTP_CHECK_PASSED);
}

TEST(it_is_asked_often_at_first_and_each_second_later)
{
	struct http_check check = {.http = "/", .for_ms = 60000};
	struct http_check_state state = start();

	CHECK_INT(http_check_delay_ms(&check, &state, 1000), 20);
	CHECK_INT(http_check_delay_ms(&check, &state, 6000), 500);
	CHECK_INT(http_check_delay_ms(&check, &state, 10900), 100); /* the grace ends at 11000 */
	CHECK_INT(http_check_decide(&check, &state, 2000, 200), HTTP_CHECK_GO_ON);
	CHECK_INT(http_check_delay_ms(&check, &state, 2000), 20);
	CHECK_INT(http_check_delay_ms(&check, &state, 42000), 1000);
	CHECK_INT(http_check_delay_ms(&check, &state, 61600), 400); /* `for` ends at 62000 */
	CHECK_INT(http_check_decide(&check, &state, 2020, 500), HTTP_CHECK_GO_ON);
	CHECK_INT(http_check_delay_ms(&check, &state, 2020), 1000); /* a doubt */
}

/* Patterns as ELB's path-pattern: "*" any characters, "?" exactly one, case matters. */
TEST(a_route_covers_what_its_patterns_match)
{
	CHECK(http_check_is_covered("/rooms/1", "/rooms*", NULL));
	CHECK(http_check_is_covered("/rooms?a=b", "/rooms", NULL));
	CHECK(http_check_is_covered("/health", NULL, "api.example.com"));
	CHECK(http_check_is_covered("/health", NULL, NULL));
	CHECK(!http_check_is_covered("/health", "/rooms*", NULL));
	CHECK(!http_check_is_covered("/Rooms", "/rooms", NULL));
	CHECK(!http_check_is_covered("/health", NULL, "*.example.com"));
	CHECK(http_check_is_absolute("https://example.com/health"));
	CHECK(!http_check_is_absolute("/http://"));
}

TEST(what_cannot_be_asked_for_is_refused)
{
	struct error err = {0};
	static const char *const wrong[] = {"", "health", "ftp://h/", "http://", "http://h:x/",
		"http://user:secret@h/", "/two words", "/line\nfeed"};

	CHECK_OK(http_check_is_valid("/health?deep=1", &err));
	CHECK_OK(http_check_is_valid("https://example.com:8443/health", &err));
	for (size_t i = 0; i < countof(wrong); i++)
		CHECK_FAILS(http_check_is_valid(wrong[i], &err), ERROR_USAGE);
}

TEST_MAIN()
