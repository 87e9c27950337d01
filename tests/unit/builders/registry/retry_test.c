#include "tests/test.h"

#include "builders/registry/retry.h"

static struct registry_retry_verdict decide(int status, int tries, const char *retry_after)
{
	return registry_retry(&(struct registry_retry_observation){.status = status,
		.tries = tries,
		.retry_after = str_of(retry_after),
		/* Fri, 20 Nov 2026 08:00:00 GMT */
		.now_ms = 1795161600000,
		.random = 0});
}

TEST(passing_trouble_is_tried_five_times)
{
	static const int again[] = {408, 429, 500, 502, 503, 504, 599};
	static const int final[] = {200, 201, 301, 400, 401, 403, 404, 409, 416, 501, 505, 600};

	for (size_t i = 0; i < countof(again); i++) {
		CHECK(decide(again[i], 1, NULL).again);
		CHECK(decide(again[i], 4, NULL).again);
		CHECK(!decide(again[i], 5, NULL).again);
	}
	for (size_t i = 0; i < countof(final); i++)
		CHECK(!decide(final[i], 1, NULL).again);
}

TEST(a_full_disk_of_the_registry_is_told_at_once)
{
	/* RFC 4918, 11.5: "This condition is considered to be temporary", but not for a client that
	 * would have to wait for somebody to make room; what the server asks for changes nothing. */
	CHECK(!decide(507, 1, NULL).again);
	CHECK(!decide(507, 1, "1").again);
}

TEST(waits_double_and_a_random_half_spreads_them)
{
	/* 200, 400, 800, 1600 ms; at random 0 half of that */
	CHECK_INT(decide(500, 1, NULL).wait_ms, 100);
	CHECK_INT(decide(500, 2, NULL).wait_ms, 200);
	CHECK_INT(decide(500, 4, NULL).wait_ms, 800);
	CHECK_INT(registry_retry(&(struct registry_retry_observation){.status = 500,
					 .tries = 4,
					 .random = 1})
			  .wait_ms,
		1600);
}

TEST(retry_after_is_obeyed_up_to_a_minute)
{
	CHECK_INT(decide(429, 1, "3").wait_ms, 3000);
	CHECK_INT(decide(429, 1, " 0 ").wait_ms, 0);
	CHECK_INT(decide(503, 1, "3600").wait_ms, 60000);
	CHECK_INT(decide(429, 1, "Fri, 20 Nov 2026 08:00:10 GMT").wait_ms, 10000);
	CHECK_INT(decide(429, 1, "Fri, 20 Nov 2026 07:59:00 GMT").wait_ms, 0);
	CHECK_INT(decide(429, 1, "Sat, 21 Nov 2026 08:00:00 GMT").wait_ms, 60000);
	CHECK_INT(decide(429, 1, "soon").wait_ms, 100);
	CHECK_INT(decide(429, 1, "-5").wait_ms, 100);
	CHECK_INT(decide(429, 1, "99999999999999999999").wait_ms, 100);
	CHECK_INT(decide(429, 1, "9000000000000000000").wait_ms, 60000);
	/* What is added so that not all come back at once: a tenth, and no more than the minute. */
	CHECK_INT(registry_retry(&(struct registry_retry_observation){.status = 429,
					 .tries = 1,
					 .retry_after = str_literal("30"),
					 .random = 1})
			  .wait_ms,
		33000);
	CHECK_INT(registry_retry(&(struct registry_retry_observation){.status = 429,
					 .tries = 1,
					 .retry_after = str_literal("3600"),
					 .random = 1})
			  .wait_ms,
		60000);
}

TEST(a_lost_connection_is_tried_again_a_refused_certificate_is_not)
{
	struct registry_retry_observation o = {.no_answer = ERROR_UNAVAILABLE, .tries = 1};

	CHECK(registry_retry(&o).again);
	o.no_answer = ERROR_TIMED_OUT;
	CHECK(registry_retry(&o).again);
	o.no_answer = ERROR_DENIED;
	CHECK(!registry_retry(&o).again);
	o.no_answer = ERROR_PROTOCOL;
	CHECK(!registry_retry(&o).again);
}

TEST_MAIN()
