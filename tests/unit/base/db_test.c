#include "tests/test.h"

#include "base/db.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A folder with a database in it, gone after the test. */
struct place {
	char *folder, *path, *url;
};

static void place_free(struct place *place)
{
	struct error err = {0};

	if (place->folder && !folder_remove(place->folder, &err))
		TEST_FAIL("%s", err.message);
	error_free(&err);
	text_free(&place->folder);
	text_free(&place->path);
	text_free(&place->url);
}

static struct place place_new(void)
{
	struct place place = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "db-test-", &place.folder, &err));
	error_free(&err);
	place.path = path_join(place.folder, "a.db");
	place.url = memory_format("sqlite:%s", place.path);
	return place;
}

static int64_t count_of(struct db *db, const char *sql)
{
	struct error err = {0};
	int64_t count = -1;
	bool found;

	CHECK_OK(db_get_int(db, sql, db_no_values, &count, &found, &err));
	error_free(&err);
	return count;
}

TEST(values_come_back_as_they_went_in)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	scoped(db_rows_free) struct db_rows rows = {0};
	bool more = false;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK_OK(db_exec_script(db, "CREATE TABLE t (a INTEGER, b TEXT, c REAL, d TEXT)", &err));
	/* $2 stands before $1, and twice: numbers count, not places. */
	CHECK_OK(db_exec(db, "INSERT INTO t (b, a, c, d) VALUES ($2 || $2, $1, $3, $4)",
		db_values(db_of_int(INT64_MIN), db_of_text("x'\";"), db_of_real(0.5),
			db_of_text(NULL)),
		NULL, &err));
	CHECK_INT(db_last_id(db), 1);
	CHECK_OK(db_query(db, "SELECT a, b, c, d FROM t", db_no_values, &rows, &err));
	CHECK_OK(db_next(&rows, &more, &err));
	REQUIRE(more);
	CHECK(db_int(&rows, 0) == INT64_MIN);
	CHECK_TEXT(db_text(&rows, 1), "x'\";x'\";");
	CHECK(db_real(&rows, 2) == 0.5);
	CHECK(db_is_null(&rows, 3) && db_text(&rows, 3) == NULL);
	CHECK_OK(db_next(&rows, &more, &err));
	CHECK(!more);
	CHECK_OK(db_next(&rows, &more, &err));
	CHECK(!more);
}

TEST(the_same_query_may_be_read_twice_at_once)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	scoped(db_rows_free) struct db_rows outer = {0}, inner = {0};
	const char *sql = "SELECT a FROM t WHERE a >= $1 ORDER BY a";
	bool more = false;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK_OK(db_exec_script(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)", &err));
	CHECK_OK(db_query(db, sql, db_values(db_of_int(1)), &outer, &err));
	CHECK_OK(db_next(&outer, &more, &err));
	CHECK_OK(db_query(db, sql, db_values(db_of_int(2)), &inner, &err));
	CHECK_OK(db_next(&inner, &more, &err));
	CHECK_INT(db_int(&outer, 0), 1);
	CHECK_INT(db_int(&inner, 0), 2);
	CHECK_OK(db_next(&outer, &more, &err));
	CHECK(more && db_int(&outer, 0) == 2);
}

TEST(a_missing_value_is_our_mistake_and_is_named)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK(!db_exec(db, "SELECT $1, $2", db_values(db_of_int(1)), NULL, &err));
	CHECK_CONTAINS(err.message, "$2");
}

TEST(what_is_not_committed_is_undone)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	int64_t changed = 0;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK_OK(db_exec_script(db, "CREATE TABLE t (a UNIQUE)", &err));
	{
		scoped(db_rollback) struct db *open = db;

		CHECK_OK(db_begin(open, &err));
		CHECK_OK(db_exec(open, "INSERT INTO t VALUES (1), (2)", db_no_values, &changed,
			&err));
	}
	CHECK_INT(changed, 2);
	CHECK_INT(count_of(db, "SELECT count(*) FROM t"), 0);
	{
		scoped(db_rollback) struct db *open = db;

		CHECK_OK(db_begin(open, &err));
		CHECK_OK(db_exec(open, "INSERT INTO t VALUES (1)", db_no_values, NULL, &err));
		CHECK_OK(db_commit(open, &err));
	}
	CHECK_INT(count_of(db, "SELECT count(*) FROM t"), 1);
	CHECK_FAILS(db_exec(db, "INSERT INTO t VALUES (1)", db_no_values, NULL, &err),
		ERROR_CONFLICT);
}

static const char *const migrations[] = {
	"CREATE TABLE a (x); INSERT INTO a VALUES (1)",
	"ALTER TABLE a ADD COLUMN y; CREATE TABLE b (z)",
	"INSERT INTO a VALUES (2, 2); INSERT INTO nowhere VALUES (1)",
};

TEST(migrations_are_applied_once_and_whole)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK_OK(db_migrate(db, migrations, 1, &err));
	CHECK_OK(db_migrate(db, migrations, 2, &err));
	CHECK_OK(db_migrate(db, migrations, 2, &err));
	CHECK_INT(count_of(db, "SELECT count(*) FROM a"), 1);
	CHECK_INT(count_of(db, "SELECT count(*) FROM b"), 0);
	/* The third fails in its second statement: its first is undone with it. */
	CHECK(!db_migrate(db, migrations, 3, &err));
	CHECK_CONTAINS(err.message, "nowhere");
	CHECK_CONTAINS(err.contexts[0], "migration 3");
	CHECK_INT(count_of(db, "SELECT count(*) FROM a"), 1);
	CHECK_FAILS(db_migrate(db, migrations, 1, &err), ERROR_USAGE);
}

TEST(a_locked_database_is_said_to_be_locked)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *first = NULL, *second = NULL;
	const struct db_options impatient = {.busy_timeout_ms = 1};

	REQUIRE_OK(db_open(place.url, NULL, &first, &err));
	CHECK_OK(db_exec_script(first, "CREATE TABLE t (a)", &err));
	REQUIRE_OK(db_open(place.url, &impatient, &second, &err));
	CHECK_OK(db_begin(first, &err));
	CHECK(!db_begin(second, &err));
	CHECK_INT(err.kind, ERROR_UNAVAILABLE);
	CHECK_CONTAINS(err.message, place.path);
	CHECK_CONTAINS(err.next, "another process");
	/* Readers are not locked out. */
	CHECK_INT(count_of(second, "SELECT count(*) FROM t"), 0);
	db_rollback(&first);
	CHECK_OK(db_begin(second, &err));
	CHECK_OK(db_commit(second, &err));
}

TEST(a_corrupt_file_is_refused_and_left_as_it_is)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	scoped(buf_free) struct buf after = {0};
	scoped(strings_free) struct strings names = {0};

	CHECK_OK(file_write(place.path, str_of("this is no database, but somebody wants it"), 0600,
		false, &err));
	CHECK(!db_open(place.url, NULL, &db, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, place.path);
	CHECK_CONTAINS(err.next, "left as it is");
	CHECK_OK(file_read(place.path, 1000, &after, &err));
	CHECK_TEXT(buf_text(&after), "this is no database, but somebody wants it");
	CHECK_OK(folder_list(place.folder, &names, &err));
	CHECK_INT(names.count, 1);
}

TEST(pages_that_were_damaged_are_noticed)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	/* When the last durable one closes, all is in the file itself and nothing in the log. */
	const struct db_options durable = {.durable = true};
	bool found;
	int64_t value;

	REQUIRE_OK(db_open(place.url, &durable, &db, &err));
	CHECK_OK(db_exec_script(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", &err));
	db_close(&db);
	FILE *file = fopen(place.path, "r+");

	/* The table is page 2 (pages are 4096 bytes); its header becomes nonsense. */
	REQUIRE(file && fseek(file, 4096, SEEK_SET) == 0 && fwrite("\xff\xff\xff\xff", 4, 1, file));
	fclose(file);
	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK_FAILS(db_get_int(db, "SELECT a FROM t", db_no_values, &value, &found, &err),
		ERROR_INVALID);
}

TEST(only_the_owner_may_read_it)
{
	scoped(error_free) struct error err = {0};
	scoped(place_free) struct place place = place_new();
	scoped(db_close) struct db *db = NULL;
	struct stat status;

	REQUIRE_OK(db_open(place.url, NULL, &db, &err));
	CHECK(stat(place.path, &status) == 0 && (status.st_mode & 0777) == 0600);
}

TEST(urls_are_checked)
{
	scoped(error_free) struct error err = {0};
	scoped(db_close) struct db *db = NULL;
	const struct db_options reader = {.read_only = true};

	CHECK_FAILS(db_open("postgresql://x/y", NULL, &db, &err), ERROR_USAGE);
	CHECK_FAILS(db_open("/a/b.db", NULL, &db, &err), ERROR_USAGE);
	CHECK_FAILS(db_open("sqlite:/no/such/folder/a.db", NULL, &db, &err), ERROR_NOT_FOUND);
	CHECK_FAILS(db_open("sqlite:/no/such.db", &reader, &db, &err), ERROR_NOT_FOUND);
}

/* In a mount namespace of its own, on a file system of 256 KiB. Exit status 0: as it should be. */
static int fill_small_disk(const char *folder)
{
	struct db *db = NULL;
	struct error err = {0};
	scoped(text_free) char *url = memory_format("sqlite:%s/a.db", folder);
	int64_t rows = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("small", folder, "tmpfs", 0, "size=256k") < 0)
		return 77;
	if (!db_open(url, NULL, &db, &err) || !db_exec_script(db, "CREATE TABLE t (a)", &err))
		return 1;
	while (rows < 1000 &&
		db_exec(db, "INSERT INTO t VALUES (zeroblob(4000))", db_no_values, NULL, &err))
		rows++;
	bool said = rows < 1000 && err.next && strstr(err.next, "free some space");

	return said && count_of(db, "SELECT count(*) FROM t") == rows ? 0 : 2;
}

TEST(a_full_disk_is_said_and_loses_nothing)
{
	scoped(place_free) struct place place = place_new();
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fill_small_disk(place.folder));
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		SKIP("mounting a small file system needs root");
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST_MAIN()
