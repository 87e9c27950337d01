#include "tests/test.h"

#include "base/journal.h"

TEST(without_a_journal_nothing_is_recorded_or_found)
{
	scoped(error_free) struct error err = {0};
	struct json *detail = NULL, *result = NULL;
	char *outcome = NULL;
	int64_t act = 5;

	CHECK_OK(journal_intend(NULL, "push", "rooms", NULL, &act, &err));
	CHECK_OK(journal_settle(NULL, act, "done", NULL, &err));
	CHECK_OK(journal_find(NULL, "push", "rooms", &act, &outcome, &detail, &result, &err));
	CHECK_INT(act, 0);
	CHECK(!outcome && !detail && !result);
}

static bool refuse(void *self, int64_t act, const char *outcome, const struct json *result,
	struct error *err)
{
	(void)result;
	*(int64_t *)self = act;
	return error_raise(err, ERROR_UNAVAILABLE, "no room for \"%s\"", outcome);
}

TEST(a_journal_is_asked_and_may_refuse)
{
	scoped(error_free) struct error err = {0};
	int64_t settled = 0;
	struct journal journal = {.settle = refuse, .self = &settled};

	CHECK_FAILS(journal_settle(&journal, 9, "done", NULL, &err), ERROR_UNAVAILABLE);
	CHECK_INT(settled, 9);
}

TEST_MAIN()
