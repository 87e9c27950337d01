#include "services/bookings/store.h"

#include "base/memory.h"
#include "services/kit/trace.h"

#include <stdlib.h>

static const char *const migrations[] = {
	"CREATE TABLE booking (id TEXT PRIMARY KEY, room TEXT NOT NULL, starts_ms INTEGER NOT NULL,"
	" ends_ms INTEGER NOT NULL, title TEXT NOT NULL, booked_by TEXT NOT NULL,"
	" made_ms INTEGER NOT NULL, cancelled_ms INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE INDEX booking_by_room ON booking (room, starts_ms, ends_ms) WHERE cancelled_ms = 0;"
	"CREATE INDEX booking_by_start ON booking (starts_ms, id) WHERE cancelled_ms = 0;"
	"CREATE TABLE request (key TEXT PRIMARY KEY, booking TEXT NOT NULL,"
	" made_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX request_by_age ON request (made_ms);",
};

#define COLUMNS "id, room, starts_ms, ends_ms, title, booked_by, made_ms, cancelled_ms"

bool bookings_open(const char *url, struct db **out_db, struct error *err)
{
	static const struct db_options options = {.durable = true};
	scoped(db_close) struct db *db = NULL;

	if (!db_open(url, &options, &db, err) ||
		!db_migrate(db, migrations, countof(migrations), err))
		return error_while(err, "opening the bookings");
	*out_db = db;
	db = NULL;
	return true;
}

static void read_row(struct db_rows *rows, struct booking *booking)
{
	struct str id = db_str(rows, 0);

	booking_free(booking);
	*booking = (struct booking){.room = str_copy(db_str(rows, 1)),
		.starts_ms = db_int(rows, 2),
		.ends_ms = db_int(rows, 3),
		.title = str_copy(db_str(rows, 4)),
		.booked_by = str_copy(db_str(rows, 5)),
		.made_ms = db_int(rows, 6),
		.cancelled_ms = db_int(rows, 7)};
	if (id.size < sizeof(booking->id))
		memcpy(booking->id, id.data, id.size);
}

bool bookings_get(struct db *db, const char *id, struct booking *out_booking, bool *out_found,
	struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};

	if (!db_query(db, "SELECT " COLUMNS " FROM booking WHERE id = $1",
		    db_values(db_of_text(id)), &rows, err) ||
		!db_next(&rows, out_found, err))
		return false;
	if (*out_found)
		read_row(&rows, out_booking);
	return true;
}

bool bookings_is_free(struct db *db, const char *room, int64_t starts_ms, int64_t ends_ms,
	bool *out_free, struct error *err)
{
	int64_t last_end = 0;
	bool found;

	if (!db_get_int(db,
		    "SELECT ends_ms FROM booking WHERE room = $1 AND starts_ms < $2"
		    " AND cancelled_ms = 0 ORDER BY starts_ms DESC LIMIT 1",
		    db_values(db_of_text(room), db_of_int(ends_ms)), &last_end, &found, err))
		return false;
	*out_free = !found || last_end <= starts_ms;
	return true;
}

static bool is_same_request(const struct booking *a, const struct booking *b)
{
	return text_equal(a->room, b->room) && a->starts_ms == b->starts_ms &&
	       a->ends_ms == b->ends_ms && text_equal(a->title, b->title) &&
	       text_equal(a->booked_by, b->booked_by);
}

/* Was the key used before? Then *out_result says how, and a replay has its booking. */
static bool look_up_key(struct db *db, struct booking *booking, const char *key, bool *out_used,
	enum book_result *out_result, struct error *err)
{
	scoped(booking_free) struct booking earlier = {0};
	scoped(text_free) char *id = NULL;
	bool exists;

	*out_used = false;
	if (!key)
		return true;
	if (!db_get_text(db, "SELECT booking FROM request WHERE key = $1",
		    db_values(db_of_text(key)), &id, out_used, err))
		return false;
	if (!*out_used)
		return true;
	if (!bookings_get(db, id, &earlier, &exists, err))
		return false;
	*out_result =
		exists && is_same_request(&earlier, booking) ? BOOK_REPLAYED : BOOK_OTHER_REQUEST;
	if (*out_result == BOOK_REPLAYED) {
		booking_free(booking);
		*booking = earlier;
		earlier = (struct booking){0};
	}
	return true;
}

bool bookings_look(struct db *db, struct booking *booking, const char *key,
	enum book_result *out_result, struct error *err)
{
	bool used, is_free;

	if (!look_up_key(db, booking, key, &used, out_result, err))
		return false;
	if (used)
		return true;
	if (!bookings_is_free(db, booking->room, booking->starts_ms, booking->ends_ms, &is_free,
		    err))
		return false;
	*out_result = is_free ? BOOK_MADE : BOOK_TAKEN;
	return true;
}

static bool insert(struct db *db, struct booking *booking, const char *key, int64_t now_ms,
	struct error *err)
{
	random_hex(booking->id, BOOKING_ID_SIZE - 1);
	booking->made_ms = now_ms;
	booking->cancelled_ms = 0;
	if (!db_exec(db, "INSERT INTO booking (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
		    db_values(db_of_text(booking->id), db_of_text(booking->room),
			    db_of_int(booking->starts_ms), db_of_int(booking->ends_ms),
			    db_of_text(booking->title), db_of_text(booking->booked_by),
			    db_of_int(booking->made_ms)),
		    NULL, err))
		return false;
	return !key ||
	       db_exec(db, "INSERT INTO request (key, booking, made_ms) VALUES ($1, $2, $3)",
		       db_values(db_of_text(key), db_of_text(booking->id), db_of_int(now_ms)), NULL,
		       err);
}

bool bookings_book(struct db *db, struct booking *booking, const char *key, int64_t now_ms,
	enum book_result *out_result, struct error *err)
{
	scoped(db_rollback) struct db *open = db;

	if (!db_begin(db, err) || !bookings_look(db, booking, key, out_result, err))
		return false;
	if (*out_result != BOOK_MADE)
		return true;
	(void)open; /* rolled back when this scope ends without the commit */
	return insert(db, booking, key, now_ms, err) && db_commit(db, err);
}

bool bookings_cancel(struct db *db, const char *id, int64_t now_ms, bool *out_found,
	struct error *err)
{
	int64_t changed = 0;

	if (!db_exec(db,
		    "UPDATE booking SET cancelled_ms = CASE cancelled_ms WHEN 0 THEN $2 ELSE"
		    " cancelled_ms END WHERE id = $1",
		    db_values(db_of_text(id), db_of_int(now_ms)), &changed, err))
		return false;
	*out_found = changed > 0;
	return true;
}

void booking_list_free(struct booking_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		booking_free(&list->bookings[i]);
	free(list->bookings);
	*list = (struct booking_list){0};
}

bool bookings_search(struct db *db, const struct booking_search *search,
	struct booking_list *out_list, struct error *err)
{
	/* Two texts rather than one with OR, so that each can use its index. */
	static const char of_room[] =
		"SELECT " COLUMNS
		" FROM booking WHERE room = $6 AND starts_ms < $2 AND ends_ms > $1"
		" AND (starts_ms, id) > ($3, $4) AND cancelled_ms = 0 ORDER BY starts_ms, id LIMIT "
		"$5";
	static const char of_all[] =
		"SELECT " COLUMNS " FROM booking WHERE starts_ms < $2 AND ends_ms > $1"
		" AND (starts_ms, id) > ($3, $4) AND cancelled_ms = 0 ORDER BY starts_ms, id LIMIT "
		"$5";
	scoped(booking_list_free) struct booking_list list = {0};
	scoped(db_rows_free) struct db_rows rows = {0};
	int64_t after_ms = search->after_id ? search->after_starts_ms : INT64_MIN;
	bool more = true;

	if (!db_query(db, search->room ? of_room : of_all,
		    db_values(db_of_int(search->from_ms), db_of_int(search->to_ms),
			    db_of_int(after_ms),
			    db_of_text(search->after_id ? search->after_id : ""),
			    db_of_int((int64_t)search->limit + 1), db_of_text(search->room)),
		    &rows, err))
		return false;
	list.bookings = memory_new_array(search->limit, sizeof(*list.bookings));
	while (db_next(&rows, &more, err)) {
		list.more = more && list.count == search->limit;
		if (!more || list.more) {
			*out_list = list;
			list = (struct booking_list){0};
			return true;
		}
		read_row(&rows, &list.bookings[list.count++]);
	}
	return false;
}

bool bookings_forget_keys(struct db *db, int64_t before_ms, struct error *err)
{
	return db_exec(db, "DELETE FROM request WHERE made_ms < $1",
		db_values(db_of_int(before_ms)), NULL, err);
}
