#include "tests/test.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>

TEST(an_error_prints_what_while_and_next)
{
	scoped(error_free) struct error err = {0};
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	CHECK(!error_raise(&err, ERROR_UNAVAILABLE, "GET %s answered %d", "http://x/", 503));
	error_while(&err, "replacing task %d of %d", 3, 4);
	error_next(&err, "read the log");
	error_next(&err, "this advice comes too late");
	error_print(out, &err, false);
	fclose(out);
	/* The layout of design/code-style.md, "Errors". */
	CHECK_TEXT(text, "error: GET http://x/ answered 503\n"
			 "  while: replacing task 3 of 4\n"
			 "  next:  read the log\n");
}

TEST(what_would_steer_a_terminal_is_shown_instead)
{
	scoped(error_free) struct error err = {0};
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	/* ESC, DEL, a byte that is no UTF-8, CSI as one character (U+009B); "ü" stays. */
	error_raise(&err, ERROR_INVALID, "a\033[2Jb\177\377 \302\233 \303\274\nmore\tof it");
	error_print(out, &err, false);
	fclose(out);
	CHECK_TEXT(text, "error: a\\x1b[2Jb\\x7f\\xff \\x9b \303\274\nmore\tof it\n");
}

TEST(the_systems_reason_decides_the_kind)
{
	scoped(error_free) struct error err = {0};

	errno = ENOENT;
	error_raise_errno(&err, "open layer \"%s\"", "a.tar");
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.message, "open layer \"a.tar\": No such file or directory");
	errno = ENOSPC;
	error_raise_errno(&err, "write");
	CHECK_CONTAINS(err.next, "free some space");
}

static char *advice_for(int reason)
{
	scoped(error_free) struct error err = {0};

	error_raise(&err, ERROR_SYSTEM, "x");
	err.system_errno = reason;
	error_next_by_reason(&err);
	return memory_copy_text(err.next ? err.next : "");
}

TEST(the_systems_reason_gives_advice)
{
	static const struct {
		int reason;
		const char *piece;
	} rows[] = {{ENOSPC, "df -h"}, {EDQUOT, "df -h"}, {EROFS, "choose another folder"},
		{EACCES, "ls -ld"}, {EPERM, "ls -ld"}, {EMFILE, "ulimit -n"}, {ENFILE, "ulimit -n"},
		{ENOMEM, "free -h"}, {EAGAIN, "ulimit -a"}, {EIO, "dmesg"}};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(text_free) char *advice = advice_for(rows[i].reason);

		CHECK_CONTAINS(advice, rows[i].piece);
	}
	/* nothing is better than what is not known to help */
	scoped(text_free) char *none = advice_for(0), *other = advice_for(ENOENT);

	CHECK_TEXT(none, "");
	CHECK_TEXT(other, "");
}

TEST(advice_that_is_there_stays)
{
	scoped(error_free) struct error err = {0};

	error_raise(&err, ERROR_SYSTEM, "x");
	err.system_errno = ENOSPC;
	error_next(&err, "remove old layers");
	error_next_by_reason(&err);
	CHECK_TEXT(err.next, "remove old layers");
}

TEST(exit_statuses_are_those_of_the_contract)
{
	/* design/interfaces.md, "Exit statuses" */
	CHECK_INT(error_exit_status(ERROR_FAILED), 1);
	CHECK_INT(error_exit_status(ERROR_USAGE), 2);
	CHECK_INT(error_exit_status(ERROR_INVALID), 2);
	CHECK_INT(error_exit_status(ERROR_UNAVAILABLE), 3);
	CHECK_INT(error_exit_status(ERROR_ROLLED_BACK), 4);
	CHECK_INT(error_exit_status(ERROR_CANCELLED), 5);
	CHECK_INT(error_exit_status(ERROR_TIMED_OUT), 6);
	CHECK_INT(error_exit_status(ERROR_UNKNOWN), 7);
}

TEST(nobody_has_to_want_the_error)
{
	CHECK(!error_raise(NULL, ERROR_FAILED, "nobody listens"));
	CHECK(!error_while(NULL, "x"));
	error_free(NULL);
}

TEST_MAIN()
