#include "tests/test.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/image/layout.h"

#include <sys/wait.h>
#include <unistd.h>

static char *new_folder(void)
{
	char *path = NULL;
	struct error err = {0};

	if (!folder_make_temporary(NULL, "layout-", &path, &err))
		error_free(&err);
	return path;
}

static void remove_folder(char **path)
{
	struct error err = {0};

	if (*path && !folder_remove(*path, &err))
		error_free(&err);
	text_free(path);
}

static bool put_image(const struct layout *layout, const char *tag, const char *content)
{
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST};
	struct error err = {0};

	entry.size_bytes = (int64_t)strlen(content);
	bool ok = layout_write_blob(layout, str_of(content), &entry.digest, &err) &&
		  layout_set_tag(layout, tag, &entry, "amd64", &err);
	error_free(&err);
	return ok;
}

TEST(a_tag_names_what_was_put_last_and_others_stay)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	struct layout_entry entry;
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	REQUIRE(put_image(&layout, "1", "one") && put_image(&layout, "2", "two") &&
		put_image(&layout, "1", "three"));
	REQUIRE_OK(layout_find_tag(&layout, "1", &entry, &err));
	CHECK_INT(entry.size_bytes, 5);
	CHECK_TEXT(entry.media_type, MEDIA_TYPE_MANIFEST);
	REQUIRE_OK(layout_find_tag(&layout, "2", &entry, &err));
	struct digest two = digest_of("two", 3);
	CHECK(digest_equal(&entry.digest, &two));
	CHECK(!layout_find_tag(&layout, "3", &entry, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.next, "it has: 2, 1");
	error_free(&err);
}

TEST(a_layout_is_opened_again_and_anything_else_is_refused)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(text_free) char *other = path_join(root, "other/file");
	scoped(text_free) char *other_folder = path_join(root, "other");
	scoped(layout_free) struct layout first = {0}, second = {0}, third = {0};
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &first, &err));
	CHECK_OK(layout_create(path, &second, &err));
	CHECK_OK(layout_open(path, &third, &err));
	CHECK_FAILS(layout_open(other_folder, &first, &err), ERROR_NOT_FOUND);
	REQUIRE_OK(folder_make(other_folder, 0755, &err));
	REQUIRE_OK(file_write(other, str_of("mine"), 0644, false, &err));
	CHECK_FAILS(layout_create(other_folder, &first, &err), ERROR_CONFLICT);
	scoped(text_free) char *version = path_join(path, "oci-layout");
	REQUIRE_OK(file_write(version, str_of("{\"imageLayoutVersion\":\"2.0.0\"}"), 0644, false,
		&err));
	CHECK_FAILS(layout_open(path, &first, &err), ERROR_INVALID);
}

TEST(a_blob_with_other_content_than_its_name_says_is_not_read)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	scoped(buf_free) struct buf content = {0};
	struct digest digest;
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	REQUIRE_OK(layout_write_blob(&layout, str_of("content"), &digest, &err));
	REQUIRE_OK(layout_read_blob(&layout, &digest, 100, &content, &err));
	CHECK_TEXT(buf_text(&content), "content");
	CHECK(layout_has_blob(&layout, &digest, 7));
	CHECK(!layout_has_blob(&layout, &digest, 8));
	CHECK_FAILS(layout_read_blob(&layout, &digest, 6, &content, &err), ERROR_LIMIT);
	scoped(text_free) char *blob = layout_blob_path(&layout, &digest);
	REQUIRE_OK(file_write(blob, str_of("changed"), 0644, false, &err));
	CHECK_FAILS(layout_read_blob(&layout, &digest, 100, &content, &err), ERROR_INVALID);
}

TEST(an_uncommitted_blob_leaves_nothing)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	scoped(strings_free) struct strings names = {0};
	struct layout_blob blob = {0};
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	REQUIRE_OK(layout_blob_create(&layout, &blob, &err));
	layout_blob_discard(&blob);
	scoped(text_free) char *blobs = path_join(path, "blobs/sha256");
	REQUIRE_OK(folder_list(blobs, &names, &err));
	CHECK_INT(names.count, 0);

	/* one that is there already, whole or damaged, does not stand in the way */
	struct digest digest = digest_of("blob", 4);
	scoped(text_free) char *name = layout_blob_path(&layout, &digest);
	for (int i = 0; i < 3; i++) {
		REQUIRE_OK(layout_blob_create(&layout, &blob, &err));
		CHECK(write(blob.fd, "blob", 4) == 4);
		REQUIRE_OK(layout_blob_commit(&layout, &blob, &digest, &err));
		CHECK(layout_has_blob(&layout, &digest, 4));
		if (i == 1)
			CHECK(truncate(name, 2) == 0);
	}
}

/* Eight processes put twenty tags each; all must be there. */
TEST(processes_that_tag_at_once_lose_no_tag)
{
	scoped(remove_folder) char *root = new_folder();
	scoped(text_free) char *path = path_join(root, "out");
	scoped(layout_free) struct layout layout = {0};
	struct error err = {0};

	REQUIRE_OK(layout_create(path, &layout, &err));
	for (int child = 0; child < 8; child++) {
		if (fork() != 0)
			continue;
		bool ok = true;
		for (int i = 0; ok && i < 20; i++) {
			scoped(text_free) char *tag = memory_format("t%d-%d", child, i);
			ok = put_image(&layout, tag, tag);
		}
		_exit(ok ? 0 : 1);
	}
	int status, failed = 0;
	while (wait(&status) > 0)
		failed += status != 0;
	CHECK_INT(failed, 0);
	for (int child = 0; child < 8; child++) {
		for (int i = 0; i < 20; i++) {
			scoped(text_free) char *tag = memory_format("t%d-%d", child, i);
			struct layout_entry entry;
			CHECK_OK(layout_find_tag(&layout, tag, &entry, &err));
			error_free(&err);
		}
	}
}

TEST(folder_and_tag_are_told_apart)
{
	static const char *const good[][3] = {{"out", "out", "latest"}, {"out:1.4", "out", "1.4"},
		{"a/b:c_d", "a/b", "c_d"}, {"/x:y/z", "/x:y/z", "latest"}};
	static const char *const bad[] = {"", ":1", "out:", "out:-x", "out:a b"};
	struct error err = {0};

	for (size_t i = 0; i < countof(good); i++) {
		scoped(text_free) char *path = NULL, *tag = NULL;
		REQUIRE_OK(layout_reference_parse(good[i][0], &path, &tag, &err));
		CHECK_TEXT(path, good[i][1]);
		CHECK_TEXT(tag, good[i][2]);
	}
	for (size_t i = 0; i < countof(bad); i++) {
		scoped(text_free) char *path = NULL, *tag = NULL;
		CHECK_FAILS(layout_reference_parse(bad[i], &path, &tag, &err), ERROR_USAGE);
	}
}

TEST_MAIN()
