#include "base/db.h"

static bool read_number(struct db *db, int64_t *out_number, struct error *err)
{
	bool exists, found;
	int64_t one;

	*out_number = 0;
	return db_get_int(db,
		       "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'",
		       db_no_values, &one, &exists, err) &&
	       (!exists || db_get_int(db, "SELECT number FROM migration", db_no_values, out_number,
				   &found, err));
}

static bool check_number(int64_t number, size_t count, struct error *err)
{
	if ((uint64_t)number <= count)
		return true;
	error_raise(err, ERROR_USAGE,
		"the database has %lld migrations, this program knows only %zu", (long long)number,
		count);
	return error_next(err, "use the newer dogshore that wrote it, or another database");
}

/* Asks again inside the transaction: another process may have been quicker. */
static bool apply(struct db *db, const char *const *migrations, size_t count, int64_t *number,
	struct error *err)
{
	scoped(db_rollback) struct db *open = db;

	if (!db_begin(db, err) || !read_number(db, number, err))
		return false;
	if ((uint64_t)*number >= count)
		return true;
	if (!db_exec_script(db, migrations[*number], err))
		return error_while(err, "applying migration %lld", (long long)*number + 1);
	if (*number == 0 &&
		(!db_exec_script(db, "CREATE TABLE migration (number INTEGER NOT NULL)", err) ||
			!db_exec(db, "INSERT INTO migration VALUES (0)", db_no_values, NULL, err)))
		return false;
	++*number;
	(void)open; /* rolled back when this scope ends without the commit */
	return db_exec(db, "UPDATE migration SET number = $1", db_values(db_of_int(*number)), NULL,
		       err) &&
	       db_commit(db, err);
}

bool db_migrate(struct db *db, const char *const *migrations, size_t count, struct error *err)
{
	int64_t number;

	if (!read_number(db, &number, err))
		return false;
	while ((uint64_t)number < count)
		if (!apply(db, migrations, count, &number, err))
			return false;
	return check_number(number, count, err);
}

bool db_is_behind(struct db *db, size_t count, bool *out_behind, struct error *err)
{
	int64_t number;

	if (!read_number(db, &number, err) || !check_number(number, count, err))
		return false;
	*out_behind = (uint64_t)number < count;
	return true;
}
