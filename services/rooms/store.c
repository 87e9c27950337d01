#include "services/rooms/store.h"

#include "base/memory.h"
#include "services/kit/trace.h"

#include <stdlib.h>

static const char *const migrations[] = {
	"CREATE TABLE room (id TEXT PRIMARY KEY, name TEXT NOT NULL, capacity INTEGER NOT NULL,"
	" floor INTEGER NOT NULL, equipment TEXT NOT NULL, version INTEGER NOT NULL,"
	" changed_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX room_by_name ON room (name);",
};

#define COLUMNS "id, name, capacity, floor, equipment, version, changed_ms"

bool rooms_open(const char *url, struct db **out_db, struct error *err)
{
	static const struct db_options options = {.durable = true};
	scoped(db_close) struct db *db = NULL;

	if (!db_open(url, &options, &db, err) ||
		!db_migrate(db, migrations, countof(migrations), err))
		return error_while(err, "opening the catalogue of rooms");
	*out_db = db;
	db = NULL;
	return true;
}

/* In the database equipment is one text, each item between spaces: " projector video ". */
static char *join(const struct strings *equipment)
{
	struct buf text = {0};

	buf_append_char(&text, ' ');
	for (size_t i = 0; i < equipment->count; i++)
		buf_printf(&text, "%s ", equipment->items[i]);
	return buf_take(&text);
}

static void read_row(struct db_rows *rows, struct room *room)
{
	struct str equipment = str_trim(db_str(rows, 4));
	struct str id = db_str(rows, 0);

	*room = (struct room){.name = str_copy(db_str(rows, 1)),
		.capacity = db_int(rows, 2),
		.floor = db_int(rows, 3),
		.version = db_int(rows, 5),
		.changed_ms = db_int(rows, 6)};
	if (id.size < sizeof(room->id))
		memcpy(room->id, id.data, id.size);
	while (equipment.size > 0)
		strings_add_owned(&room->equipment, str_copy(str_cut(&equipment, ' ')));
}

bool rooms_add(struct db *db, struct room *room, int64_t now_ms, struct error *err)
{
	scoped(text_free) char *equipment = join(&room->equipment);

	random_hex(room->id, ROOM_ID_SIZE - 1);
	room->version = 1;
	room->changed_ms = now_ms;
	return db_exec(db, "INSERT INTO room (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		db_values(db_of_text(room->id), db_of_text(room->name), db_of_int(room->capacity),
			db_of_int(room->floor), db_of_text(equipment), db_of_int(room->version),
			db_of_int(room->changed_ms)),
		NULL, err);
}

bool rooms_get(struct db *db, const char *id, struct room *out_room, bool *out_found,
	struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};

	if (!db_query(db, "SELECT " COLUMNS " FROM room WHERE id = $1", db_values(db_of_text(id)),
		    &rows, err) ||
		!db_next(&rows, out_found, err))
		return false;
	if (*out_found)
		read_row(&rows, out_room);
	return true;
}

/* Which of the two it was that nothing changed. */
static bool tell_missing(struct db *db, const char *id, enum room_change *out_change,
	struct error *err)
{
	int64_t version;
	bool found;

	if (!db_get_int(db, "SELECT version FROM room WHERE id = $1", db_values(db_of_text(id)),
		    &version, &found, err))
		return false;
	*out_change = found ? ROOM_OTHER_VERSION : ROOM_MISSING;
	return true;
}

bool rooms_replace(struct db *db, struct room *room, int64_t version, int64_t now_ms,
	enum room_change *out_change, struct error *err)
{
	scoped(db_rollback) struct db *open = db;
	scoped(text_free) char *equipment = join(&room->equipment);
	int64_t changed = 0;
	bool found;

	if (!db_begin(db, err) ||
		!db_exec(db,
			"UPDATE room SET name = $2, capacity = $3, floor = $4, equipment = $5,"
			" version = version + 1, changed_ms = $6"
			" WHERE id = $1 AND ($7 = 0 OR version = $7)",
			db_values(db_of_text(room->id), db_of_text(room->name),
				db_of_int(room->capacity), db_of_int(room->floor),
				db_of_text(equipment), db_of_int(now_ms), db_of_int(version)),
			&changed, err))
		return false;
	if (!changed)
		return tell_missing(db, room->id, out_change, err);
	if (!db_get_int(db, "SELECT version FROM room WHERE id = $1",
		    db_values(db_of_text(room->id)), &room->version, &found, err))
		return false;
	(void)open; /* rolled back when this scope ends without the commit */
	room->changed_ms = now_ms;
	*out_change = ROOM_CHANGED;
	return db_commit(db, err);
}

bool rooms_remove(struct db *db, const char *id, int64_t version, enum room_change *out_change,
	struct error *err)
{
	int64_t changed = 0;

	if (!db_exec(db, "DELETE FROM room WHERE id = $1 AND ($2 = 0 OR version = $2)",
		    db_values(db_of_text(id), db_of_int(version)), &changed, err))
		return false;
	if (!changed)
		return tell_missing(db, id, out_change, err);
	*out_change = ROOM_CHANGED;
	return true;
}

void room_list_free(struct room_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		room_free(&list->rooms[i]);
	free(list->rooms);
	*list = (struct room_list){0};
}

static bool has_all(const struct room *room, const struct strings *wanted)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (!strings_contain(&room->equipment, wanted->items[i]))
			return false;
	return true;
}

/* '%' and '_' mean something to LIKE. */
static char *like_pattern(const char *text)
{
	struct buf pattern = {0};

	buf_append_char(&pattern, '%');
	for (; text && *text; text++) {
		if (strchr("%_\\", *text))
			buf_append_char(&pattern, '\\');
		buf_append_char(&pattern, *text);
	}
	buf_append_char(&pattern, '%');
	return buf_take(&pattern);
}

bool rooms_search(struct db *db, const struct room_search *search, struct room_list *out_list,
	struct error *err)
{
	scoped(room_list_free) struct room_list list = {0};
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(text_free) char *pattern = like_pattern(search->text);
	bool more = true;

	if (!db_query(db,
		    "SELECT " COLUMNS " FROM room WHERE name > $1 AND capacity >= $2"
		    " AND ($3 = 0 OR floor = $4) AND name LIKE $5 ESCAPE '\\' ORDER BY name",
		    db_values(db_of_text(search->after ? search->after : ""),
			    db_of_int(search->min_capacity), db_of_int(search->has_floor),
			    db_of_int(search->floor), db_of_text(pattern)),
		    &rows, err))
		return false;
	list.rooms = memory_new_array(search->limit, sizeof(*list.rooms));
	while (!list.more) {
		struct room room = {0};

		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			break;
		read_row(&rows, &room);
		list.more = list.count == search->limit && has_all(&room, &search->equipment);
		if (list.count < search->limit && has_all(&room, &search->equipment))
			list.rooms[list.count++] = room;
		else
			room_free(&room);
	}
	*out_list = list;
	list = (struct room_list){0};
	return true;
}
