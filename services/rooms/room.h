/*
 * room.h - a room: what it is, what a client may say about it, how it is shown.
 */
#ifndef SERVICES_ROOMS_ROOM_H
#define SERVICES_ROOMS_ROOM_H

#include "base/json.h"
#include "base/json_writer.h"

enum {
	ROOM_ID_SIZE = 17, /* 16 hex digits and a NUL */
	ROOM_NAME_LIMIT = 100,
	ROOM_CAPACITY_LIMIT = 10000,
	ROOM_EQUIPMENT_LIMIT = 32,
	ROOM_ITEM_LIMIT = 40,
};

struct room {
	char id[ROOM_ID_SIZE];
	char *name; /* owned; unique */
	int64_t capacity, floor;
	struct strings equipment; /* owned; sorted, each once */
	int64_t version;          /* counts changes, from 1 */
	int64_t changed_ms;
};

void room_free(struct room *room);

/* Reads what a client may set: name, capacity, floor (optional), equipment (optional). False when
 * something is missing, wrong or unknown; then *out_why (owned) names it. */
bool room_read(const struct json *body, struct room *out_room, char **out_why) must_use;

/* "projector": lower case letters, digits, '-' and '_'. */
bool room_is_item(struct str text);

void room_write(struct json_writer *w, const struct room *room);

#endif
