#include "tests/test.h"

#include "base/json.h"
#include "base/memory.h"

#include <math.h>

static struct json *parse(const char *text)
{
	struct error err = {0};
	struct json *value = NULL;

	CHECK_OK(json_parse(str_of(text), "test", NULL, &value, &err));
	error_free(&err);
	return value;
}

static char *written(const struct json *value)
{
	struct buf out = {0};

	json_write(value, &out);
	return buf_take(&out);
}

#define CHECK_WRITTEN(value, expected)                                                             \
	do {                                                                                       \
		scoped(text_free) char *written_ = written(value);                                 \
		CHECK_TEXT(written_, expected);                                                    \
	} while (0)

TEST(a_document_keeps_the_order_of_its_members)
{
	const char *text = "{\"b\":1,\"a\":[true,false,null,\"x\"],\"c\":{\"z\":1.5,\"y\":-3}}";
	scoped(json_free) struct json *value = parse(text);

	CHECK_WRITTEN(value, text);
	json_set_int(value, "a", 2);
	CHECK_WRITTEN(value, "{\"b\":1,\"a\":2,\"c\":{\"z\":1.5,\"y\":-3}}");
}

TEST(whole_reals_stay_reals)
{
	scoped(json_free) struct json *value = parse("[1.0, 1e3, 0.1, -0.0, 1e300]");

	CHECK_WRITTEN(value, "[1.0,1000.0,0.1,-0.0,1e+300]");
	CHECK(json_kind(json_at(value, 0)) == JSON_REAL);
	CHECK_INT(json_int(json_at(value, 1), 0), 1000);
}

TEST(numbers_that_json_cannot_hold_become_null)
{
	scoped(json_free) struct json *value = json_array_new();

	json_append(value, json_real_new((double)INFINITY));
	json_append(value, json_real_new((double)NAN));
	json_append(value, json_int_new(INT64_MIN));
	CHECK_WRITTEN(value, "[null,null,-9223372036854775808]");
}

TEST(looking_into_nothing_finds_nothing)
{
	scoped(json_free) struct json *value = parse("{\"a\":{\"b\":\"deep\"}}");

	CHECK_TEXT(json_text(json_get(json_get(value, "a"), "b"), "-"), "deep");
	CHECK_TEXT(json_text(json_get(json_get(value, "x"), "b"), "-"), "-");
	CHECK_TEXT(json_get_text(json_at(value, 3), "b", "none"), "none");
	CHECK_INT(json_count(NULL), 0);
	CHECK_INT(json_get_int(value, "a", -1), -1);
	CHECK(json_kind(NULL) == JSON_NULL);
	for (json_each(member, json_get(value, "x")))
		CHECK(!member.key);
}

TEST(syntax_errors_say_line_and_column)
{
	struct error err = {0};
	struct json *value = NULL;

	CHECK(!json_parse(str_of("{\n  \"a\": 1,\n  \"b\": tru\n}"), "deploy/task.json", NULL,
		&value, &err));
	CHECK(err.kind == ERROR_INVALID);
	CHECK_CONTAINS(err.message, "deploy/task.json:3:");
	error_free(&err);
	CHECK_FAILS(json_parse(str_of(""), "t", NULL, &value, &err), ERROR_INVALID);
	CHECK_FAILS(json_parse(str_of("{} x"), "t", NULL, &value, &err), ERROR_INVALID);
	CHECK_FAILS(json_parse(str_of("[1,]"), "t", NULL, &value, &err), ERROR_INVALID);
	CHECK_FAILS(json_parse(str_of("\"\xff\""), "t", NULL, &value, &err), ERROR_INVALID);
	CHECK_FAILS(json_parse(str_of("99999999999999999999"), "t", NULL, &value, &err),
		ERROR_INVALID);
	CHECK(!value);
}

TEST(a_key_that_stands_twice_is_refused)
{
	struct error err = {0};
	struct json *value = NULL;

	CHECK(!json_parse(str_of("{\"image\": 1,\n \"image\": 2}"), "service.json", NULL, &value,
		&err));
	CHECK(err.kind == ERROR_INVALID);
	CHECK_CONTAINS(err.message, "service.json:2:");
	CHECK_CONTAINS(err.message, "image");
	error_free(&err);
}

static void nest(struct buf *out, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_append_char(out, '[');
	for (int i = 0; i < depth; i++)
		buf_append_char(out, ']');
}

TEST(depth_and_size_have_limits)
{
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *value = NULL;
	struct json *none = NULL;
	struct error err = {0};

	nest(&text, 64);
	CHECK_OK(json_parse(buf_str(&text), "t", NULL, &value, &err));
	buf_clear(&text);
	nest(&text, 65);
	CHECK(!json_parse(buf_str(&text), "t", NULL, &none, &err));
	CHECK(err.kind == ERROR_LIMIT);
	CHECK_CONTAINS(err.message, "t:1:65");
	error_free(&err);
	buf_clear(&text);
	nest(&text, 1000000); /* would overflow the stack of a parser that recurses */
	CHECK_FAILS(json_parse(buf_str(&text), "t", NULL, &none, &err), ERROR_LIMIT);
	CHECK_FAILS(json_parse(str_of("[1,2]"), "t", &(struct json_limits){.size_bytes = 4}, &none,
			    &err),
		ERROR_LIMIT);
	/* Brackets inside texts do not count. */
	json_free(&value);
	CHECK_OK(json_parse(str_of("\"[[\\\"[[\""), "t", &(struct json_limits){.depth = 1}, &value,
		&err));
}

TEST(equality_ignores_the_order_of_members_only)
{
	scoped(json_free) struct json *a = parse("{\"x\":[1,2],\"y\":\"t\"}");
	scoped(json_free) struct json *b = parse("{\"y\":\"t\",\"x\":[1,2]}");
	scoped(json_free) struct json *c = parse("{\"y\":\"t\",\"x\":[2,1]}");
	scoped(json_free) struct json *d = parse("{\"y\":\"t\",\"x\":[1,2],\"z\":null}");

	CHECK(json_equal(a, b));
	CHECK(!json_equal(a, c));
	CHECK(!json_equal(b, d));
	CHECK(json_equal(NULL, NULL));
}

TEST(canonical_form_sorts_members_at_every_depth)
{
	scoped(json_free) struct json *value =
		parse("{\"b\":{\"d\":1,\"c\":2},\"a\":[{\"z\":0,\"y\":0}],\"B\":3}");
	scoped(buf_free) struct buf out = {0};

	json_write_canonical(value, &out);
	CHECK_TEXT(buf_text(&out), "{\"B\":3,\"a\":[{\"y\":0,\"z\":0}],\"b\":{\"c\":2,\"d\":1}}");
}

TEST(pretty_form_is_for_people)
{
	scoped(json_free) struct json *value = parse("{\"a\":[1,{}],\"b\":[]}");
	scoped(buf_free) struct buf out = {0};

	json_write_pretty(value, &out);
	CHECK_TEXT(buf_text(&out), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST(an_object_is_built_from_pairs)
{
	scoped(json_free) struct json *value =
		json_object_of("name", json_text_new("rooms"), "left_out", (struct json *)NULL,
			"nothing", json_text_new(NULL), "n", json_text_format("%d/%d", 1, 2), NULL);

	CHECK_WRITTEN(value, "{\"name\":\"rooms\",\"nothing\":null,\"n\":\"1/2\"}");
	json_remove(value, "nothing");
	CHECK_INT(json_count(value), 2);
}

TEST(a_copy_is_deep_and_a_kept_value_is_the_same)
{
	scoped(json_free) struct json *value = parse("{\"list\":[1]}");
	scoped(json_free) struct json *copy = json_copy(value);
	scoped(json_free) struct json *kept = json_keep(value);

	json_append(json_get(value, "list"), json_int_new(2));
	CHECK_WRITTEN(copy, "{\"list\":[1]}");
	CHECK_WRITTEN(kept, "{\"list\":[1,2]}");
	json_remove_at(json_get(value, "list"), 0);
	CHECK_WRITTEN(kept, "{\"list\":[2]}");
}

TEST(bytes_that_are_no_text_are_replaced_on_the_way_out)
{
	scoped(json_free) struct json *value = json_str_new((struct str){"a\xff\0b\xc3\xa9", 6});

	CHECK_WRITTEN(value, "\"a\xEF\xBF\xBD\\u0000b\xc3\xa9\"");
}

TEST_MAIN()
