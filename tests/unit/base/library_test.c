#include "tests/test.h"

#include "base/library.h"
#include "base/memory.h"

static size_t (*length)(const char *text);
static int (*never)(void);

TEST(functions_are_found_and_can_be_called)
{
	const struct library_function functions[] = {{"strlen", &length}};

	/* the C library is always there */
	scoped(text_free) char *problem = library_load("libc.so.6", functions, countof(functions));

	CHECK(problem == NULL);
	REQUIRE(length);
	CHECK_INT(length("four"), 4);
}

TEST(what_is_missing_is_named)
{
	const struct library_function functions[] = {{"strlen", &length},
		{"there_is_no_such_function", &never}};
	scoped(text_free) char *first = library_load("libc.so.6", functions, countof(functions));
	scoped(text_free) char *second = library_load("libno-such-library.so.1", functions, 1);

	CHECK_CONTAINS(first, "there_is_no_such_function");
	CHECK(never == NULL);
	CHECK_CONTAINS(second, "libno-such-library.so.1");
}

TEST(the_error_says_what_to_install)
{
	scoped(error_free) struct error err = {0};

	CHECK(!library_missing(&err, "libthing", "it is gone", "libthing2"));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.message, "load libthing: it is gone");
	CHECK_TEXT(err.next, "install it: apt-get install libthing2");
}

TEST_MAIN()
