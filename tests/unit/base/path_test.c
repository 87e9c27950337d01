#include "tests/test.h"

#include "base/memory.h"
#include "base/path.h"

static void check_normal(const char *path, const char *expected)
{
	scoped(text_free) char *normal = path_normalise(path);

	CHECK_TEXT(normal, expected);
}

TEST(normalising_removes_what_leads_nowhere)
{
	check_normal("a/./b//c/", "a/b/c");
	check_normal("a/b/../c", "a/c");
	check_normal("a/..", ".");
	check_normal("../a/../../b", "../../b");
	check_normal("/..//../a", "/a");
	check_normal("/", "/");
	check_normal("", ".");
	check_normal("a/b/../../../c", "../c");
	check_normal("..", "..");
}

TEST(joining_keeps_absolute_names)
{
	scoped(text_free) char *both = path_join("a", "b/c");
	scoped(text_free) char *slash = path_join("/", "etc");
	scoped(text_free) char *absolute = path_join("a", "/etc");

	CHECK_TEXT(both, "a/b/c");
	CHECK_TEXT(slash, "/etc");
	CHECK_TEXT(absolute, "/etc");
}

TEST(parents_and_bases)
{
	scoped(text_free) char *deep = path_parent("a/b/c");
	scoped(text_free) char *bare = path_parent("c");
	scoped(text_free) char *root = path_parent("/c");

	CHECK_TEXT(deep, "a/b");
	CHECK_TEXT(bare, ".");
	CHECK_TEXT(root, "/");
	CHECK_TEXT(path_base("a/b/c"), "c");
	CHECK_TEXT(path_base("c"), "c");
}

TEST(only_paths_that_stay_below_are_inside)
{
	CHECK(path_is_inside("a/b"));
	CHECK(path_is_inside("a/../b"));
	CHECK(path_is_inside("..a"));
	CHECK(!path_is_inside("/a"));
	CHECK(!path_is_inside(".."));
	CHECK(!path_is_inside("../a"));
	CHECK(!path_is_inside("a/../../b"));
	CHECK(!path_is_inside(""));
}

TEST(below_means_whole_names)
{
	CHECK(path_is_below("services/rooms/main.c", "services/rooms"));
	CHECK(path_is_below("services/rooms", "services/rooms"));
	CHECK(!path_is_below("services/rooms2", "services/rooms"));
	CHECK(!path_is_below("services", "services/rooms"));
	CHECK(path_is_below("/x", "/"));
	CHECK(path_is_below("x/y", "."));
	CHECK(!path_is_below("../y", "."));
}

TEST_MAIN()
