#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct place {
	char *folder, *path; /* owned */
};

static struct place place_new(void)
{
	struct place place = {0};
	struct error err = {0};

	if (!folder_make_temporary(NULL, "store", &place.folder, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	place.path = path_join(place.folder, "store.db");
	return place;
}

static void place_free(struct place *place)
{
	struct error err = {0};

	if (!folder_remove(place->folder, &err))
		error_print(stderr, &err, true);
	error_free(&err);
	free(place->folder);
	free(place->path);
}

static struct json *number(int64_t n)
{
	return json_object_of("n", json_int_new(n), NULL);
}

static bool collect(void *context, const char *id, const struct json *value)
{
	struct buf *out = context;

	buf_printf(out, "%s=%d ", id, (int)json_get_int(value, "n", -1));
	return true;
}

static char *listing(struct store *store, const char *kind)
{
	struct buf out = {0};

	store_each(store, kind, collect, &out);
	return buf_take(&out);
}

#define CHECK_LISTING(store, kind, expected)                                                       \
	do {                                                                                       \
		scoped(text_free) char *list_ = listing(store, kind);                              \
		CHECK_TEXT(list_, expected);                                                       \
	} while (0)

TEST(what_was_put_is_there_after_a_restart_in_order_of_first_put)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	struct error err = {0};

	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_OK(store_put(store, "task", "b", number(1), &err));
	CHECK_OK(store_put(store, "task", "a", number(2), &err));
	CHECK_OK(store_put(store, "task", "c", number(3), &err));
	CHECK_OK(store_put(store, "service", "a", number(9), &err));
	CHECK_OK(store_put(store, "task", "b", number(4), &err));
	CHECK_OK(store_remove(store, "task", "a", &err));
	CHECK_OK(store_remove(store, "task", "never", &err));
	for (int round = 0; round < 2; round++) {
		CHECK_LISTING(store, "task", "b=4 c=3 ");
		CHECK_INT(json_get_int(store_get(store, "service", "a"), "n", 0), 9);
		CHECK(store_get(store, "task", "a") == NULL);
		store_close(&store);
		REQUIRE_OK(store_open(place.path, &store, &err));
	}
}

TEST(numbers_are_never_given_twice)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	struct error err = {0};

	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_INT(store_next_number(store, "x"), 1);
	CHECK_INT(store_next_number(store, "x"), 2);
	CHECK_INT(store_next_number(store, "y"), 1);
	store_close(&store);
	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_INT(store_next_number(store, "x"), 3);
	CHECK_INT(store_next_number(store, "y"), 2);
}

static void change_within(struct store *store, bool commit)
{
	scoped(store_rollback) struct store *open = store;
	struct error err = {0};

	REQUIRE_OK(store_begin(store, &err));
	CHECK_OK(store_remove(store, "k", "one", &err));
	CHECK_OK(store_put(store, "k", "two", number(22), &err));
	CHECK_OK(store_put(store, "k", "two", number(23), &err));
	CHECK_OK(store_put(store, "k", "four", number(4), &err));
	if (commit)
		CHECK_OK(store_commit(store, &err));
	(void)open;
}

TEST(a_transaction_happens_whole_or_not_at_all)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	struct error err = {0};

	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_OK(store_put(store, "k", "one", number(1), &err));
	CHECK_OK(store_put(store, "k", "two", number(2), &err));
	CHECK_OK(store_put(store, "k", "three", number(3), &err));
	change_within(store, false);
	CHECK_LISTING(store, "k", "one=1 two=2 three=3 ");
	change_within(store, true);
	CHECK_LISTING(store, "k", "two=23 three=3 four=4 ");
	store_close(&store);
	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_LISTING(store, "k", "two=23 three=3 four=4 ");
}

TEST(many_documents_are_all_found)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	struct error err = {0};

	REQUIRE_OK(store_open(place.path, &store, &err));
	REQUIRE_OK(store_begin(store, &err));
	for (int i = 0; i < 1000; i++) {
		scoped(text_free) char *id = memory_format("id-%d", i);

		CHECK_OK(store_put(store, i % 2 ? "odd" : "even", id, number(i), &err));
	}
	REQUIRE_OK(store_commit(store, &err));
	CHECK_INT(json_get_int(store_get(store, "odd", "id-999"), "n", 0), 999);
	CHECK_INT(json_get_int(store_get(store, "even", "id-0"), "n", -1), 0);
	CHECK(store_get(store, "even", "id-999") == NULL);
}

TEST(members_of_our_own_are_left_out_of_answers)
{
	scoped(json_free) struct json *value = NULL, *shown = NULL;
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	REQUIRE_OK(json_parse(str_of("{\"a\":[{\"_x\":1,\"b\":2}],\"_y\":{},\"c\":\"_z\"}"), "test",
		NULL, &value, &err));
	shown = store_public(value);
	json_write(shown, &text);
	CHECK_TEXT(buf_text(&text), "{\"a\":[{\"b\":2}],\"c\":\"_z\"}");
}

/* A disk that is full, as the store sees it: when it writes and when it asks for space. */
static bool disk_is_full;

/* Stands in for the C library's. */
int statvfs(const char *path, struct statvfs *out)
{
	(void)path;
	*out = (struct statvfs){.f_frsize = 4096, .f_bavail = disk_is_full ? 10 : 1 << 20};
	return 0;
}

static ssize_t full_write(int fd, const void *bytes, size_t size, off_t at)
{
	if (!disk_is_full)
		return pwrite(fd, bytes, size, at);
	errno = ENOSPC;
	return -1;
}

/* SQLite's own hook for such tests: sqlite3_vfs.xSetSystemCall. */
static void write_through_ours(bool ours)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	vfs->xSetSystemCall(vfs, "pwrite", ours ? (sqlite3_syscall_ptr)full_write : NULL);
	vfs->xSetSystemCall(vfs, "pwrite64", ours ? (sqlite3_syscall_ptr)full_write : NULL);
}

TEST(a_store_knows_that_its_disk_is_full_until_it_is_not)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	scoped(error_free) struct error err = {0};
	const char *why = "unset";

	write_through_ours(true);
	disk_is_full = false;
	REQUIRE_OK(store_open(place.path, &store, &err));
	CHECK_OK(store_put(store, "k", "one", number(1), &err));
	disk_is_full = true;
	/* nothing failed yet: how much space there is does not matter */
	CHECK(!store_is_full(store, &why));
	CHECK_TEXT(why, "unset");
	CHECK(!store_put(store, "k", "two", number(2), &err));
	CHECK(store_is_full(store, &why));
	CHECK_CONTAINS(why, place.path);
	CHECK_LISTING(store, "k", "one=1 ");
	disk_is_full = false;
	CHECK(!store_is_full(store, &why));
	/* and a disk that fills up again is no news before something fails again */
	disk_is_full = true;
	CHECK(!store_is_full(store, &why));
	disk_is_full = false;
	CHECK_OK(store_put(store, "k", "two", number(2), &err));
	CHECK_LISTING(store, "k", "one=1 two=2 ");
	store_close(&store);
	write_through_ours(false);
}

TEST(a_store_of_garbage_is_an_error_that_names_it)
{
	scoped(place_free) struct place place = place_new();
	scoped(store_close) struct store *store = NULL;
	struct error err = {0};

	REQUIRE_OK(file_write(place.path,
		str_literal("this is no database, but long enough to be "
			    "looked at as one by whoever opens it...."),
		0600, false, &err));
	CHECK_FAILS(store_open(place.path, &store, &err), ERROR_INVALID);
	CHECK(store == NULL);
}

TEST_MAIN()
