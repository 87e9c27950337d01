#include "services/rooms/room.h"

#include "base/memory.h"

#include <stdlib.h>

void room_free(struct room *room)
{
	free(room->name);
	strings_free(&room->equipment);
	*room = (struct room){0};
}

/* Sets *out_why and returns false. */
static bool wrong(char **out_why, const char *why)
{
	*out_why = memory_copy_text(why);
	return false;
}

static bool is_known_key(const char *key)
{
	static const char *const keys[] = {"name", "capacity", "floor", "equipment"};

	for (size_t i = 0; i < countof(keys); i++)
		if (text_equal(key, keys[i]))
			return true;
	return false;
}

static bool is_name(struct str text)
{
	struct str trimmed = str_trim(text);

	if (text.size == 0 || text.size > ROOM_NAME_LIMIT || trimmed.size != text.size)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return true;
}

bool room_is_item(struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return text.size > 0 && text.size <= ROOM_ITEM_LIMIT;
}

static bool read_whole(const struct json *body, const char *key, int64_t least, int64_t most,
	int64_t *out)
{
	const struct json *value = json_get(body, key);
	int64_t number = json_int(value, 0);

	if (json_kind(value) != JSON_INT || number < least || number > most)
		return false;
	*out = number;
	return true;
}

static bool read_equipment(const struct json *list, struct strings *out)
{
	if (!list)
		return true;
	if (!json_is_array(list) || json_count(list) > ROOM_EQUIPMENT_LIMIT)
		return false;
	for (size_t i = 0; i < json_count(list); i++) {
		const char *item = json_text(json_at(list, i), "");

		if (!room_is_item(str_of(item)))
			return false;
		if (!strings_contain(out, item))
			strings_add(out, item);
	}
	if (out->count > 1)
		strings_sort(out);
	return true;
}

bool room_read(const struct json *body, struct room *out_room, char **out_why)
{
	scoped(room_free) struct room room = {0};

	for (json_each(member, body))
		if (!is_known_key(member.key)) {
			*out_why = memory_format("\"%.40s\" is unknown; a room has name, capacity, "
						 "floor, equipment",
				member.key);
			return false;
		}
	if (!is_name(json_str(json_get(body, "name"))))
		return wrong(out_why,
			"name must be a text of 1 to 100 bytes without spaces around");
	if (!read_whole(body, "capacity", 1, ROOM_CAPACITY_LIMIT, &room.capacity))
		return wrong(out_why, "capacity must be a whole number from 1 to 10000");
	if (json_get(body, "floor") && !read_whole(body, "floor", -20, 200, &room.floor))
		return wrong(out_why, "floor must be a whole number from -20 to 200");
	if (!read_equipment(json_get(body, "equipment"), &room.equipment))
		return wrong(out_why,
			"equipment must be a list of at most 32 names such as \"projector\"");
	room.name = str_copy(json_str(json_get(body, "name")));
	*out_room = room;
	room = (struct room){0};
	return true;
}

void room_write(struct json_writer *w, const struct room *room)
{
	json_object_begin(w);
	json_put_text(w, "id", room->id);
	json_put_text(w, "name", room->name);
	json_put_int(w, "capacity", room->capacity);
	json_put_int(w, "floor", room->floor);
	json_put_strings(w, "equipment", &room->equipment);
	json_put_int(w, "version", room->version);
	json_put_time(w, "changed_at", room->changed_ms);
	json_object_end(w);
}
