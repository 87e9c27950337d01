#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/batch_run.h"

/* How the build of a task ends that does not pass. */
struct ending {
	const char *task;
	enum error_kind kind; /* ERROR_NONE: the build itself fails */
};

/* Builds that end so, and are written down. */
struct fake {
	struct batch_file file;
	struct batch_run run;
	struct buf built; /* "first left " */
	struct ending ends[2];
};

static void fake_free(struct fake *fake)
{
	batch_file_free(&fake->file);
	batch_run_free(&fake->run);
	buf_free(&fake->built);
}

static bool build(void *self, size_t task, struct build_result *out_result, struct error *err)
{
	struct fake *fake = self;
	const char *identifier = fake->file.plan.tasks[task].identifier;

	buf_printf(&fake->built, "%s ", identifier);
	out_result->succeeded = true;
	for (size_t i = 0; i < countof(fake->ends); i++) {
		if (!fake->ends[i].task || !text_equal(fake->ends[i].task, identifier))
			continue;
		if (fake->ends[i].kind)
			return error_raise(err, fake->ends[i].kind, "no more of %s", identifier);
		out_result->succeeded = false;
	}
	return true;
}

static void run(struct fake *fake, const char *batch)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL;
	scoped(text_free) char *text =
		memory_format("version: 0.2\nbatch: {%s}\nphases: {build: {commands: ['true']}}\n",
			batch);

	CHECK_OK(folder_make_temporary(NULL, "batch-run-test-", &folder, &err));
	scoped(text_free) char *path = path_join(folder, "buildspec.yml");

	CHECK_OK(file_write(path, str_of(text), 0644, false, &err));
	CHECK_OK(batch_file_load(folder, "buildspec.yml", &fake->file, &err));
	batch_run(&fake->file, build, fake, &fake->run);
	CHECK_OK(folder_remove(folder, &err));
}

/* "first passed left failed" */
static void check_outcomes(const struct fake *fake, const char *expected)
{
	scoped(buf_free) struct buf text = {0};

	for (size_t i = 0; i < fake->run.count; i++)
		buf_printf(&text, "%s%s %s", i ? " " : "", fake->file.plan.tasks[i].identifier,
			outcome_name(fake->run.tasks[i].status));
	CHECK_TEXT(buf_text(&text), expected);
}

#define GRAPH(left)                                                                                \
	"build-graph: [{identifier: last, depend-on: [left, right]}, "                             \
	"{identifier: left, depend-on: [first]" left "}, "                                         \
	"{identifier: right, depend-on: [first]}, {identifier: first}]"

TEST(each_after_those_it_depends_on)
{
	scoped(fake_free) struct fake fake = {0};

	run(&fake, GRAPH(""));
	CHECK_TEXT(buf_text(&fake.built), "first left right last ");
	CHECK_INT(fake.run.status, OUTCOME_PASSED);
	CHECK(fake.run.telling == SIZE_MAX);
}

TEST(what_depends_on_a_failure_is_skipped)
{
	scoped(fake_free) struct fake fake = {.ends = {{"left", ERROR_NONE}}};

	run(&fake, GRAPH(""));
	check_outcomes(&fake, "first passed left failed right passed last skipped");
	CHECK_INT(fake.run.status, OUTCOME_FAILED);
	CHECK_INT(fake.run.telling, 1);
	CHECK_TEXT(fake.run.tasks[3].reason, "left did not end well");
}

/* docs/buildspec.md: "after a failure or a timeout the run goes on as if the task had passed". */
TEST(a_failure_that_is_ignored)
{
	static const enum error_kind kinds[] = {ERROR_NONE, ERROR_TIMED_OUT};

	for (size_t i = 0; i < countof(kinds); i++) {
		scoped(fake_free) struct fake fake = {.ends = {{"left", kinds[i]}}};

		run(&fake, GRAPH(", ignore-failure: true"));
		CHECK_TEXT(buf_text(&fake.built), "first left right last ");
		CHECK_INT(fake.run.status, OUTCOME_PASSED);
		CHECK(text_starts_with(fake.run.tasks[1].reason, "ignored: "));
		CHECK(fake.run.telling == SIZE_MAX);
	}
}

/* What could not be done is no failure of the task. */
TEST(what_is_not_ignored)
{
	scoped(fake_free) struct fake fake = {.ends = {{"left", ERROR_UNAVAILABLE}}};

	run(&fake, GRAPH(", ignore-failure: true"));
	check_outcomes(&fake, "first passed left error right passed last skipped");
	CHECK_INT(fake.run.status, OUTCOME_ERROR);
	CHECK_INT(fake.run.telling, 1);
	CHECK_TEXT(fake.run.tasks[1].failure.message, "no more of left");
}

TEST(fast_fail_starts_no_other)
{
	scoped(fake_free) struct fake fake = {.ends = {{"b", ERROR_NONE}}};

	run(&fake, "fast-fail: true, build-list: "
		   "[{identifier: a}, {identifier: b}, {identifier: c}]");
	check_outcomes(&fake, "a passed b failed c skipped");
	CHECK_TEXT(buf_text(&fake.built), "a b ");
}

TEST(cancelled)
{
	scoped(fake_free) struct fake fake = {.ends = {{"b", ERROR_CANCELLED}}};

	run(&fake, "build-list: [{identifier: a}, {identifier: b}, {identifier: c}]");
	check_outcomes(&fake, "a passed b cancelled c cancelled");
	CHECK_TEXT(buf_text(&fake.built), "a b ");
	CHECK_INT(fake.run.status, OUTCOME_CANCELLED);
	CHECK_INT(fake.run.telling, 1);
}

/* A person hears of the failure first, though the other one came before. */
TEST(the_most_telling_outcome_counts)
{
	scoped(fake_free) struct fake fake = {.ends = {{"a", ERROR_TIMED_OUT}, {"c", ERROR_NONE}}};

	run(&fake, "build-list: [{identifier: a}, {identifier: b}, {identifier: c}]");
	check_outcomes(&fake, "a timed_out b passed c failed");
	CHECK_INT(fake.run.status, OUTCOME_FAILED);
	CHECK_INT(fake.run.telling, 2);
}

TEST_MAIN()
