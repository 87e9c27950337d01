#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/pattern.h"

#include <unistd.h>

TEST(patterns_match_as_the_reference_says)
{
	/* Section 7.2 of the buildspec reference. */
	CHECK(pattern_matches("**/*", "a"));
	CHECK(pattern_matches("**/*", "a/b/c"));
	CHECK(pattern_matches("**/*", ".git/config"));
	CHECK(pattern_matches("d/*", "d/a"));
	CHECK(!pattern_matches("d/*", "d/a/b"));
	CHECK(pattern_matches("d/**/*", "d/a"));
	CHECK(pattern_matches("d/**/*", "d/a/b/c"));
	CHECK(!pattern_matches("d/**/*", "e/a"));
	CHECK(pattern_matches("*.zip", "a.zip"));
	CHECK(!pattern_matches("*.zip", "d/a.zip"));
	CHECK(pattern_matches("a?c", "abc"));
	CHECK(!pattern_matches("a?c", "a/c"));
	CHECK(!pattern_matches("d/**", "d/a"));
	CHECK(pattern_matches("**/.*/**/*", "a/.git/hooks/x"));
	CHECK(pattern_matches("**/.*/**/*", ".git/x"));
	CHECK(!pattern_matches("**/.*/**/*", "a/b"));
	CHECK(pattern_matches("a/**/b/**/c", "a/x/b/y/z/b/c"));
	CHECK(!pattern_matches("a/**/b/**/c", "a/x/y/c"));
	CHECK(!pattern_matches("a", "a/b"));
	CHECK(!pattern_matches("a/b", "a"));
}

TEST(a_nasty_pattern_ends_soon)
{
	scoped(buf_free) struct buf pattern = {0}, path = {0};

	/* With backtracking into every "**" this would take longer than the universe has. */
	for (int i = 0; i < 40; i++) {
		buf_append_text(&pattern, "**/a*a*a*a*/");
		buf_append_text(&path, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab/");
	}
	buf_append_text(&pattern, "x");
	buf_append_text(&path, "y");
	CHECK(!pattern_matches(buf_text(&pattern), buf_text(&path)));
}

struct tree {
	char *root;
};

static void tree_free(struct tree *tree)
{
	struct error err = {0};

	if (tree->root && !folder_remove(tree->root, &err))
		TEST_FAIL("%s", err.message);
	error_free(&err);
	text_free(&tree->root);
}

static void put(const char *root, const char *path)
{
	struct error err = {0};
	scoped(text_free) char *whole = path_join(root, path);
	scoped(text_free) char *parent = path_parent(whole);

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(whole, str_of(path), 0644, false, &err));
	error_free(&err);
}

static struct tree tree_new(void)
{
	static const char *const paths[] = {"a.txt", "d/b.txt", "d/e/c.txt", "build-1/x",
		"build-2/y", ".hidden/z"};
	struct tree tree = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "pattern-test-", &tree.root, &err));
	for (size_t i = 0; i < countof(paths); i++)
		put(tree.root, paths[i]);
	error_free(&err);
	return tree;
}

typedef bool find(const char *root, const char *pattern, struct strings *out, struct error *err);

static void check_found(find *find_paths, const struct tree *tree, const char *pattern,
	const char *expected)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings found = {0};
	scoped(buf_free) struct buf text = {0};

	CHECK_OK(find_paths(tree->root, pattern, &found, &err));
	for (size_t i = 0; i < found.count; i++)
		buf_printf(&text, "%s ", found.items[i]);
	CHECK_TEXT(buf_text(&text), expected);
}

TEST(files_are_found)
{
	scoped(tree_free) struct tree tree = tree_new();

	check_found(pattern_find_files, &tree, "a.txt", "a.txt ");
	check_found(pattern_find_files, &tree, "./d/b.txt", "d/b.txt ");
	check_found(pattern_find_files, &tree, "d/**/*", "d/b.txt d/e/c.txt ");
	check_found(pattern_find_files, &tree, "**/*.txt", "a.txt d/b.txt d/e/c.txt ");
	check_found(pattern_find_files, &tree, "*/z", ".hidden/z ");
	check_found(pattern_find_files, &tree, "d", "");
	check_found(pattern_find_files, &tree, "nowhere/**/*", "");
	check_found(pattern_find_files, &tree, "../*", "");
	check_found(pattern_find_files, &tree, "/etc/*", "");
}

TEST(folders_are_found)
{
	scoped(tree_free) struct tree tree = tree_new();

	check_found(pattern_find_folders, &tree, "build-*", "build-1 build-2 ");
	check_found(pattern_find_folders, &tree, "d/e/", "d/e ");
	check_found(pattern_find_folders, &tree, "a.txt", "");
	check_found(pattern_find_folders, &tree, "..", "");
}

TEST(links_that_lead_out_are_not_followed)
{
	scoped(tree_free) struct tree tree = tree_new();
	scoped(text_free) char *good = path_join(tree.root, "d/good");
	scoped(text_free) char *bad = path_join(tree.root, "d/bad");
	scoped(text_free) char *out = path_join(tree.root, "d/out");

	CHECK(symlink("../a.txt", good) == 0);
	CHECK(symlink("/etc/passwd", bad) == 0);
	CHECK(symlink("/etc", out) == 0);
	check_found(pattern_find_files, &tree, "d/**/*", "d/b.txt d/e/c.txt d/good ");
	check_found(pattern_find_files, &tree, "d/bad", "");
	check_found(pattern_find_files, &tree, "d/out/passwd", "");
	check_found(pattern_find_files, &tree, "d/out/*", "");
	check_found(pattern_find_folders, &tree, "d/out", "");
}

TEST_MAIN()
