/*
 * store.h - the catalogue of rooms in a database (base/db.h).
 *
 * Several tasks may share the file: what must hold for all rooms (names are unique) the database
 * itself guarantees, and a change is refused when it was made for another version of the room.
 */
#ifndef SERVICES_ROOMS_STORE_H
#define SERVICES_ROOMS_STORE_H

#include "base/db.h"
#include "services/rooms/room.h"

/* Opens the database, and makes its tables when they are missing. */
bool rooms_open(const char *url, struct db **out_db, struct error *err) must_use;

/* room: all but id, version and changed_ms, which are set here. ERROR_CONFLICT: the name is taken. */
bool rooms_add(struct db *db, struct room *room, int64_t now_ms, struct error *err) must_use;

bool rooms_get(struct db *db, const char *id, struct room *out_room, bool *out_found,
	struct error *err) must_use;

enum room_change {
	ROOM_CHANGED,
	ROOM_MISSING,
	ROOM_OTHER_VERSION,
};

/* Replaces what a client may set. version: the one it was made for, 0 for whichever is there.
 * ERROR_CONFLICT: the name is taken. */
bool rooms_replace(struct db *db, struct room *room, int64_t version, int64_t now_ms,
	enum room_change *out_change, struct error *err) must_use;

bool rooms_remove(struct db *db, const char *id, int64_t version, enum room_change *out_change,
	struct error *err) must_use;

struct room_search {
	int64_t min_capacity; /* 0: any */
	bool has_floor;
	int64_t floor;
	struct strings equipment; /* the room has all of these; owned by whoever made the search */
	const char *text;         /* in the name, upper or lower case; NULL: any */
	const char *after; /* the name of the last of the page before; NULL: from the start */
	size_t limit;
};

struct room_list {
	struct room *rooms; /* owned */
	size_t count;
	bool more; /* there are rooms behind the last */
};
void room_list_free(struct room_list *list);

/* The rooms that fit, by name. */
bool rooms_search(struct db *db, const struct room_search *search, struct room_list *out_list,
	struct error *err) must_use;

#endif
