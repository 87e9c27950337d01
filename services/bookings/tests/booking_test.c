#include "tests/test.h"

#include "base/memory.h"
#include "services/bookings/booking.h"

/* 2026-11-20T08:00:00Z */
static const int64_t now_ms = 1795161600000;

/* What is wrong with the booking in the body; "" when it is fine. In a static buffer. */
static const char *problem_of(const char *body)
{
	static char text[200];
	scoped(json_free) struct json *json = NULL;
	scoped(text_free) char *why = NULL;
	scoped(booking_free) struct booking booking = {0};
	struct error err = {0};

	if (!json_parse(str_of(body), "body", NULL, &json, &err)) {
		error_free(&err);
		return "not JSON";
	}
	snprintf(text, sizeof(text), "%s", booking_read(json, now_ms, &booking, &why) ? "" : why);
	return text;
}

#define FROM_NINE "{\"room_id\":\"r1\",\"starts\":\"2026-11-20T09:00:00Z\","

TEST(a_booking_is_read_and_shown)
{
	scoped(json_free) struct json *json = NULL;
	scoped(text_free) char *why = NULL;
	scoped(booking_free) struct booking booking = {0};
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);
	struct error err = {0};

	REQUIRE_OK(json_parse(str_of(FROM_NINE
				      "\"ends\":\"2026-11-20T10:30:00Z\",\"title\":\"Review\"}"),
		"body", NULL, &json, &err));
	REQUIRE(booking_read(json, now_ms, &booking, &why));
	CHECK_INT(booking.starts_ms, now_ms + 3600 * 1000);
	CHECK_INT(booking.ends_ms - booking.starts_ms, 90 * 60 * 1000);
	memcpy(booking.id, "0123456789abcdef", 17);
	booking.made_ms = now_ms;
	booking_write(&w, &booking);
	CHECK_TEXT(buf_text(&out),
		"{\"id\":\"0123456789abcdef\",\"room_id\":\"r1\","
		"\"starts\":\"2026-11-20T09:00:00.000Z\",\"ends\":\"2026-11-20T10:30:00.000Z\","
		"\"title\":\"Review\",\"booked_by\":\"\",\"status\":\"booked\","
		"\"made_at\":\"2026-11-20T08:00:00.000Z\"}");
}

TEST(each_wrong_value_is_named)
{
	static const struct {
		const char *body, *word;
	} rows[] = {
		{"{}", "room_id"},
		{"{\"room_id\":\"a/b\"}", "room_id"},
		{"{\"room_id\":7}", "room_id"},
		{"{\"room_id\":\"r1\",\"starts\":\"tomorrow\"}", "starts"},
		{"{\"room_id\":\"r1\",\"starts\":1795161600}", "starts"},
		{FROM_NINE "\"ends\":\"2026-11-20\"}", "ends"},
		{FROM_NINE "\"ends\":\"2026-11-20T09:00:00Z\"}", "ends must be after starts"},
		{FROM_NINE "\"ends\":\"2026-11-20T08:00:00Z\"}", "ends must be after starts"},
		{FROM_NINE "\"ends\":\"2026-12-21T09:00:00.001Z\"}", "31 days"},
		{"{\"room_id\":\"r1\",\"starts\":\"2026-11-20T07:00:00Z\","
		 "\"ends\":\"2026-11-20T08:00:00Z\"}",
			"past"},
		{FROM_NINE "\"ends\":\"2026-11-20T10:00:00Z\",\"title\":7}", "title"},
		{FROM_NINE "\"ends\":\"2026-11-20T10:00:00Z\",\"title\":\"a\\nb\"}", "title"},
		{FROM_NINE "\"ends\":\"2026-11-20T10:00:00Z\",\"booked_by\":[]}", "booked_by"},
		{FROM_NINE "\"ends\":\"2026-11-20T10:00:00Z\",\"id\":\"x\"}", "\"id\" is unknown"},
	};

	for (size_t i = 0; i < countof(rows); i++)
		CHECK_CONTAINS(problem_of(rows[i].body), rows[i].word);
	CHECK_TEXT(problem_of(FROM_NINE "\"ends\":\"2026-12-21T09:00:00Z\"}"), "");
}

TEST_MAIN()
