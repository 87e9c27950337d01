#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A private folder that is gone after the test. */
struct place {
	char *path;
};

static void place_free(struct place *place)
{
	struct error err = {0};

	if (place->path && !folder_remove(place->path, &err))
		TEST_FAIL("%s", err.message);
	error_free(&err);
	text_free(&place->path);
}

static struct place place_new(void)
{
	struct place place = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "file-test-", &place.path, &err));
	error_free(&err);
	return place;
}

static int name_count(const char *path)
{
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};

	CHECK_OK(folder_list(path, &names, &err));
	error_free(&err);
	return (int)names.count;
}

TEST(what_is_written_is_read)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "a");
	scoped(buf_free) struct buf content = {0};
	struct stat status;

	CHECK_OK(file_write(path, str_of("first"), 0640, true, &err));
	CHECK_OK(file_write(path, str_of("second"), 0600, false, &err));
	CHECK_OK(file_read(path, 6, &content, &err));
	CHECK_TEXT(buf_text(&content), "second");
	CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
	CHECK_INT(name_count(place.path), 1);
}

TEST(reading_stops_at_the_limit)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "a");
	scoped(buf_free) struct buf content = {0};

	CHECK_OK(file_write(path, str_of("1234567"), 0600, false, &err));
	CHECK_FAILS(file_read(path, 6, &content, &err), ERROR_LIMIT);
	CHECK_FAILS(file_read("/dev/zero", 100000, &content, &err), ERROR_LIMIT);
	CHECK_INT(content.size, 0);
	/* Files in /proc claim to be empty. */
	CHECK_OK(file_read("/proc/self/status", 100000, &content, &err));
	CHECK(content.size > 0);
}

TEST(a_missing_file_is_named)
{
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf content = {0};

	CHECK(!file_read("/no/such/file", 10, &content, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.message, "open \"/no/such/file\": No such file or directory");
}

TEST(a_new_file_that_is_discarded_leaves_nothing)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "a");
	struct new_file file = {0};

	REQUIRE_OK(new_file_create(&file, path, 0644, &err));
	CHECK(!file_exists(path));
	new_file_discard(&file);
	CHECK_INT(name_count(place.path), 0);
	new_file_discard(&file);
}

/* So that nothing is left of it by a kill -9. */
TEST(a_new_file_has_no_name_until_it_is_whole)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "a");
	scoped(buf_free) struct buf content = {0};
	int unnamed = file_open_unnamed(place.path, 0600);

	if (unnamed < 0)
		SKIP("this file system has no files without a name");
	descriptor_close(&unnamed);
	for (int i = 0; i < 2; i++) {
		struct new_file file = {0};

		REQUIRE_OK(new_file_create(&file, path, 0644, &err));
		REQUIRE_OK(descriptor_write_all(file.fd, i ? "second" : "first",
			i ? strlen("second") : strlen("first"), path, &err));
		CHECK_INT(name_count(place.path), i);
		CHECK_OK(new_file_commit(&file, i, &err));
		CHECK_INT(name_count(place.path), 1);
	}
	CHECK_OK(file_read(path, 100, &content, &err));
	CHECK_TEXT(buf_text(&content), "second");
}

TEST(a_file_in_memory_is_read_from_its_beginning)
{
	scoped(error_free) struct error err = {0};
	scoped(descriptor_close) int fd = -1;
	char text[10] = "";

	REQUIRE_OK(file_in_memory("a text", str_of("hello"), &fd, &err));
	CHECK_INT(read(fd, text, sizeof(text)), 5);
	CHECK_TEXT(text, "hello");
}

TEST(a_new_file_that_cannot_be_put_in_place_leaves_nothing)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "a");
	scoped(text_free) char *inner = path_join(path, "b");

	CHECK_OK(folder_make(inner, 0755, &err));
	CHECK(!file_write(path, str_of("x"), 0644, false, &err));
	CHECK_CONTAINS(err.message, path);
	CHECK_INT(name_count(place.path), 1);
	CHECK(file_is_folder(inner));
}

TEST(a_full_disk_is_said_and_leaves_nothing)
{
	scoped(error_free) struct error err = {0};

	/* /dev/full refuses every write as a full disk does. */
	FILE *full = fopen("/dev/full", "w");

	REQUIRE(full != NULL);
	CHECK(!descriptor_write_all(fileno(full), "x", 1, "\"state\"", &err));
	CHECK_CONTAINS(err.message, "write \"state\": No space left on device");
	CHECK_CONTAINS(err.next, "free some space");
	fclose(full);
}

TEST(a_folder_is_removed_without_following_links)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *kept = path_join(place.path, "kept");
	scoped(text_free) char *precious = path_join(kept, "precious");
	scoped(text_free) char *doomed = path_join(place.path, "doomed");
	scoped(text_free) char *deep = path_join(doomed, "x/y/z");
	scoped(text_free) char *link_to_kept = path_join(doomed, "link");

	CHECK_OK(folder_make(kept, 0755, &err));
	CHECK_OK(file_write(precious, str_of("!"), 0600, false, &err));
	CHECK_OK(folder_make(deep, 0755, &err));
	CHECK(symlink(kept, link_to_kept) == 0);
	CHECK(chmod(deep, 0) == 0);
	CHECK_OK(folder_remove(doomed, &err));
	CHECK(!file_exists(doomed));
	CHECK(file_exists(precious));
	CHECK_OK(folder_remove(doomed, &err));
}

TEST(removing_a_link_to_a_folder_removes_the_link)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *kept = path_join(place.path, "kept");
	scoped(text_free) char *link = path_join(place.path, "link");

	CHECK_OK(folder_make(kept, 0755, &err));
	CHECK(symlink(kept, link) == 0);
	CHECK_OK(folder_remove(link, &err));
	CHECK(!file_exists(link));
	CHECK(file_is_folder(kept));
}

TEST(folders_are_made_with_their_parents)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *deep = path_join(place.path, "a/b/c");
	scoped(text_free) char *file = path_join(place.path, "f");
	scoped(text_free) char *below_file = path_join(file, "x");

	CHECK_OK(folder_make(deep, 0700, &err));
	CHECK_OK(folder_make(deep, 0700, &err));
	CHECK(file_is_folder(deep));
	CHECK_OK(file_write(file, str_of(""), 0600, false, &err));
	CHECK(!folder_make(below_file, 0700, &err));
	CHECK_CONTAINS(err.message, "Not a directory");
}

TEST(copies_keep_bytes_and_permissions)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *from = path_join(place.path, "from");
	scoped(text_free) char *to = path_join(place.path, "to");
	scoped(buf_free) struct buf big = {0}, back = {0};
	struct stat status;

	for (int i = 0; i < 50000; i++)
		buf_printf(&big, "%d ", i);
	CHECK_OK(file_write(from, buf_str(&big), 0751, false, &err));
	CHECK_OK(file_copy(from, to, &err));
	CHECK_OK(file_read(to, 1 << 20, &back, &err));
	CHECK(str_equal(buf_str(&big), buf_str(&back)));
	CHECK(stat(to, &status) == 0 && (status.st_mode & 07777) == 0751);
	buf_clear(&back);
	/* Claims to be empty, so the kernel's own copy finds nothing to do. */
	CHECK_OK(file_copy("/proc/self/status", to, &err));
	CHECK_OK(file_read(to, 1 << 20, &back, &err));
	CHECK_CONTAINS(buf_text(&back), "Pid:");
}

static bool note(void *context, const char *relative, const struct stat *status, struct error *err)
{
	(void)err;
	buf_printf(context, "%s%s ", relative, S_ISDIR(status->st_mode) ? "/" : "");
	return true;
}

static bool refuse(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	(void)context, (void)status;
	return error_raise(err, ERROR_FAILED, "stop at %s", relative);
}

TEST(a_walk_goes_parents_first_in_order_of_bytes)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *ab = path_join(place.path, "a/b");
	scoped(text_free) char *link = path_join(place.path, "a/link");
	scoped(text_free) char *upper = path_join(place.path, "Z");
	scoped(buf_free) struct buf seen = {0};

	CHECK_OK(folder_make(ab, 0755, &err));
	CHECK(symlink("..", link) == 0);
	CHECK_OK(file_write(upper, str_of(""), 0600, false, &err));
	CHECK_OK(folder_walk(place.path, note, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "Z a/ a/b/ a/link ");
	CHECK_FAILS(folder_walk(place.path, refuse, NULL, &err), ERROR_FAILED);
}

TEST(a_tree_is_copied_with_its_links_and_modes)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *from = path_join(place.path, "from");
	scoped(text_free) char *deep = path_join(from, "a/b");
	scoped(text_free) char *file = path_join(deep, "run");
	scoped(text_free) char *link = path_join(from, "link");
	scoped(text_free) char *to = path_join(place.path, "to");
	scoped(text_free) char *copied = path_join(to, "a/b/run");
	scoped(text_free) char *copied_link = path_join(to, "link");
	scoped(buf_free) struct buf seen = {0};
	struct stat status;
	char target[64] = "";

	CHECK_OK(folder_make(deep, 0755, &err));
	CHECK_OK(file_write(file, str_of("#!"), 0750, false, &err));
	CHECK(symlink("/no/such", link) == 0);
	CHECK(chmod(deep, 0500) == 0);
	CHECK_OK(folder_copy(from, to, &err));
	CHECK_OK(folder_walk(to, note, &seen, &err));
	CHECK_TEXT(buf_text(&seen), "a/ a/b/ a/b/run link ");
	CHECK(stat(copied, &status) == 0 && (status.st_mode & 07777) == 0750);
	CHECK(readlink(copied_link, target, sizeof(target) - 1) > 0);
	CHECK_TEXT(target, "/no/such");
	CHECK_FAILS(folder_copy("/no/such", to, &err), ERROR_NOT_FOUND);
}

TEST(a_lock_has_one_holder)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(text_free) char *path = path_join(place.path, "lock");
	scoped(descriptor_close) int first = -1;
	scoped(descriptor_close) int second = -1;

	REQUIRE_OK(file_lock(path, false, &first, &err));
	CHECK_FAILS(file_lock(path, false, &second, &err), ERROR_CONFLICT);
	descriptor_close(&first);
	CHECK_OK(file_lock(path, false, &second, &err));
}

/* Deeper than descriptors go round, and than any path can name. */
TEST(a_tree_is_removed_however_deep_it_is)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *top = NULL;

	REQUIRE_OK(folder_make_temporary(NULL, "file-test-", &top, &err));
	int at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 1500; i++) {
		REQUIRE(at >= 0 && mkdirat(at, "a", i % 500 == 499 ? 0 : 0755) == 0);
		int below = openat(at, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (below < 0 && fchmodat(at, "a", 0755, 0) == 0)
			below = openat(at, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = below;
	}
	close(at);
	CHECK_OK(folder_remove(top, &err));
	CHECK(!file_exists(top));
}

TEST_MAIN()
