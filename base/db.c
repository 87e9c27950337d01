#include "base/db.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>

/* A prepared statement, kept for the next time the same text is asked for. */
struct statement {
	char *sql; /* owned */
	sqlite3_stmt *handle;
	bool busy; /* a db_rows reads from it */
	struct statement *following;
};

enum { BUCKETS = 64 };

struct db {
	sqlite3 *handle;
	char *path; /* owned; for errors */
	struct statement *statements[BUCKETS];
};

/* What SQLite's codes mean for us, and what helps; advice is followed by the database's path. */
static const struct failure {
	int code;
	enum error_kind kind;
	const char *next;
} failures[] = {
	{SQLITE_BUSY, ERROR_UNAVAILABLE,
		"another process is writing to it: try again, or see who it is: fuser -v"},
	{SQLITE_LOCKED, ERROR_UNAVAILABLE,
		"another process is writing to it: try again, or see who it is: fuser -v"},
	{SQLITE_CORRUPT, ERROR_INVALID,
		"it was left as it is; restore a copy, move it away to begin anew, or try to save "
		"its content with the command .recover of sqlite3:"},
	{SQLITE_NOTADB, ERROR_INVALID,
		"it was left as it is; restore a copy, or move it away to begin anew:"},
	{SQLITE_FULL, ERROR_SYSTEM, "free some space on its file system and try again: df"},
	{SQLITE_IOERR, ERROR_SYSTEM, "look at the file, its file system and the disk: df"},
	{SQLITE_CANTOPEN, ERROR_DENIED, "it must be a file that you may read and write: ls -l"},
	{SQLITE_READONLY, ERROR_DENIED, "it must be a file that you may read and write: ls -l"},
	{SQLITE_PERM, ERROR_DENIED, "it must be a file that you may read and write: ls -l"},
	{SQLITE_AUTH, ERROR_DENIED, "it must be a file that you may read and write: ls -l"},
	{SQLITE_CONSTRAINT, ERROR_CONFLICT, NULL},
	{SQLITE_TOOBIG, ERROR_LIMIT, NULL},
};

static const struct failure *failure_of(int code)
{
	static const struct failure other = {0, ERROR_SYSTEM, NULL};

	for (size_t i = 0; i < countof(failures); i++)
		if (failures[i].code == (code & 0xff))
			return &failures[i];
	return &other;
}

static bool raise(struct db *db, int code, struct error *err)
{
	bool of_system = (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR;
	int reason = of_system && db->handle ? sqlite3_system_errno(db->handle) : 0;
	/* The file that readers and writers share is asked for by another call, which says it so. */
	const struct failure *failure = failure_of(reason == ENOSPC ? SQLITE_FULL : code);

	error_raise(err, failure->kind, "database \"%s\": %s%s%s", db->path,
		db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code), reason ? ": " : "",
		reason ? strerror(reason) : "");
	if (err)
		err->system_errno = failure->code == SQLITE_FULL ? ENOSPC : reason;
	return failure->next ? error_next(err, "%s \"%s\"", failure->next, db->path) : false;
}

struct db_value db_of_text(const char *text)
{
	return text ? db_of_str(str_of(text)) : db_of_null();
}

struct db_value db_of_str(struct str text)
{
	return (struct db_value){.kind = DB_TEXT, .text = text};
}

static unsigned bucket_of(const char *sql)
{
	unsigned hash = 2166136261u;

	for (; *sql; sql++)
		hash = (hash ^ (unsigned char)*sql) * 16777619u;
	return hash % BUCKETS;
}

/* A statement that nobody reads from: the same text may be needed twice at once. */
static bool prepare(struct db *db, const char *sql, struct statement **out, struct error *err)
{
	struct statement **bucket = &db->statements[bucket_of(sql)], *statement = *bucket;
	sqlite3_stmt *handle;

	while (statement && (statement->busy || strcmp(statement->sql, sql) != 0))
		statement = statement->following;
	if (!statement) {
		int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
			&handle, NULL);

		if (code != SQLITE_OK)
			return raise(db, code, err);
		statement = memory_new(sizeof(*statement));
		statement->sql = memory_copy_text(sql);
		statement->handle = handle;
		statement->following = *bucket;
		*bucket = statement;
	}
	*out = statement;
	return true;
}

static int bind_value(sqlite3_stmt *handle, int index, const struct db_value *value)
{
	switch (value->kind) {
	case DB_INT:
		return sqlite3_bind_int64(handle, index, value->integer);
	case DB_REAL:
		return sqlite3_bind_double(handle, index, value->real);
	case DB_TEXT:
		return sqlite3_bind_text64(handle, index, value->text.data ? value->text.data : "",
			value->text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
	case DB_NULL:
		break;
	}
	return sqlite3_bind_null(handle, index);
}

/* SQLite takes "$2" for a name and numbers names as they come; we mean the number. */
static bool bind_values(struct db *db, sqlite3_stmt *handle, const struct db_value *values,
	size_t count, struct error *err)
{
	int wanted = sqlite3_bind_parameter_count(handle);

	for (int i = 1; i <= wanted; i++) {
		const char *name = sqlite3_bind_parameter_name(handle, i);
		int64_t number = 0;

		if (!name || !str_to_int(str_of(name + 1), &number) || number < 1 ||
			(size_t)number > count)
			return error_raise(err, ERROR_USAGE, "no value was given for %s in: %s",
				name ? name : "?", sqlite3_sql(handle));
		int code = bind_value(handle, i, &values[number - 1]);

		if (code != SQLITE_OK)
			return raise(db, code, err);
	}
	return true;
}

static void release(struct statement *statement)
{
	sqlite3_reset(statement->handle);
	sqlite3_clear_bindings(statement->handle);
	statement->busy = false;
}

bool db_exec(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	int64_t *out_changed, struct error *err)
{
	struct statement *statement;
	int code;

	if (!prepare(db, sql, &statement, err))
		return false;
	if (!bind_values(db, statement->handle, values, value_count, err))
		return false;
	do {
		code = sqlite3_step(statement->handle);
	} while (code == SQLITE_ROW);
	if (code == SQLITE_DONE && out_changed)
		*out_changed = sqlite3_changes64(db->handle);
	bool done = code == SQLITE_DONE || raise(db, code, err);

	release(statement);
	return done;
}

bool db_exec_script(struct db *db, const char *sql, struct error *err)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK || raise(db, code, err);
}

bool db_query(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	struct db_rows *out_rows, struct error *err)
{
	struct statement *statement;

	if (!prepare(db, sql, &statement, err) ||
		!bind_values(db, statement->handle, values, value_count, err))
		return false;
	statement->busy = true;
	db_rows_free(out_rows);
	*out_rows = (struct db_rows){.db = db, .statement = statement};
	return true;
}

static sqlite3_stmt *row(struct db_rows *rows)
{
	return ((struct statement *)rows->statement)->handle;
}

bool db_next(struct db_rows *rows, bool *out_more, struct error *err)
{
	if (!rows->statement) {
		*out_more = false;
		return true;
	}
	int code = sqlite3_step(row(rows));

	rows->started = true;
	if (code == SQLITE_ROW) {
		*out_more = true;
		return true;
	}
	bool done = code == SQLITE_DONE || raise(rows->db, code, err);

	if (done)
		*out_more = false;
	/* At once, not when rows is freed: an open read keeps the WAL from being emptied. */
	db_rows_free(rows);
	return done;
}

void db_rows_free(struct db_rows *rows)
{
	if (rows->statement)
		release(rows->statement);
	*rows = (struct db_rows){0};
}

bool db_is_null(struct db_rows *rows, int column)
{
	return sqlite3_column_type(row(rows), column) == SQLITE_NULL;
}

int64_t db_int(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(row(rows), column);
}

double db_real(struct db_rows *rows, int column)
{
	return sqlite3_column_double(row(rows), column);
}

const char *db_text(struct db_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(row(rows), column);
}

struct str db_str(struct db_rows *rows, int column)
{
	const char *text = db_text(rows, column);

	return (struct str){text, text ? (size_t)sqlite3_column_bytes(row(rows), column) : 0};
}

bool db_get_int(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	int64_t *out_value, bool *out_found, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	bool found;

	if (!db_query(db, sql, values, value_count, &rows, err) || !db_next(&rows, &found, err))
		return false;
	if (found)
		*out_value = db_int(&rows, 0);
	*out_found = found;
	return true;
}

bool db_get_text(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	char **out_text, bool *out_found, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	bool found;

	if (!db_query(db, sql, values, value_count, &rows, err) || !db_next(&rows, &found, err))
		return false;
	if (found)
		*out_text = db_is_null(&rows, 0) ? NULL : str_copy(db_str(&rows, 0));
	*out_found = found;
	return true;
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

bool db_begin(struct db *db, struct error *err)
{
	assert(sqlite3_get_autocommit(db->handle)); /* transactions do not nest */
	return db_exec(db, "BEGIN IMMEDIATE", db_no_values, NULL, err);
}

bool db_commit(struct db *db, struct error *err)
{
	return db_exec(db, "COMMIT", db_no_values, NULL, err);
}

void db_rollback(struct db **db)
{
	struct error err = {0};

	if (!*db || sqlite3_get_autocommit((*db)->handle))
		return;
	if (!db_exec(*db, "ROLLBACK", db_no_values, NULL, &err))
		error_ignore(&err, "SQLite undoes it itself when the database is closed");
}

/* SQLite would make it readable for everybody; a ledger holds what builds printed. */
static bool make_private(const char *path, struct error *err)
{
	scoped(descriptor_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		return true;
	error_raise_errno(err, "open database \"%s\"", path);
	return err->kind == ERROR_NOT_FOUND
		       ? error_next(err, "make its folder first")
		       : error_next(err, "it must be a file that you may read and write");
}

/* Two processes that open a new database at once: SQLite answers "busy" here without waiting. */
static bool use_wal(struct db *db, int64_t timeout_ms, struct error *err)
{
	int64_t deadline = clock_elapsed(&system_clock) + timeout_ms;

	for (;;) {
		struct error failure = {0};

		if (db_exec_script(db, "PRAGMA journal_mode=WAL", &failure))
			return true;
		if (failure.kind != ERROR_UNAVAILABLE || clock_elapsed(&system_clock) >= deadline) {
			error_move(err, &failure);
			return false;
		}
		error_ignore(&failure, "the other one will be done in a moment");
		clock_sleep(&system_clock, 2);
	}
}

static bool set_up(struct db *db, const struct db_options *options, struct error *err)
{
	int64_t timeout_ms = options->busy_timeout_ms ? options->busy_timeout_ms : 5000;
	int flags = options->read_only ? SQLITE_OPEN_READONLY
				       : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int code = sqlite3_open_v2(db->path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (code != SQLITE_OK)
		return raise(db, code, err);
	sqlite3_extended_result_codes(db->handle, 1);
	/* The last one to close would write everything to the disk and wait for it, 20 ms that a command
	 * has no use for: what is in the log is as safe as it was at its commit. */
	if (!options->durable)
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(db->handle, (int)timeout_ms);
	if (!options->read_only && !use_wal(db, timeout_ms, err))
		return false;
	return db_exec_script(db,
		options->durable ? "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON"
				 : "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON",
		err);
}

bool db_open(const char *url, const struct db_options *options, struct db **out_db,
	struct error *err)
{
	static const struct db_options defaults;
	scoped(db_close) struct db *db = NULL;

	if (text_starts_with(url, "postgresql://") || text_starts_with(url, "postgres://")) {
		error_raise(err, ERROR_USAGE, "this dogshore was built without PostgreSQL");
		return error_next(err, "use sqlite:PATH");
	}
	if (!text_starts_with(url, "sqlite:") || !url[7])
		return error_raise(err, ERROR_USAGE, "\"%s\" is no database", url) ||
		       error_next(err, "name it with sqlite:PATH");
	if (!options)
		options = &defaults;
	db = memory_new(sizeof(*db));
	db->path = memory_copy_text(url + 7);
	if (options->read_only && !file_exists(db->path))
		return error_raise(err, ERROR_NOT_FOUND, "there is no database \"%s\"", db->path);
	if (!options->read_only && !text_equal(db->path, ":memory:") &&
		!make_private(db->path, err))
		return false;
	if (!set_up(db, options, err))
		return false;
	*out_db = db;
	db = NULL;
	return true;
}

void db_close(struct db **db)
{
	if (!*db)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct statement *statement = (*db)->statements[i];

		while (statement) {
			struct statement *following = statement->following;

			sqlite3_finalize(statement->handle);
			free(statement->sql);
			free(statement);
			statement = following;
		}
	}
	/* Asking for nothing would load the library for it. */
	if ((*db)->handle)
		sqlite3_close_v2((*db)->handle);
	free((*db)->path);
	free(*db);
	*db = NULL;
}
