#include "services/rooms/api.h"

#include "base/memory.h"
#include "services/kit/request.h"
#include "services/rooms/store.h"

#include <stdlib.h>

enum { PAGE = 50, PAGE_LIMIT = 200 };

static struct rooms *state_of(struct request *request)
{
	return request->context;
}

static int64_t now_of(struct request *request)
{
	return clock_now(state_of(request)->clock);
}

static void answer_room(struct request *request, int status, const struct room *room)
{
	struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	char tag[32];

	snprintf(tag, sizeof(tag), "\"%lld\"", (long long)room->version);
	request_header(request, "ETag", tag);
	room_write(&w, room);
	request_answer(request, status, &body);
}

static void refuse_missing(struct request *request)
{
	request_refuse(request, 404, "room_not_found", "there is no room %s",
		request_parameter(request, 0));
}

/* A taken name is the client's business, anything else ours. */
static void refuse_or_fail(struct request *request, const struct room *room, struct error *err)
{
	if (err->kind != ERROR_CONFLICT) {
		request_fail(request, err);
		return;
	}
	error_free(err);
	request_refuse(request, 409, "name_taken", "there is another room named \"%s\"",
		room->name);
}

/* The room in the body; answers itself and returns false when there is none. */
static bool read_room(struct request *request, struct room *out_room)
{
	scoped(json_free) struct json *body = NULL;
	scoped(text_free) char *why = NULL;

	if (!request_json(request, &body))
		return false;
	if (room_read(body, out_room, &why))
		return true;
	request_refuse(request, 422, "invalid_room", "%s", why);
	return false;
}

/* If-Match: "3" - the version the client has seen; 0 without. Answers itself when it makes no sense. */
static bool read_version(struct request *request, int64_t *out_version)
{
	const char *tag = http_exchange_header(request->exchange, "If-Match");
	struct str text = str_of(tag);

	*out_version = 0;
	if (!tag || text_equal(tag, "*"))
		return true;
	if (text.size > 2 && str_starts_with(text, "\"") && str_ends_with(text, "\"") &&
		str_to_int((struct str){text.data + 1, text.size - 2}, out_version) &&
		*out_version > 0)
		return true;
	request_refuse(request, 400, "invalid_parameter",
		"If-Match must be an ETag that this service gave");
	return false;
}

static void create_room(struct request *request)
{
	scoped(room_free) struct room room = {0};
	struct error err = {0};
	char location[sizeof("/rooms/") + ROOM_ID_SIZE];

	if (!read_room(request, &room))
		return;
	if (!rooms_add(state_of(request)->db, &room, now_of(request), &err)) {
		refuse_or_fail(request, &room, &err);
		return;
	}
	snprintf(location, sizeof(location), "/rooms/%s", room.id);
	request_header(request, "Location", location);
	answer_room(request, 201, &room);
}

static void get_room(struct request *request)
{
	scoped(room_free) struct room room = {0};
	struct error err = {0};
	bool found;

	if (!rooms_get(state_of(request)->db, request_parameter(request, 0), &room, &found, &err))
		request_fail(request, &err);
	else if (!found)
		refuse_missing(request);
	else
		answer_room(request, 200, &room);
}

static void refuse_other_version(struct request *request)
{
	request_refuse(request, 412, "version_changed",
		"somebody else changed the room; read it again");
}

static void replace_room(struct request *request)
{
	scoped(room_free) struct room room = {0};
	struct error err = {0};
	enum room_change change;
	int64_t version;
	struct str id = str_of(request_parameter(request, 0));

	if (!read_version(request, &version) || !read_room(request, &room))
		return;
	if (id.size >= sizeof(room.id)) {
		refuse_missing(request);
		return;
	}
	memcpy(room.id, id.data, id.size + 1);
	if (!rooms_replace(state_of(request)->db, &room, version, now_of(request), &change, &err))
		refuse_or_fail(request, &room, &err);
	else if (change == ROOM_MISSING)
		refuse_missing(request);
	else if (change == ROOM_OTHER_VERSION)
		refuse_other_version(request);
	else
		answer_room(request, 200, &room);
}

static void remove_room(struct request *request)
{
	struct error err = {0};
	enum room_change change;
	int64_t version;

	if (!read_version(request, &version))
		return;
	if (!rooms_remove(state_of(request)->db, request_parameter(request, 0), version, &change,
		    &err))
		request_fail(request, &err);
	else if (change == ROOM_MISSING)
		refuse_missing(request);
	else if (change == ROOM_OTHER_VERSION)
		refuse_other_version(request);
	else
		request_answer_nothing(request);
}

static bool read_items(const char *list, struct strings *out)
{
	struct str rest = str_of(list);

	while (rest.size > 0) {
		struct str item = str_cut(&rest, ',');

		if (!room_is_item(item) || out->count == ROOM_EQUIPMENT_LIMIT)
			return false;
		strings_add_owned(out, str_copy(item));
	}
	return true;
}

/* Answers itself and returns false when the query makes no sense. The page before ended with the
 * room named by "after"; names are unique, so they are a place to go on from. */
static bool read_search(struct request *request, struct room_search *search)
{
	int64_t limit;

	search->text = request_query(request, "q");
	search->after = request_query(request, "after");
	search->has_floor = request_query(request, "floor") != NULL;
	if (!request_query_int(request, "limit", 1, PAGE_LIMIT, PAGE, &limit) ||
		!request_query_int(request, "min_capacity", 0, ROOM_CAPACITY_LIMIT, 0,
			&search->min_capacity) ||
		!request_query_int(request, "floor", -20, 200, 0, &search->floor))
		return false;
	search->limit = (size_t)limit;
	if (!read_items(request_query(request, "equipment"), &search->equipment)) {
		request_refuse(request, 400, "invalid_parameter",
			"equipment must be names such as projector,video");
		return false;
	}
	return true;
}

static void answer_list(struct request *request, const struct room_list *list)
{
	struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	json_object_begin(&w);
	json_key(&w, "rooms");
	json_array_begin(&w);
	for (size_t i = 0; i < list->count; i++)
		room_write(&w, &list->rooms[i]);
	json_array_end(&w);
	json_key(&w, "next");
	if (list->more)
		json_write_text(&w, list->rooms[list->count - 1].name);
	else
		json_write_null(&w);
	json_object_end(&w);
	request_answer(request, 200, &body);
}

static void search_rooms(struct request *request)
{
	scoped(strings_free) struct strings equipment = {0};
	scoped(room_list_free) struct room_list list = {0};
	struct room_search search = {0};
	struct error err = {0};
	bool valid = read_search(request, &search);

	equipment = search.equipment; /* freed with the scope */
	if (!valid)
		return;
	if (rooms_search(state_of(request)->db, &search, &list, &err))
		answer_list(request, &list);
	else
		request_fail(request, &err);
}

static const struct route routes[] = {
	{"GET", "/rooms", search_rooms},
	{"POST", "/rooms", create_room},
	{"GET", "/rooms/{id}", get_room},
	{"PUT", "/rooms/{id}", replace_room},
	{"DELETE", "/rooms/{id}", remove_room},
};

static const struct config_row config[] = {
	{"DATA_DIR", CONFIG_TEXT, offsetof(struct rooms, data_dir), NULL,
		"folder of the database; tasks may share it"},
};

static bool open_rooms(void *context, struct service *service, struct error *err)
{
	struct rooms *rooms = context;
	scoped(text_free) char *url = memory_format("sqlite:%s/rooms.db", rooms->data_dir);

	(void)service;
	if (!rooms->clock)
		rooms->clock = &system_clock;
	return rooms_open(url, &rooms->db, err);
}

static void close_rooms(void *context)
{
	db_close(&((struct rooms *)context)->db);
}

static bool is_ready(void *context, struct error *err)
{
	int64_t one;
	bool found;

	return db_get_int(((struct rooms *)context)->db, "SELECT 1 FROM room LIMIT 1", db_no_values,
		&one, &found, err);
}

struct service_plan rooms_plan(struct rooms *rooms)
{
	return (struct service_plan){.name = "rooms",
		.routes = routes,
		.route_count = countof(routes),
		.config = config,
		.config_count = countof(config),
		.settings = rooms,
		.context = rooms,
		.open = open_rooms,
		.close = close_rooms,
		.ready = is_ready};
}
