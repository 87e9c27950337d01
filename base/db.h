/*
 * db.h - one header for SQLite and, later, PostgreSQL.
 *
 *     struct db *db;                        db_open("sqlite:/path/ledger.db", …)
 *     struct db_rows rows = {0};            db_query(db, "SELECT a FROM t WHERE b = $1", …)
 *     while (db_next(&rows, …)) …           db_text(&rows, 0)
 *
 * Parameters are written $1, $2, … (both databases understand that) and given as values; nothing is
 * ever pasted into SQL. Statements are prepared once per db and kept.
 *
 * Transactions  db_begin() takes the write lock at once (BEGIN IMMEDIATE); scoped(db_rollback)
 *               undoes what was not committed.
 * Waiting       a locked database is waited for busy_timeout_ms, then ERROR_UNAVAILABLE with advice.
 * Corruption    ERROR_INVALID, naming the file and what to do. Nothing is ever deleted.
 * Threads       a db belongs to one thread; two threads open two.
 */
#ifndef BASE_DB_H
#define BASE_DB_H

#include "base/buf.h"
#include "base/error.h"

struct db;

enum db_kind {
	DB_NULL,
	DB_INT,
	DB_REAL,
	DB_TEXT,
};

struct db_value {
	enum db_kind kind;
	int64_t integer;
	double real;
	struct str text; /* borrowed for the call */
};

#define db_of_null() ((struct db_value){.kind = DB_NULL})
#define db_of_int(value) ((struct db_value){.kind = DB_INT, .integer = (value)})
#define db_of_real(value) ((struct db_value){.kind = DB_REAL, .real = (value)})
struct db_value db_of_text(const char *text); /* NULL gives a NULL */
struct db_value db_of_str(struct str text);

struct db_options {
	int64_t busy_timeout_ms; /* 0: 5 s */
	bool read_only;
	bool durable; /* fsync at each commit (synchronous=FULL); else at checkpoints (NORMAL) */
};

/* url: "sqlite:PATH" (made when missing, WAL mode) or "postgresql://…" (ERROR_USAGE for now). */
bool db_open(const char *url, const struct db_options *options, struct db **out_db,
	struct error *err) must_use;
void db_close(struct db **db);

/* Values in order of $1, $2, …: db_values(db_of_int(1), db_of_text("x")) */
#define db_values(...)                                                                             \
	((const struct db_value[]){__VA_ARGS__}),                                                  \
		(sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))
#define db_no_values NULL, 0

/* A statement without rows; *out_changed (may be NULL) gets the number of rows changed. */
bool db_exec(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	int64_t *out_changed, struct error *err) must_use;
/* Several statements separated by ';', without values: schemas. */
bool db_exec_script(struct db *db, const char *sql, struct error *err) must_use;

struct db_rows {
	struct db *db;
	void *statement;
	bool started;
};
bool db_query(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	struct db_rows *out_rows, struct error *err) must_use;
/* Steps to the next row: *out_more false at the end. */
bool db_next(struct db_rows *rows, bool *out_more, struct error *err) must_use;
void db_rows_free(struct db_rows *rows);
/* Columns of the current row, from 0; texts are valid until the next step. */
bool db_is_null(struct db_rows *rows, int column);
int64_t db_int(struct db_rows *rows, int column);
double db_real(struct db_rows *rows, int column);
const char *db_text(struct db_rows *rows, int column); /* NULL for NULL */
struct str db_str(struct db_rows *rows, int column);

/* One row's first column in one call; *out_found false when there is no row. */
bool db_get_int(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	int64_t *out_value, bool *out_found, struct error *err) must_use;
bool db_get_text(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
	char **out_text, bool *out_found, struct error *err) must_use;

int64_t db_last_id(struct db *db); /* of the last INSERT here */

bool db_begin(struct db *db, struct error *err) must_use;
bool db_commit(struct db *db, struct error *err) must_use;
/* For scoped(db_rollback) struct db *open = db: undoes an open transaction, else nothing. */
void db_rollback(struct db **db);

/* Applies the migrations that are missing, in order, each in one transaction; remembers the number
 * in a table of its own. A database from a newer program is ERROR_USAGE. */
bool db_migrate(struct db *db, const char *const *migrations, size_t count, struct error *err)
	must_use;

/* Is any of count migrations missing? For those who only read. A database from a newer program is
 * ERROR_USAGE. */
bool db_is_behind(struct db *db, size_t count, bool *out_behind, struct error *err) must_use;

#endif
