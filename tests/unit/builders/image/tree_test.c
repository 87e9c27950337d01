#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/tree.h"

#include <sys/stat.h>
#include <unistd.h>

TEST(paths_go_through_the_links_of_the_tree)
{
	scoped(tree_free) struct tree tree = {0};
	struct error err = {0};

	REQUIRE_OK(tree_add_link(&tree, "/lib", "usr/lib", LAYER_BASE, "usrmerge", &err));
	REQUIRE_OK(tree_add_content(&tree, "/lib/x/a", str_of("a"), LAYER_CONFIGURATION, "test",
		&err));
	CHECK(tree_find(&tree, "usr/lib/x/a") != NULL);
	CHECK(tree_find(&tree, "lib/x/a") == NULL);
	REQUIRE_OK(tree_add_link(&tree, "/abs", "/usr/lib/x", LAYER_BASE, "test", &err));
	REQUIRE_OK(tree_add_content(&tree, "abs/./b//", str_of("b"), LAYER_BASE, "test", &err));
	CHECK(tree_find(&tree, "usr/lib/x/b") != NULL);
}

TEST(paths_that_leave_the_root_loop_or_mean_nothing_are_refused)
{
	scoped(tree_free) struct tree tree = {0};
	struct error err = {0};

	REQUIRE_OK(tree_add_link(&tree, "/loop", "loop", LAYER_BASE, "test", &err));
	CHECK_FAILS(tree_add_content(&tree, "/loop/a", str_of(""), LAYER_BASE, "t", &err),
		ERROR_INVALID);
	CHECK_FAILS(tree_add_content(&tree, "/a/../../b", str_of(""), LAYER_BASE, "t", &err),
		ERROR_INVALID);
	CHECK_FAILS(tree_add_content(&tree, "/", str_of(""), LAYER_BASE, "t", &err), ERROR_INVALID);
	/* image-spec layer.md: names that start with .wh. are removals */
	CHECK_FAILS(tree_add_content(&tree, "/etc/.wh.passwd", str_of(""), LAYER_BASE, "t", &err),
		ERROR_INVALID);
	CHECK_FAILS(tree_add_content(&tree, "/\xff\xfe", str_of(""), LAYER_BASE, "t", &err),
		ERROR_INVALID);
	CHECK_OK(tree_add_content(&tree, "/gr\xc3\xbc\xc3\x9f", str_of(""), LAYER_BASE, "t", &err));
}

TEST(the_last_of_the_same_kind_wins_and_a_folder_is_no_file)
{
	scoped(tree_free) struct tree tree = {0};
	struct error err = {0};

	REQUIRE_OK(tree_add_content(&tree, "/a", str_of("1"), LAYER_BASE, "first", &err));
	REQUIRE_OK(tree_add_content(&tree, "/a", str_of("22"), LAYER_PROGRAM, "second", &err));
	CHECK_INT(tree.count, 1);
	CHECK_INT(tree_find(&tree, "a")->size_bytes, 2);
	CHECK_FAILS(tree_add_folder(&tree, "/a", 0755, LAYER_BASE, "third", &err), ERROR_CONFLICT);
}

/* Laid one over the other, the later layer would hide what the earlier one has. */
TEST(nothing_lies_below_a_file_or_a_late_link)
{
	for (int kind = 0; kind < 3; kind++) {
		scoped(tree_free) struct tree tree = {0};
		struct error err = {0};

		REQUIRE_OK(tree_add_content(&tree, "/etc/app/passwd", str_of("x"), LAYER_BASE,
			"it was first", &err));
		if (kind == 0)
			REQUIRE_OK(tree_add_folder(&tree, "/etc", 0755, LAYER_PROGRAM, "t", &err));
		else if (kind == 1)
			REQUIRE_OK(tree_add_content(&tree, "/etc", str_of("x"), LAYER_PROGRAM,
				"it came later", &err));
		else
			REQUIRE_OK(
				tree_add_link(&tree, "/etc/app", "/opt", LAYER_PROGRAM, "t", &err));
		if (kind == 0) {
			CHECK_OK(tree_check(&tree, &err));
			continue;
		}
		CHECK(!tree_check(&tree, &err));
		CHECK_INT(err.kind, ERROR_CONFLICT);
		CHECK_TEXT(err.message,
			kind == 1 ? "/etc would be both a file and the folder of /etc/app/passwd"
				  : "/etc/app would be both a link and the folder of "
				    "/etc/app/passwd");
		error_free(&err);
	}
}

TEST(many_entries_are_all_found_again)
{
	scoped(tree_free) struct tree tree = {0};
	struct error err = {0};

	for (int i = 0; i < 5000; i++) {
		scoped(text_free) char *path = memory_format("/d/%d", i);
		REQUIRE_OK(tree_add_content(&tree, path, str_of(path), LAYER_BASE, "t", &err));
	}
	for (int i = 0; i < 5000; i++) {
		scoped(text_free) char *path = memory_format("d/%d", i);
		CHECK(tree_find(&tree, path) != NULL);
	}
	CHECK(tree_find(&tree, "d/5000") == NULL);
}

TEST(setuid_files_pipes_and_missing_files_are_refused)
{
	scoped(tree_free) struct tree tree = {0};
	scoped(text_free) char *root = NULL;
	struct error err = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "tree-", &root, &err));
	scoped(text_free) char *suid = path_join(root, "suid");
	scoped(text_free) char *pipe = path_join(root, "pipe");
	REQUIRE_OK(file_write(suid, str_of("x"), 0755, false, &err));
	REQUIRE(chmod(suid, 04755) == 0 && mkfifo(pipe, 0600) == 0);
	CHECK_FAILS(tree_add_file(&tree, "/s", suid, LAYER_PROGRAM, "t", &err), ERROR_INVALID);
	CHECK_FAILS(tree_add_file(&tree, "/p", pipe, LAYER_PROGRAM, "t", &err), ERROR_INVALID);
	CHECK_FAILS(tree_add_all(&tree, "/d", root, LAYER_PROGRAM, "t", &err), ERROR_INVALID);
	CHECK_FAILS(tree_add_file(&tree, "/g", "/nonexistent", LAYER_PROGRAM, "t", &err),
		ERROR_NOT_FOUND);
	CHECK_OK(folder_remove(root, &err));
}

TEST(modes_are_policy_whatever_the_umask_was)
{
	scoped(tree_free) struct tree tree = {0};
	scoped(text_free) char *root = NULL;
	struct error err = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "tree-", &root, &err));
	scoped(text_free) char *tool = path_join(root, "sub/tool");
	scoped(text_free) char *data = path_join(root, "sub/data");
	scoped(text_free) char *sub = path_join(root, "sub");
	REQUIRE_OK(folder_make(sub, 0700, &err));
	REQUIRE_OK(file_write(tool, str_of("x"), 0700, false, &err));
	REQUIRE_OK(file_write(data, str_of("x"), 0400, false, &err));
	REQUIRE_OK(tree_add_all(&tree, "/opt", root, LAYER_CONFIGURATION, "t", &err));
	CHECK_INT(tree_find(&tree, "opt/sub")->mode, 0755);
	CHECK_INT(tree_find(&tree, "opt/sub/tool")->mode, 0755);
	CHECK_INT(tree_find(&tree, "opt/sub/data")->mode, 0644);
	CHECK_OK(folder_remove(root, &err));
}

TEST_MAIN()
