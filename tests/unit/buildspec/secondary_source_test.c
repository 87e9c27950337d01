#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/secondary_source.h"

#include <stdio.h>

static bool parse(const char *const *given, size_t count, bool sandbox,
	struct secondary_sources *out, struct error *err)
{
	scoped(strings_free) struct strings all = {0};

	for (size_t i = 0; i < count; i++)
		strings_add(&all, given[i]);
	return secondary_sources_parse(&all, sandbox, out, err);
}

TEST(each_has_an_identifier_and_a_folder)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0};
	scoped(error_free) struct error err = {0};
	/* Behind the first "=" everything is the folder. */
	const char *given[] = {"lib_2=/some/lib", "9=a=b"};

	REQUIRE(parse(given, 2, true, &sources, &err));
	CHECK_INT(sources.count, 2);
	CHECK_TEXT(sources.items[0].id, "lib_2");
	CHECK_TEXT(sources.items[0].folder, "/some/lib");
	CHECK_TEXT(sources.items[0].inside, "/codebuild/secondary/lib_2");
	CHECK_TEXT(sources.items[1].id, "9");
	CHECK_TEXT(sources.items[1].folder, "a=b");
}

TEST(without_the_sandbox_the_build_sees_the_folder_itself)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0};
	scoped(error_free) struct error err = {0};
	const char *given[] = {"lib=/some/lib"};

	REQUIRE(parse(given, 1, false, &sources, &err));
	CHECK_TEXT(sources.items[0].inside, "/some/lib");
}

/* ProjectSource: "can only contain alphanumeric characters and underscores, and must be less than 128
 * characters in length". */
TEST(what_cannot_be_an_identifier)
{
	char longest[128 + 4], longer[129 + 4];

	snprintf(longest, sizeof(longest), "%0127d=x", 1);
	snprintf(longer, sizeof(longer), "%0128d=x", 1);
	const struct {
		const char *given, *expected;
	} cases[] = {
		{longest, NULL},
		{longer, "must have 1 to 127 letters"},
		{"=x", "must have 1 to 127 letters"},
		{"a-b=x", "must have 1 to 127 letters"},
		{"../a=x", "must have 1 to 127 letters"},
		{"\xc3\xa4=x", "must have 1 to 127 letters"},
		{"lib", "\"lib\" is not ID=DIR"},
		{"lib=", "\"lib=\" is not ID=DIR"},
		{"", "\"\" is not ID=DIR"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(secondary_sources_free) struct secondary_sources sources = {0};
		scoped(error_free) struct error err = {0};
		const char *given = cases[i].given;

		CHECK_INT(parse(&given, 1, true, &sources, &err), !cases[i].expected);
		if (!cases[i].expected)
			continue;
		CHECK_INT(err.kind, ERROR_USAGE);
		CHECK_CONTAINS(err.message, cases[i].expected);
	}
}

TEST(the_same_twice)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0};
	scoped(error_free) struct error err = {0};
	/* Names of variables: case counts. */
	const char *given[] = {"lib=one", "LIB=two", "lib=three"};

	CHECK(!parse(given, 3, true, &sources, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_TEXT(err.message,
		"the secondary source \"lib\" is given twice: \"one\" and \"three\"");
	CHECK_INT(sources.count, 0);
}

/* Project: secondarySources has at most 12 items. */
TEST(twelve_and_no_more)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0};
	scoped(error_free) struct error err = {0};
	const char *given[] = {"a=x", "b=x", "c=x", "d=x", "e=x", "f=x", "g=x", "h=x", "i=x", "j=x",
		"k=x", "l=x", "m=x"};

	CHECK(!parse(given, 13, true, &sources, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_TEXT(err.message, "a build has at most 12 secondary sources, and \"m\" is one more");
	error_free(&err);
	CHECK_OK(parse(given, 12, true, &sources, &err));
	CHECK_INT(sources.count, 12);
}

TEST(a_build_gets_copies)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0}, copies = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *root = NULL;

	CHECK_OK(folder_make_temporary(NULL, "secondary-test-", &root, &err));
	scoped(text_free) char *lib = path_join(root, "lib");
	scoped(text_free) char *file = path_join(lib, "x");
	scoped(text_free) char *copy = path_join(root, "work/secondary/lib/x");
	scoped(text_free) char *work = path_join(root, "work");
	scoped(text_free) char *option = memory_format("lib=%s", lib);

	CHECK_OK(folder_make(lib, 0755, &err));
	CHECK_OK(folder_make(work, 0755, &err));
	CHECK_OK(file_write(file, str_of("x"), 0644, false, &err));
	REQUIRE(parse((const char *const[]){option}, 1, false, &sources, &err));
	CHECK_OK(secondary_sources_copy(&sources, work, false, &copies, &err));
	REQUIRE(copies.count == 1);
	CHECK(file_exists(copy));
	CHECK(text_starts_with(copies.items[0].inside, work));
	CHECK_OK(folder_remove(lib, &err));
	scoped(secondary_sources_free) struct secondary_sources none = {0};

	CHECK(!secondary_sources_copy(&sources, work, false, &none, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	error_free(&err);
	CHECK_OK(folder_remove(root, &err));
}

TEST_MAIN()
