#include "tests/test.h"

#include "buildspec/build_log.h"

static void take(void *self, struct str piece)
{
	buf_append_str(self, piece);
}

static void print(struct build_log *log, const char *text)
{
	build_log_output(log, str_of(text));
}

TEST(output_and_lines_of_its_own_stand_on_lines_of_their_own)
{
	scoped(buf_free) struct buf text = {0};
	scoped(build_log_free) struct build_log log = {.take = take, .self = &text};

	masker_add(&log.masker, "hunter2");
	print(&log, "no line end");
	build_log_line(&log, "one\ntwo: %s", "hunter2");
	print(&log, "more\n");
	build_log_line(&log, "three");
	build_log_end(&log);
	CHECK_TEXT(buf_text(&text),
		"no line end\n[build] one\n[build]   two: ***\nmore\n[build] three\n");
}

/* What a shell does with what commands print. */
static void feed(struct build_log *log, const char *text)
{
	scoped(buf_free) struct buf masked = {0};

	masker_feed(&log->masker, str_of(text), &masked);
	build_log_output(log, buf_str(&masked));
}

TEST(a_secret_printed_by_several_commands_is_masked)
{
	scoped(buf_free) struct buf text = {0};
	scoped(build_log_free) struct build_log log = {.take = take, .self = &text};

	masker_add(&log.masker, "hunter2");
	build_log_line(&log, "one");
	feed(&log, "it is hun");
	build_log_line(&log, "two");
	build_log_line(&log, "three");
	feed(&log, "te");
	build_log_line(&log, "four");
	feed(&log, "r2, and hu");
	build_log_line(&log, "five");
	feed(&log, "sh\n");
	build_log_line(&log, "six");
	feed(&log, "hunter");
	build_log_line(&log, "seven: %s", "hunter2");
	build_log_end(&log);
	CHECK_TEXT(buf_text(&text),
		"[build] one\nit is ***\n[build] two\n[build] three\n[build] four\n, and hu\n"
		"[build] five\nsh\n[build] six\nhunter\n[build] seven: ***\n");
}

TEST(lines_that_wait_for_output_are_no_output_and_never_dropped)
{
	scoped(buf_free) struct buf text = {0};
	scoped(build_log_free) struct build_log log = {.take = take,
		.self = &text,
		.limit_bytes = 2};

	masker_add(&log.masker, "hunter2");
	feed(&log, "hun");
	build_log_line(&log, "one");
	feed(&log, "ted");
	build_log_line(&log, "two");
	build_log_end(&log);
	CHECK_TEXT(buf_text(&text),
		"hu\n"
		"[build] the log has reached its limit of 2 bytes: what commands print from here "
		"on "
		"is dropped\n"
		"[build] one\n[build] two\n"
		"[build] 4 bytes of output were dropped: the log's limit is 2 bytes\n");
}

TEST(what_is_printed_beyond_the_limit_is_dropped_and_counted)
{
	scoped(buf_free) struct buf text = {0};
	scoped(build_log_free) struct build_log log = {.take = take,
		.self = &text,
		.limit_bytes = 10};

	print(&log, "0123456\n");
	print(&log, "abcdef\n");
	print(&log, "more\n");
	build_log_line(&log, "Phase complete");
	print(&log, "!");
	build_log_end(&log);
	/* 8 + 7 + 5 + 1 - 10 */
	CHECK_TEXT(buf_text(&text),
		"0123456\nab\n"
		"[build] the log has reached its limit of 10 bytes: what commands print from here "
		"on "
		"is dropped\n"
		"[build] Phase complete\n"
		"[build] 11 bytes of output were dropped: the log's limit is 10 bytes\n");
}

TEST(a_log_that_just_fits_is_whole)
{
	scoped(buf_free) struct buf text = {0};
	scoped(build_log_free) struct build_log log = {.take = take,
		.self = &text,
		.limit_bytes = 6};

	print(&log, "abc\n");
	print(&log, "d\n");
	build_log_end(&log);
	CHECK_TEXT(buf_text(&text), "abc\nd\n");
}

TEST_MAIN()
