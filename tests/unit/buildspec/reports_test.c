#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/reports.h"

#include <unistd.h>

/* A build that has left files in source; what is said goes into log. */
struct fixture {
	char *folder, *source, *output;
	struct buf log;
	struct strings secrets;
	struct artifact_place place;
	struct reporting reporting;
	struct reports reports;
};

static void take_line(void *self, const char *line)
{
	buf_printf(self, "%s\n", line);
}

static void open_fixture(struct fixture *f)
{
	struct error err = {0};

	*f = (struct fixture){0};
	CHECK_OK(folder_make_temporary(NULL, "reports-test-", &f->folder, &err));
	f->source = path_join(f->folder, "src");
	f->output = path_join(f->folder, "out");
	CHECK_OK(folder_make(f->source, 0755, &err) && folder_make(f->output, 0755, &err));
	strings_add(&f->secrets, "hunter2-secret");
	f->place = (struct artifact_place){f->source, "/codebuild/src", f->output, NULL};
	reports_begin(&f->reporting, &f->place, &f->secrets, take_line, &f->log, &f->reports);
}

static void close_fixture(struct fixture *f)
{
	struct error err = {0};

	CHECK_OK(folder_remove(f->folder, &err));
	reporting_free(&f->reporting);
	reports_free(&f->reports);
	buf_free(&f->log);
	strings_free(&f->secrets);
	free(f->folder);
	free(f->source);
	free(f->output);
}

static void put(struct fixture *f, const char *name, const char *text)
{
	scoped(text_free) char *path = path_join(f->source, name);
	scoped(text_free) char *parent = path_parent(path);
	struct error err = {0};

	CHECK_OK(folder_make(parent, 0755, &err) &&
		 file_write(path, str_of(text), 0644, false, &err));
}

static void collect(struct fixture *f, const struct report_spec *spec, const char *name)
{
	struct error err = {0};

	CHECK_OK(reports_collect(&f->reporting, spec, name, false, &err));
}

/* A file below the output folder, "" when it is not there. */
static char *output(struct fixture *f, const char *name)
{
	scoped(text_free) char *path = path_join(f->output, name);
	struct buf text = {0};

	if (!file_read(path, 1 << 20, &text, NULL))
		return memory_copy_text("");
	return buf_take(&text);
}

static const char *const all[] = {"r/*.xml"};

static struct report_spec unit_spec(void)
{
	return (struct report_spec){.group = "unit",
		.files = {(const char **)(uintptr_t)all, 1},
		.format = report_format_find("JUNITXML")};
}

TEST(a_group_is_copied_and_summed_up)
{
	struct fixture f;
	struct error err = {0};

	open_fixture(&f);
	put(&f, "r/a.xml",
		"<testsuite name='s'><testcase name='one' time='0.5'/>"
		"<testcase name='two' time='2'><failure message='no'/></testcase></testsuite>");
	put(&f, "r/b.xml", "<testsuite name='t'><testcase name='three' time='1'/></testsuite>");
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "unit");
	CHECK_OK(reports_end(&f.reporting, &err));
	REQUIRE(f.reports.count == 1);
	const struct report_group *group = &f.reports.groups[0];

	CHECK_TEXT(group->folder, "reports/unit");
	CHECK_INT(group->file_count, 2);
	CHECK_INT(group->counts[REPORT_PASSED], 2);
	CHECK_INT(group->counts[REPORT_FAILED], 1);
	CHECK_INT(group->duration_us, 3500000);
	REQUIRE(group->failed_count == 1 && group->slowest_count == 3);
	CHECK_TEXT(group->failed[0].message, "no");
	CHECK_TEXT(group->slowest[0].name, "two");
	CHECK_TEXT(group->slowest[1].name, "three");
	CHECK_TEXT(group->slowest[2].name, "one");
	CHECK_TEXT(buf_text(&f.log), "Report unit: 2 passed, 1 failed\n");
	scoped(text_free) char *copy = output(&f, "reports/unit/r/b.xml");
	scoped(text_free) char *lines = output(&f, "reports.jsonl");

	CHECK_CONTAINS(copy, "<testcase name='three'");
	CHECK_TEXT(lines,
		"{\"status\":\"passed\",\"group\":\"unit\",\"suite\":\"s\",\"name\":\"one\","
		"\"duration_ms\":500.0}\n"
		"{\"status\":\"failed\",\"group\":\"unit\",\"suite\":\"s\",\"name\":\"two\","
		"\"duration_ms\":2000.0,\"message\":\"no\"}\n"
		"{\"status\":\"passed\",\"group\":\"unit\",\"suite\":\"t\",\"name\":\"three\","
		"\"duration_ms\":1000.0}\n");
	close_fixture(&f);
}

TEST(secrets_are_masked_everywhere)
{
	struct fixture f;
	struct error err = {0};

	open_fixture(&f);
	put(&f, "r/hunter2-secret.xml",
		"<testsuite name='hunter2-secret'><testcase name='hunter2-secret'><failure "
		"message='got "
		"hunter2-sec&#114;et'>hunter2-secret</failure></testcase></testsuite>");
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "unit");
	CHECK_OK(reports_end(&f.reporting, &err));
	scoped(text_free) char *copy = output(&f, "reports/unit/r/hunter2-secret.xml");
	scoped(text_free) char *lines = output(&f, "reports.jsonl");
	scoped(buf_free) struct buf result = {0};
	struct json_writer w = json_writer_start(&result);

	json_object_begin(&w);
	reports_write(&f.reports, &w);
	json_object_end(&w);
	CHECK_CONTAINS(copy, "name='***'");
	CHECK_CONTAINS(lines, "\"message\":\"got ***\"");
	CHECK_CONTAINS(buf_text(&result), "\"message\":\"got ***\"");
	CHECK(!strstr(copy, "hunter2-secret"));
	CHECK(!strstr(lines, "hunter2-secret"));
	CHECK(!strstr(buf_text(&result), "hunter2-secret"));
	close_fixture(&f);
}

TEST(bad_and_missing_reports_are_said_and_do_not_fail)
{
	struct fixture f;

	open_fixture(&f);
	static const char *const patterns[] = {"r/*.xml", "gone/**/*.xml"};
	struct report_spec spec = unit_spec();

	spec.files = (struct texts){(const char **)(uintptr_t)patterns, 2};
	put(&f, "r/a.xml", "<testsuite><testcase name='one'/>");
	put(&f, "r/b.xml", "no xml");
	put(&f, "r/c.xml", "<testsuite><testcase name='two'/></testsuite>");
	collect(&f, &spec, "unit");
	REQUIRE(f.reports.count == 1);
	CHECK_INT(f.reports.groups[0].counts[REPORT_PASSED], 2);
	REQUIRE(f.reports.groups[0].unread_count == 3);
	CHECK_TEXT(f.reports.groups[0].unread[0].why, "no file matches");
	CHECK_CONTAINS(buf_text(&f.log),
		"warning: report gone/**/*.xml of unit: no file matches\n");
	CHECK_CONTAINS(buf_text(&f.log), "warning: report r/a.xml of unit: line 1, column");
	CHECK_CONTAINS(buf_text(&f.log), "Report unit: 2 passed\n");
	close_fixture(&f);
}

TEST(a_link_out_of_the_source_is_not_followed)
{
	struct fixture f;

	open_fixture(&f);
	put(&f, "r/a.xml", "<testsuite/>");
	scoped(text_free) char *link = path_join(f.source, "r/z.xml");

	CHECK_INT(symlink("/etc/passwd", link), 0);
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "unit");
	CHECK_INT(f.reports.groups[0].file_count, 1);
	scoped(text_free) char *copy = output(&f, "reports/unit/r/z.xml");

	CHECK_TEXT(copy, "");
	close_fixture(&f);
}

TEST(base_directory_and_discard_paths)
{
	struct fixture f;

	open_fixture(&f);
	static const char *const patterns[] = {"**/*.xml"};
	struct report_spec spec = {.group = "unit",
		.files = {(const char **)(uintptr_t)patterns, 1},
		.format = report_format_find("JUNITXML"),
		.base_directory = "/codebuild/src/r",
		.discard_paths = true};

	put(&f, "r/deep/a.xml", "<testsuite><testcase name='x'/></testsuite>");
	put(&f, "other.xml", "<testsuite><testcase name='y'/></testsuite>");
	collect(&f, &spec, "unit");
	CHECK_INT(f.reports.groups[0].file_count, 1);
	CHECK_TEXT(f.reports.groups[0].files.items[0], "a.xml");
	scoped(text_free) char *copy = output(&f, "reports/unit/a.xml");

	CHECK_CONTAINS(copy, "name='x'");
	close_fixture(&f);
}

TEST(names_of_groups_cannot_leave_the_folder)
{
	struct fixture f;

	open_fixture(&f);
	put(&f, "r/a.xml", "<testsuite/>");
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "..");
	collect(&f, &spec, "arn:aws:codebuild:us-east-1:1:report-group/x");
	collect(&f, &spec, "..");
	CHECK_TEXT(f.reports.groups[0].folder, "reports/%2E.");
	CHECK_TEXT(f.reports.groups[1].folder,
		"reports/arn%3Aaws%3Acodebuild%3Aus-east-1%3A1%3Areport-group%2Fx");
	CHECK_TEXT(f.reports.groups[2].folder, "reports/%2E.+");
	close_fixture(&f);
}

TEST(the_result_keeps_the_first_failures_only)
{
	struct fixture f;
	scoped(buf_free) struct buf text = {0};

	open_fixture(&f);
	buf_append_text(&text, "<testsuite>");
	for (int i = 0; i < 60; i++)
		buf_printf(&text, "<testcase name='n%d'><error message='no'/></testcase>", i);
	buf_append_text(&text, "</testsuite>");
	put(&f, "r/a.xml", buf_text(&text));
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "unit");
	CHECK_INT(f.reports.groups[0].counts[REPORT_ERROR], 60);
	CHECK_INT(f.reports.groups[0].failed_count, 50);
	close_fixture(&f);
}

TEST(lines_have_a_limit_that_is_told)
{
	struct fixture f;
	scoped(buf_free) struct buf text = {0};

	open_fixture(&f);
	buf_append_text(&text, "<testsuite>");
	for (int i = 0; i < 200003; i++)
		buf_append_text(&text, "<testcase/>");
	buf_append_text(&text, "</testsuite>");
	put(&f, "r/a.xml", buf_text(&text));
	struct report_spec spec = unit_spec();

	collect(&f, &spec, "unit");
	CHECK_INT(f.reports.groups[0].counts[REPORT_PASSED], 200003);
	CHECK_INT(f.reports.groups[0].left_out, 3);
	close_fixture(&f);
}

TEST_MAIN()
