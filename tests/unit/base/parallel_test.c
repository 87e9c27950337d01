#include "tests/test.h"

#include "base/parallel.h"

enum { COUNT = 1000 };

struct marks {
	unsigned char seen[COUNT];
	size_t fails_at, fails_also_at;
};

static bool mark(void *context, size_t index, struct error *err)
{
	struct marks *marks = context;

	marks->seen[index]++;
	if (index == marks->fails_at || index == marks->fails_also_at)
		return error_raise(err, ERROR_INVALID, "number %zu", index);
	return true;
}

TEST(each_is_done_once)
{
	static struct marks marks;
	struct error err = {0};
	size_t done = 0;

	marks = (struct marks){.fails_at = COUNT, .fails_also_at = COUNT};
	CHECK_OK(parallel_each(COUNT, mark, &marks, &err));
	for (size_t i = 0; i < COUNT; i++)
		done += marks.seen[i] == 1;
	CHECK_INT(done, COUNT);
}

TEST(the_first_that_fails_is_told)
{
	struct error err = {0};

	for (int i = 0; i < 50; i++) {
		static struct marks marks;

		marks = (struct marks){.fails_at = 3, .fails_also_at = 4};
		CHECK(!parallel_each(COUNT, mark, &marks, &err));
		CHECK_TEXT(err.message, "number 3");
		error_free(&err);
	}
}

TEST(nothing_and_one_thing_are_work_too)
{
	struct marks marks = {.fails_at = COUNT, .fails_also_at = COUNT};
	struct error err = {0};

	CHECK_OK(parallel_each(0, mark, &marks, &err));
	CHECK_INT(marks.seen[0], 0);
	CHECK_OK(parallel_each(1, mark, &marks, &err));
	CHECK_INT(marks.seen[0], 1);
}

TEST_MAIN()
