#include "tests/test.h"

#include "base/clock.h"

/* 2026-11-20 is day 20777 since 1970-01-01: 56 years of 365 days and 14 leap days are 20454, the
 * ten months before November 304, and 19 days. 20777 * 86400 + 8 * 3600 = 1795161600. */
static const int64_t november_20 = 1795161600123;

TEST(a_time_is_spelt_in_three_ways)
{
	char text[TIME_TEXT_SIZE];

	time_to_rfc3339(november_20, text);
	CHECK_TEXT(text, "2026-11-20T08:00:00.123Z");
	time_to_basic(november_20, text);
	CHECK_TEXT(text, "20261120T080000Z");
	time_to_http(november_20, text);
	CHECK_TEXT(text, "Fri, 20 Nov 2026 08:00:00 GMT");
	time_to_rfc3339(-1, text);
	CHECK_TEXT(text, "1969-12-31T23:59:59.999Z");
}

TEST(times_are_read_back)
{
	int64_t ms = 0;

	CHECK(time_of_rfc3339(str_of("2026-11-20T08:00:00.123Z"), &ms));
	CHECK_INT(ms, november_20);
	CHECK(time_of_basic(str_of("20261120T080000Z"), &ms));
	CHECK_INT(ms, november_20 - 123);
	/* RFC 9110, 5.6.7; 784111777 is the value everybody's tests have for it */
	CHECK(time_of_http(str_of("Sun, 06 Nov 1994 08:49:37 GMT"), &ms));
	CHECK_INT(ms, 784111777000);
}

TEST(rfc3339_knows_zones_fractions_and_leap_seconds)
{
	int64_t ms = 0;

	/* RFC 3339, 5.8: the first two examples name 23:20:50.52 and 00:39:57+8h in UTC */
	CHECK(time_of_rfc3339(str_of("1985-04-12T23:20:50.52Z"), &ms));
	CHECK_INT(ms, 482196050520);
	CHECK(time_of_rfc3339(str_of("1996-12-19T16:39:57-08:00"), &ms));
	CHECK_INT(ms, 851042397000);
	CHECK(time_of_rfc3339(str_of("2000-02-29T00:00:00.123456Z"), &ms));
	CHECK_INT(ms, 951782400123);
	CHECK(time_of_rfc3339(str_of("1990-12-31T23:59:60Z"), &ms));
	CHECK_INT(ms, 662687999000);
}

TEST(what_is_no_time_is_refused)
{
	static const char *const bad[] = {"", "2026", "2026-11-20", "2026-11-20T08:00:00",
		"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-20T24:00:00Z",
		"2026-11-20T08:00:00.Z", "2026-11-20T08:00:00Zx", "2026-11-20T08:00:00+0100",
		"+026-11-20T08:00:00Z"};
	int64_t ms = 5;

	for (size_t i = 0; i < countof(bad); i++)
		CHECK(!time_of_rfc3339(str_of(bad[i]), &ms));
	CHECK(!time_of_basic(str_of("20261120080000Z"), &ms));
	CHECK(!time_of_basic(str_of("20261120T080000"), &ms));
	CHECK(!time_of_http(str_of("Sun, 6 Nov 1994 08:49:37 GMT"), &ms));
	CHECK(!time_of_http(str_of("Sun, 06 Nov 1994 08:49:37 CET"), &ms));
	CHECK_INT(ms, 5);
}

TEST(durations_need_a_unit)
{
	int64_t ms = 5;

	CHECK(duration_parse(str_of("500ms"), &ms) && ms == 500);
	CHECK(duration_parse(str_of("30s"), &ms) && ms == 30000);
	CHECK(duration_parse(str_of("10m"), &ms) && ms == 600000);
	CHECK(duration_parse(str_of("2h"), &ms) && ms == 7200000);
	CHECK(duration_parse(str_of("7d"), &ms) && ms == 604800000);
	CHECK(!duration_parse(str_of("30"), &ms));
	CHECK(!duration_parse(str_of("-1s"), &ms));
	CHECK(!duration_parse(str_of("1.5h"), &ms));
	CHECK(!duration_parse(str_of("s"), &ms));
	CHECK(!duration_parse(str_of(""), &ms));
	CHECK(!duration_parse(str_of("1 s"), &ms));
	CHECK(!duration_parse(str_of("9223372036854775807d"), &ms));
}

static void check_duration(int64_t ms, const char *expected)
{
	char text[TIME_TEXT_SIZE];

	duration_to_text(ms, text);
	CHECK_TEXT(text, expected);
}

TEST(durations_are_written_for_people)
{
	check_duration(85, "85 ms");
	check_duration(2400, "2.4 s");
	check_duration(59949, "59.9 s");
	check_duration(59950, "1 min");
	check_duration(200000, "3 min 20 s");
	check_duration(7200000, "2 h");
	check_duration(90000000, "1 d 1 h");
}

TEST(a_test_clock_moves_only_when_slept_on)
{
	struct test_clock test;

	test_clock_init(&test, 1000);
	CHECK_INT(clock_now(&test.clock), 1000);
	clock_sleep(&test.clock, 250);
	CHECK_INT(clock_now(&test.clock), 1250);
	CHECK_INT(clock_elapsed(&test.clock), 1250);
}

TEST_MAIN()
