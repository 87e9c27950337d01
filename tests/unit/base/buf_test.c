#include "tests/test.h"

#include "base/buf.h"
#include "base/memory.h"

TEST(buf_grows_and_stays_terminated)
{
	scoped(buf_free) struct buf buf = {0};

	CHECK_TEXT(buf_text(&buf), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%d,", i);
	/* 10 numbers of 1 digit, 90 of 2, 900 of 3, each with a comma */
	CHECK_INT(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
	CHECK(text_ends_with(buf_text(&buf), ",999,"));
	buf_remove_front(&buf, buf.size - 4);
	CHECK_TEXT(buf_text(&buf), "999,");
}

TEST(str_to_int_refuses_what_is_no_number)
{
	int64_t n = 7;

	CHECK(str_to_int(str_of("-42"), &n));
	CHECK_INT(n, -42);
	CHECK(str_to_int(str_of("9223372036854775807"), &n));
	CHECK(n == INT64_MAX);
	CHECK(!str_to_int(str_of("9223372036854775808"), &n));
	CHECK(!str_to_int(str_of(""), &n));
	CHECK(!str_to_int(str_of("-"), &n));
	CHECK(!str_to_int(str_of("1 "), &n));
	CHECK(!str_to_int(str_of("0x1"), &n));
}

TEST(str_cut_gives_each_piece_and_then_nothing)
{
	struct str rest = str_of("a::b");

	CHECK(str_equal_text(str_cut(&rest, ':'), "a"));
	CHECK(str_equal_text(str_cut(&rest, ':'), ""));
	CHECK(rest.data != NULL);
	CHECK(str_equal_text(str_cut(&rest, ':'), "b"));
	CHECK(rest.data == NULL);
}

TEST(patterns_match_as_a_shell_does)
{
	CHECK(text_matches("main", "main"));
	CHECK(text_matches("release/1.2", "release/*"));
	CHECK(!text_matches("release", "release/*"));
	CHECK(text_matches("abcabd", "*ab?"));
	CHECK(!text_matches("abc", "ab"));
	CHECK(text_matches("", "*"));
}

TEST(the_nearest_word_is_suggested_and_a_far_one_is_not)
{
	const char *const known[] = {"services", "source", "environments"};

	CHECK_TEXT(text_nearest("servces", known, 3), "services");
	CHECK_TEXT(text_nearest("enviroments", known, 3), "environments");
	CHECK(text_nearest("zebra", known, 3) == NULL);
}

TEST(an_arena_keeps_everything_until_it_is_freed)
{
	scoped(arena_free) struct arena arena = {0};
	char *first = arena_copy_text(&arena, "first");
	char *large = arena_new(&arena, 1 << 20);

	large[(1 << 20) - 1] = 'x';
	for (int i = 0; i < 10000; i++)
		CHECK(arena_format(&arena, "%d", i) != NULL);
	CHECK_TEXT(first, "first");
	CHECK(large[(1 << 20) - 1] == 'x' && large[0] == 0);
}

TEST_MAIN()
