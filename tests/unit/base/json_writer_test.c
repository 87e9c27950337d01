#include "tests/test.h"

#include "base/json_writer.h"

TEST(commas_stand_between_values)
{
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);

	json_object_begin(&w);
	json_put_text(&w, "run", "42");
	json_key(&w, "steps");
	json_array_begin(&w);
	json_write_int(&w, 1);
	json_array_begin(&w);
	json_array_end(&w);
	json_object_begin(&w);
	json_object_end(&w);
	json_write_null(&w);
	json_array_end(&w);
	json_put_bool(&w, "ok", true);
	json_key(&w, "ratio");
	json_write_real(&w, 2);
	json_put_text(&w, "none", NULL);
	json_object_end(&w);
	CHECK_TEXT(buf_text(&out), "{\"run\":\"42\",\"steps\":[1,[],{},null],\"ok\":true,"
				   "\"ratio\":2.0,\"none\":null}");
}

TEST(texts_are_escaped_as_rfc_8259_asks)
{
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);

	json_write_text(&w, "\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9");
	CHECK_TEXT(buf_text(&out), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xc3\xa9\"");
}

/* U+FFFD for each byte that begins no well-formed sequence (RFC 3629). */
TEST(what_is_not_utf8_is_replaced)
{
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);

	json_array_begin(&w);
	json_write_text(&w, "\xc0\xaf");                     /* overlong '/' */
	json_write_text(&w, "\xed\xa0\x80");                 /* a surrogate */
	json_write_text(&w, "\xf4\x90\x80\x80");             /* beyond U+10FFFF */
	json_write_text(&w, "a\xe2\x82");                    /* cut off */
	json_write_text(&w, "\xf0\x9f\x9a\xa2\xe2\x82\xac"); /* a ship and a euro: fine */
	json_array_end(&w);
#define R "\xEF\xBF\xBD"
	CHECK_TEXT(buf_text(&out), "[\"" R R "\",\"" R R R "\",\"" R R R R "\",\"a" R R
				   "\",\"\xf0\x9f\x9a\xa2\xe2\x82\xac\"]");
}

TEST(times_have_milliseconds_and_a_z)
{
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);

	json_object_begin(&w);
	json_put_time(&w, "at", 1000000000123); /* date -u -d @1000000000 */
	json_object_end(&w);
	CHECK_TEXT(buf_text(&out), "{\"at\":\"2001-09-09T01:46:40.123Z\"}");
}

TEST(a_value_is_written_in_its_place)
{
	scoped(buf_free) struct buf out = {0};
	scoped(json_free) struct json *value = json_object_of("a", json_int_new(1), NULL);
	struct json_writer w = json_writer_start(&out);

	json_array_begin(&w);
	json_write_value(&w, value);
	json_write_value(&w, NULL);
	json_write_format(&w, "%s-%d", "x", 1);
	json_array_end(&w);
	CHECK_TEXT(buf_text(&out), "[{\"a\":1},null,\"x-1\"]");
}

TEST_MAIN()
