#include "services/bookings/free_rooms.h"

#include "services/bookings/api.h"
#include "services/bookings/book.h"
#include "services/bookings/store.h"

#include "base/memory.h"

#include <stdlib.h>

/* A search that waits for rooms. */
struct looking {
	struct request *request; /* NULL once the client has gone */
	int64_t starts_ms, ends_ms;
};

static void append_encoded(struct buf *out, const char *text)
{
	for (; *text; text++) {
		bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			     (*text >= '0' && *text <= '9') || strchr("-._~,", *text);

		if (plain)
			buf_append_char(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

/* What rooms' own search understands is passed on to it, and judged there. */
static char *search_path(struct request *request)
{
	static const char *const names[] = {"min_capacity", "floor", "equipment", "q", "limit",
		"after"};
	struct buf path = {0};

	buf_append_text(&path, "/rooms");
	for (size_t i = 0; i < countof(names); i++) {
		const char *value = request_query(request, names[i]);

		if (!value)
			continue;
		buf_printf(&path, "%c%s=", strchr(buf_text(&path), '?') ? '&' : '?', names[i]);
		append_encoded(&path, value);
	}
	return buf_take(&path);
}

static bool write_free(struct json_writer *w, struct db *db, const struct json *rooms,
	const struct looking *looking, struct error *err)
{
	json_array_begin(w);
	for (size_t i = 0; i < json_count(rooms); i++) {
		const struct json *room = json_at(rooms, i);
		bool is_free;

		if (!bookings_is_free(db, json_get_text(room, "id", ""), looking->starts_ms,
			    looking->ends_ms, &is_free, err))
			return false;
		if (is_free)
			json_write_value(w, room);
	}
	json_array_end(w);
	return true;
}

static void answer_free(struct request *request, const struct json *page,
	const struct looking *looking)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	struct bookings *bookings = request->context;
	struct error err = {0};

	json_object_begin(&w);
	json_key(&w, "rooms");
	if (!write_free(&w, bookings->db, json_get(page, "rooms"), looking, &err)) {
		request_fail(request, &err);
		return;
	}
	json_put_text(&w, "next", json_get_text(page, "next", NULL));
	json_object_end(&w);
	request_answer(request, 200, &body);
}

/* A search that rooms refuses is the client's: its words are passed on. */
static void hear_page(struct looking *looking, const struct call_answer *answer)
{
	struct request *request = looking->request;
	scoped(json_free) struct json *page = NULL;
	struct error err = {0};

	if (answer->status != 200 && answer->status != 400) {
		refuse_without_rooms(request,
			answer->status ? "it answered with an error" : answer->why);
	} else if (!json_parse(answer->body, "the answer of rooms", NULL, &page, &err)) {
		refuse_without_rooms(request, err.message);
		error_free(&err);
	} else if (answer->status == 400) {
		request_refuse(request, 400, "invalid_parameter", "%s",
			json_get_text(json_get(page, "error"), "message", "rooms refused"));
	} else {
		answer_free(request, page, looking);
	}
}

static void hear(void *context, const struct call_answer *answer)
{
	struct looking *looking = context;

	if (looking->request)
		hear_page(looking, answer);
	free(looking);
}

static void forget_request(struct request *request, void *keeper)
{
	(void)request;
	((struct looking *)keeper)->request = NULL;
}

void find_free_rooms(struct request *request)
{
	struct bookings *bookings = request->context;
	scoped(text_free) char *path = search_path(request);
	struct looking asked = {.request = request}, *looking;
	const char *why;

	if (!booking_read_times(str_of(request_query(request, "starts")),
		    str_of(request_query(request, "ends")), &asked.starts_ms, &asked.ends_ms,
		    &why)) {
		request_refuse(request, 400, "invalid_parameter", "%s", why);
		return;
	}
	looking = memory_new(sizeof(*looking));
	*looking = asked;
	request->gone = forget_request;
	request->keeper = looking;
	room_directory_search(bookings->rooms, path, &request->trace, hear, looking);
}
