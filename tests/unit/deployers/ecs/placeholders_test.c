#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/placeholders.h"

static bool look_up(void *context, const char *kind, const char *name, char **out_value,
	struct error *err)
{
	(void)context;
	if (text_equal(kind, "image"))
		*out_value = memory_copy_text("host/rooms@sha256:00");
	else if (text_equal(kind, "env") && text_equal(name, "QUOTE"))
		*out_value = memory_copy_text("say \"hi\"\n");
	else if (text_equal(kind, "ssm") && text_equal(name, "/broken"))
		return error_raise(err, ERROR_DENIED, "not allowed");
	return true;
}

static const struct placeholders values = {look_up, NULL};

static void check_filled(const char *text, const char *expected, bool expected_image)
{
	scoped(buf_free) struct buf out = {0};
	struct error err = {0};
	bool image = !expected_image;

	REQUIRE_OK(placeholders_fill(str_of(text), "f.json", &values, &out, &image, &err));
	CHECK_TEXT(buf_text(&out), expected);
	CHECK_INT(image, expected_image);
}

TEST(values_take_the_place_of_placeholders)
{
	check_filled("{\"image\": \"${image}\"}", "{\"image\": \"host/rooms@sha256:00\"}", true);
	check_filled("\"<IMAGE1_NAME>\"", "\"host/rooms@sha256:00\"", true);
	check_filled("\"${env:QUOTE}\"", "\"say \\\"hi\\\"\\n\"", false);
	check_filled("$ {x} <b> $${HOME} < IMAGE1_NAME>", "$ {x} <b> ${HOME} < IMAGE1_NAME>",
		false);
	check_filled("", "", false);
}

static void check_refused(const char *text, enum error_kind kind, const char *message)
{
	scoped(buf_free) struct buf out = {0};
	struct error err = {0};
	bool image;

	CHECK(!placeholders_fill(str_of(text), "f.json", &values, &out, &image, &err));
	CHECK_INT(err.kind, kind);
	CHECK_CONTAINS(err.message, message);
	error_free(&err);
}

TEST(one_that_stays_unresolved_is_named)
{
	check_refused("{\n \"a\": \"${env:DB}\"}", ERROR_USAGE, "f.json:2:8: ${env:DB} ");
	check_refused("${target_group:nobody}", ERROR_USAGE, "${target_group:nobody}");
	check_refused("${}", ERROR_USAGE, "f.json:1:1: ${} ");
	check_refused("<IMAGE2_NAME>", ERROR_USAGE, "<IMAGE2_NAME>");
	check_refused("a ${env:X\n}", ERROR_USAGE, "f.json:1:3: ${ has no closing brace");
	check_refused("${ssm:/broken}", ERROR_DENIED, "not allowed");
}

TEST_MAIN()
