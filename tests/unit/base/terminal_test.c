#include "tests/test.h"

#include "base/terminal.h"

#include <stdlib.h>

/* In pieces of every possible size: the result may not depend on it. */
static void check_shown(const char *text, size_t size, const char *expected)
{
	for (size_t step = 1; step <= size; step++) {
		scoped(buf_free) struct buf out = {0};
		struct terminal_filter filter = {0};

		for (size_t at = 0; at < size; at += step)
			terminal_filter_feed(&filter,
				(struct str){text + at, step < size - at ? step : size - at}, &out);
		terminal_filter_flush(&filter, &out);
		CHECK_TEXT(buf_text(&out), expected);
	}
}

#define check_literal(text, expected) check_shown((text), sizeof(text) - 1, (expected))

TEST(text_and_progress_bars_pass)
{
	check_literal("a\tb\r 10%\r 20%\nZ\xc3\xbcrich \xe2\x82\xac \xf0\x9d\x84\x9e\n",
		"a\tb\r 10%\r 20%\nZ\xc3\xbcrich \xe2\x82\xac \xf0\x9d\x84\x9e\n");
}

TEST(colours_pass)
{
	check_literal("\x1b[1;31merror:\x1b[0m \x1b[38:5:9mx\x1b[m\x1b[K",
		"\x1b[1;31merror:\x1b[0m \x1b[38:5:9mx\x1b[m\x1b[K");
}

TEST(sequences_that_do_more_are_taken_out)
{
	check_literal("a\x1b[2Jb\x1b[10;10Hc\x1b[?25ld", "abcd");
	check_literal("a\x1b]0;title\x07"
		      "b\x1b]52;c;ZXZpbA==\x1b\\c",
		"abc");
	check_literal("a\x1bP+q\x1b\\b\x1b_x\x1b\\c\x1b"
		      "Xy\x1b\\d",
		"abcd");
	check_literal("a\x1b(0b\x1b"
		      "cc\x1b[>4;1md",
		"abcd");
	/* an answer that the terminal would type */
	check_literal("\x1b[6n\x1b[c", "");
}

TEST(a_sequence_without_end_ends_with_the_line)
{
	check_literal("a\x1b]0;title\nb", "a\nb");
	check_literal("a\x1b[3\nb\x1b", "a\nb");
}

TEST(other_controls_and_odd_bytes_are_spelled_out)
{
	check_literal("a\0b\x07\x08\x7f", "a\\x00b\\x07\\x08\\x7f");
	check_literal("\xff\xc3(\xe2\x82", "\\xff\\xc3(\\xe2\\x82");
	/* a C1 control, alone and in UTF-8: CSI in eight bits */
	check_literal("\x9b"
		      "2J\xc2\x9b"
		      "2J",
		"\\x9b2J\\x9b2J");
	/* surrogates and overlong forms are no UTF-8 */
	check_literal("\xed\xa0\x80\xc0\xaf", "\\xed\\xa0\\x80\\xc0\\xaf");
	check_literal("a\xe2\x80\xae"
		      "b\xe2\x81\xa6",
		"a\\u202eb\\u2066");
}

TEST(a_value_stays_on_its_line_and_steers_nothing)
{
	const char text[] = "a\tZ\xc3\xbcrich\n\r\x1b[31m\xc2\x9b\xff\xe2\x80\xae"
			    "end";
	char *shown = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&shown, &size);

	REQUIRE(out != NULL);
	terminal_print(out, str_of(text));
	fclose(out);
	CHECK_TEXT(shown, "a\tZ\xc3\xbcrich\\x0a\\x0d\\x1b[31m\\x9b\\xff\\u202eend");
	free(shown);
}

TEST_MAIN()
