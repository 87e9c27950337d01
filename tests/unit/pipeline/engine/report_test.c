#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/report.h"

struct recorded {
	char *folder; /* owned */
	struct ledger *ledger;
	struct ledger_run run;
};

static void recorded_free(struct recorded *recorded)
{
	scoped(error_free) struct error err = {0};

	ledger_close(&recorded->ledger);
	ledger_run_free(&recorded->run);
	if (recorded->folder && !folder_remove(recorded->folder, &err))
		TEST_FAIL("%s", err.message);
	free(recorded->folder);
}

static bool save_step(struct recorded *recorded, const char *name, enum outcome status,
	int exit_status, struct error *err)
{
	struct ledger_step step = {.run = recorded->run.id,
		.service = memory_copy_text("one"),
		.name = memory_copy_text(name),
		.status = status,
		.exit_status = exit_status};
	bool done = ledger_step_save(recorded->ledger, &step, err);

	ledger_step_free(&step);
	return done;
}

/* A run whose build passed and whose image ended as the run did. */
static bool record(struct recorded *recorded, enum outcome status, struct error *err)
{
	if (!folder_make_temporary(NULL, "report", &recorded->folder, err))
		return false;
	scoped(text_free) char *url = memory_format("sqlite:%s/ledger.db", recorded->folder);
	scoped(text_free) char *logs = path_join(recorded->folder, "one");

	recorded->run.commit = memory_copy_text("c0ffee");
	recorded->run.folder = memory_copy_text(recorded->folder);
	recorded->run.status = status;
	return ledger_open(url, LEDGER_WRITE, &recorded->ledger, err) &&
	       ledger_begin(recorded->ledger, err) &&
	       ledger_run_save(recorded->ledger, &recorded->run, err) &&
	       save_step(recorded, "build", OUTCOME_PASSED, 0, err) &&
	       save_step(recorded, "image", status, 2, err) &&
	       ledger_commit(recorded->ledger, err) && folder_make(logs, 0700, err);
}

static void put_log(struct recorded *recorded, const char *name, const char *content)
{
	scoped(text_free) char *path = memory_format("%s/one/%s.log", recorded->folder, name);
	scoped(error_free) struct error err = {0};

	CHECK_OK(file_write(path, str_of(content), 0600, false, &err));
}

TEST(advice_is_the_last_that_the_failing_stage_gave)
{
	scoped(recorded_free) struct recorded recorded = {0};
	scoped(error_free) struct error err = {0};
	int exit_status = -1;

	REQUIRE_OK(record(&recorded, OUTCOME_ERROR, &err));
	put_log(&recorded, "build", "error: not this one\n  next:  nor this\n");
	put_log(&recorded, "image",
		"error: first\n  next:  try it again\nerror: second\n  while: packing\n"
		"  next:  name it with image.binary\n  where: x.c:1\n");
	scoped(text_free) char *advice =
		report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK_TEXT(advice, "name it with image.binary");
	CHECK_INT(exit_status, 2);
}

TEST(without_advice_the_log_is_named_and_without_a_log_nothing)
{
	scoped(recorded_free) struct recorded recorded = {0};
	scoped(error_free) struct error err = {0};
	int exit_status = -1;

	REQUIRE_OK(record(&recorded, OUTCOME_FAILED, &err));
	scoped(text_free) char *none = report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK(none == NULL);
	/* "next:" elsewhere in a line is what a program said, not advice */
	put_log(&recorded, "image", "what comes next:  nobody knows\n");
	scoped(text_free) char *log = report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK_CONTAINS(log, "read its log: ");
	CHECK_CONTAINS(log, "dogshore logs ");
	CHECK_CONTAINS(log, " one image");
}

TEST(advice_far_up_a_long_log_is_not_looked_for)
{
	scoped(recorded_free) struct recorded recorded = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};
	int exit_status = -1;

	REQUIRE_OK(record(&recorded, OUTCOME_FAILED, &err));
	buf_append_text(&text, "  next:  long ago\n");
	for (int i = 0; i < 1000; i++)
		buf_append_text(&text, "a line of the log\n");
	put_log(&recorded, "image", buf_text(&text));
	scoped(text_free) char *log = report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK_CONTAINS(log, "read its log: ");
	/* at the end it is found however long the log is */
	buf_append_text(&text, "  next:  do this");
	put_log(&recorded, "image", buf_text(&text));
	scoped(text_free) char *advice =
		report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK_TEXT(advice, "do this");
}

/* What report_print_failure() prints behind the line that names the log. */
static char *failure(struct recorded *recorded)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	report_print_failure(out, recorded->ledger, &recorded->run);
	fclose(out);
	const char *end = strchr(text, '\n');
	char *rest = memory_copy_text(end ? end + 1 : "nothing was printed");

	free(text);
	return rest;
}

TEST(a_failure_shows_the_last_twenty_lines_of_the_log)
{
	scoped(recorded_free) struct recorded recorded = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf log = {0}, expected = {0};

	REQUIRE_OK(record(&recorded, OUTCOME_FAILED, &err));
	for (int i = 1; i <= 100; i++) {
		buf_printf(&log, "line %d\n", i);
		if (i > 80)
			buf_printf(&expected, "line %d\n", i);
	}
	put_log(&recorded, "image", buf_text(&log));
	scoped(text_free) char *many = failure(&recorded);

	CHECK_TEXT(many, buf_text(&expected));
	put_log(&recorded, "image", "one\ntwo");
	scoped(text_free) char *few = failure(&recorded);

	CHECK_TEXT(few, "one\ntwo\n");
	put_log(&recorded, "image", "\n");
	scoped(text_free) char *empty = failure(&recorded);

	CHECK_TEXT(empty, "\n");
}

TEST(a_run_without_a_failed_step_has_no_advice)
{
	scoped(recorded_free) struct recorded recorded = {0};
	scoped(error_free) struct error err = {0};
	int exit_status = -1;

	REQUIRE_OK(record(&recorded, OUTCOME_FAILED, &err));
	recorded.run.status = OUTCOME_TIMED_OUT;
	scoped(text_free) char *advice =
		report_advice(recorded.ledger, &recorded.run, &exit_status);

	CHECK(advice == NULL);
	CHECK_INT(exit_status, 0);
}

TEST_MAIN()
