#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/log_file.h"
#include "deployers/local/log_filter.h"
#include "deployers/local/logs.h"
#include "deployers/local/store.h"

static void cloud_open(struct cloud *cloud)
{
	scoped(text_free) char *path = NULL;
	struct error err = {0};

	*cloud = (struct cloud){.clock = &system_clock,
		.account = memory_copy_text("000000000000"),
		.region = memory_copy_text("us-east-1")};
	if (!folder_make_temporary(NULL, "logs", &cloud->state, &err))
		abort();
	path = path_join(cloud->state, "store.db");
	if (!store_open(path, &cloud->store, &err) || !logs_open(cloud, &cloud->logs, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
}

static void cloud_close(struct cloud *cloud)
{
	struct error err = {0};

	logs_close(&cloud->logs);
	store_close(&cloud->store);
	if (!folder_remove(cloud->state, &err))
		abort();
	free(cloud->state);
	free(cloud->account);
	free(cloud->region);
}

TEST(lines_go_in_and_come_out_forwards_and_backwards)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(text_free) char *path = NULL;
	scoped(buf_free) struct buf lines = {0}, text = {0};
	scoped(log_file_close) struct log_file file = {0};
	struct log_event event;
	struct error err = {0};

	cloud_open(&cloud);
	REQUIRE_OK(logs_stream_file(cloud.logs, "/ecs/rooms", "a/b", true, &path, &err));
	logs_format_line(5, str_literal("one"), &lines);
	logs_format_line(6, str_literal("two\nlines \\n"), &lines);
	buf_append_text(&lines, "7 not yet whole");
	CHECK_TEXT(buf_text(&lines), "5 one\n6 two\\nlines \\\\n\n7 not yet whole");
	REQUIRE_OK(file_write(path, buf_str(&lines), 0600, false, &err));

	REQUIRE_OK(log_file_open(path, &file, &err));
	REQUIRE(log_file_at(&file, 0, &event));
	CHECK_INT(event.time_ms, 5);
	REQUIRE(log_file_at(&file, event.behind, &event));
	CHECK_INT(event.time_ms, 6);
	log_event_text(&event, &text);
	CHECK_TEXT(buf_text(&text), "two\nlines \\n");
	CHECK(!log_file_at(&file, event.behind, &event));
	REQUIRE(log_file_before(&file, file.size, &event));
	CHECK_INT(event.time_ms, 6);
	REQUIRE(log_file_before(&file, event.begin, &event));
	CHECK_INT(event.time_ms, 5);
	CHECK(!log_file_before(&file, event.begin, &event));
}

TEST(groups_and_streams_are_kept_by_name_and_bad_names_are_refused)
{
	scoped(cloud_close) struct cloud cloud = {0};
	scoped(strings_free) struct strings streams = {0};
	scoped(text_free) char *path = NULL, *found = NULL;
	struct error err = {0};

	cloud_open(&cloud);
	CHECK_FAILS(logs_stream_file(cloud.logs, "/ecs/x", "s", false, &path, &err),
		ERROR_NOT_FOUND);
	REQUIRE_OK(logs_make_group(cloud.logs, "/ecs/x", &err));
	CHECK_FAILS(logs_make_group(cloud.logs, "/ecs/x", &err), ERROR_CONFLICT);
	CHECK_FAILS(logs_make_group(cloud.logs, "..", &err), ERROR_INVALID);
	CHECK_FAILS(logs_make_group(cloud.logs, "a\nb", &err), ERROR_INVALID);
	CHECK_FAILS(logs_make_group(cloud.logs, "", &err), ERROR_INVALID);
	REQUIRE_OK(logs_stream_file(cloud.logs, "/ecs/x", "b/é %", false, &path, &err));
	text_free(&path);
	REQUIRE_OK(logs_stream_file(cloud.logs, "/ecs/x", "a", false, &path, &err));
	REQUIRE_OK(logs_list_streams(cloud.logs, "/ecs/x", &streams, &err));
	REQUIRE(streams.count == 2);
	CHECK_TEXT(streams.items[0], "a");
	CHECK_TEXT(streams.items[1], "b/é %");
	found = logs_find_stream(cloud.logs, "/ecs/x", "never");
	CHECK(!found);
	REQUIRE_OK(logs_remove_group(cloud.logs, "/ecs/x", &err));
	CHECK_FAILS(logs_remove_group(cloud.logs, "/ecs/x", &err), ERROR_NOT_FOUND);
	found = logs_find_stream(cloud.logs, "/ecs/x", "a");
	CHECK(!found);
}

static bool matches(const char *pattern, const char *text)
{
	scoped(log_filter_free) struct log_filter filter = {0};
	struct error err = {0};
	bool ok = log_filter_parse(str_of(pattern), &filter, &err);

	error_free(&err);
	return ok && log_filter_matches(&filter, str_of(text));
}

/* The examples of "Filter pattern syntax": unstructured log events. */
TEST(filter_patterns_are_cloudwatchs_for_text)
{
	struct log_filter filter = {0};
	struct error err = {0};

	CHECK(matches("", "anything"));
	CHECK(matches("ERROR", "[ERROR 400] BAD REQUEST"));
	CHECK(!matches("ERROR", "[error 400]"));
	CHECK(matches("ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS"));
	CHECK(!matches("ERROR ARGUMENTS", "[ERROR 400] BAD REQUEST"));
	CHECK(matches("?ERROR ?ARGUMENTS", "[ERROR 400] BAD REQUEST"));
	CHECK(!matches("?ERROR ?ARGUMENTS", "[WARNING]"));
	CHECK(matches("\"INTERNAL SERVER ERROR\"", "500 INTERNAL SERVER ERROR"));
	CHECK(!matches("\"INTERNAL SERVER ERROR\"", "INTERNAL ERROR"));
	CHECK(matches("ERROR -ARGUMENTS", "[ERROR 400] BAD REQUEST"));
	CHECK(!matches("ERROR -ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS"));
	CHECK_FAILS(log_filter_parse(str_of("{ $.a = 1 }"), &filter, &err), ERROR_INVALID);
	CHECK_FAILS(log_filter_parse(str_of("\"open"), &filter, &err), ERROR_INVALID);
}

TEST_MAIN()
