#include "services/bookings/api.h"

#include "services/bookings/book.h"
#include "services/bookings/free_rooms.h"
#include "services/bookings/store.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

enum { PAGE = 50, PAGE_LIMIT = 200 };

static const int64_t key_life_ms = 24 * 3600 * 1000, forget_every_ms = 3600 * 1000;

static struct bookings *state_of(struct request *request)
{
	return request->context;
}

static void refuse_missing(struct request *request)
{
	request_refuse(request, 404, "booking_not_found", "there is no booking %s",
		request_parameter(request, 0));
}

static void get_booking(struct request *request)
{
	scoped(booking_free) struct booking booking = {0};
	struct error err = {0};
	bool found;

	if (!bookings_get(state_of(request)->db, request_parameter(request, 0), &booking, &found,
		    &err))
		request_fail(request, &err);
	else if (!found)
		refuse_missing(request);
	else
		answer_booking(request, 200, &booking);
}

static void cancel_booking(struct request *request)
{
	struct bookings *bookings = state_of(request);
	struct error err = {0};
	bool found;

	if (!bookings_cancel(bookings->db, request_parameter(request, 0),
		    clock_now(bookings->clock), &found, &err))
		request_fail(request, &err);
	else if (!found)
		refuse_missing(request);
	else
		request_answer_nothing(request);
}

/* Pages go on behind the last booking of the page before: its start in ms, '.', its id. */
static bool read_after(const char *after, struct booking_search *search)
{
	struct str rest = str_of(after);

	if (!after)
		return true;
	search->after_id = strchr(after, '.');
	if (!search->after_id || !str_to_int(str_cut(&rest, '.'), &search->after_starts_ms))
		return false;
	search->after_id++;
	return true;
}

static bool read_time(struct request *request, const char *name, int64_t *out_ms)
{
	const char *text = request_query(request, name);

	if (!text || time_of_rfc3339(str_of(text), out_ms))
		return true;
	request_refuse(request, 400, "invalid_parameter",
		"%s must be a time such as 2026-11-20T08:00:00Z", name);
	return false;
}

/* Answers itself and returns false when the query makes no sense. */
static bool read_search(struct request *request, struct booking_search *search)
{
	int64_t limit;

	*search = (struct booking_search){.room = request_query(request, "room_id"),
		.from_ms = clock_now(state_of(request)->clock),
		.to_ms = INT64_MAX};
	if (!request_query_int(request, "limit", 1, PAGE_LIMIT, PAGE, &limit) ||
		!read_time(request, "from", &search->from_ms) ||
		!read_time(request, "to", &search->to_ms))
		return false;
	search->limit = (size_t)limit;
	if (read_after(request_query(request, "after"), search))
		return true;
	request_refuse(request, 400, "invalid_parameter",
		"after must be what \"next\" of the page before said");
	return false;
}

static void answer_list(struct request *request, const struct booking_list *list)
{
	struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	json_object_begin(&w);
	json_key(&w, "bookings");
	json_array_begin(&w);
	for (size_t i = 0; i < list->count; i++)
		booking_write(&w, &list->bookings[i]);
	json_array_end(&w);
	json_key(&w, "next");
	if (list->more)
		json_write_format(&w, "%lld.%s",
			(long long)list->bookings[list->count - 1].starts_ms,
			list->bookings[list->count - 1].id);
	else
		json_write_null(&w);
	json_object_end(&w);
	request_answer(request, 200, &body);
}

static void search_bookings(struct request *request)
{
	scoped(booking_list_free) struct booking_list list = {0};
	struct booking_search search;
	struct error err = {0};

	if (!read_search(request, &search))
		return;
	if (bookings_search(state_of(request)->db, &search, &list, &err))
		answer_list(request, &list);
	else
		request_fail(request, &err);
}

static const struct route routes[] = {
	{"GET", "/bookings", search_bookings},
	{"POST", "/bookings", book_room},
	{"GET", "/bookings/free-rooms", find_free_rooms},
	{"GET", "/bookings/{id}", get_booking},
	{"DELETE", "/bookings/{id}", cancel_booking},
};

static const struct config_row config[] = {
	{"DATA_DIR", CONFIG_TEXT, offsetof(struct bookings, data_dir), NULL,
		"folder of the database; tasks may share it"},
	{"ROOMS_URL", CONFIG_URL, offsetof(struct bookings, rooms_url), NULL,
		"where the service rooms answers"},
	{"ROOMS_TIMEOUT", CONFIG_DURATION, offsetof(struct bookings, rooms_timeout_ms), "1s",
		"how long one question to rooms may take", 1, 60000},
	{"ROOMS_CACHE", CONFIG_DURATION, offsetof(struct bookings, rooms_cache_ms), "10s",
		"how long it is remembered that a room exists", 0, 3600000},
};

static void forget_keys(void *context)
{
	struct bookings *bookings = context;
	struct error err = {0};

	if (!bookings_forget_keys(bookings->db, clock_now(bookings->clock) - key_life_ms, &err)) {
		log_write(LOG_WARNING, "old idempotency keys were not forgotten", "why",
			err.message, NULL);
		error_free(&err);
	}
	watch_set_delay(bookings->forgetting, forget_every_ms);
}

static bool open_bookings(void *context, struct service *service, struct error *err)
{
	struct bookings *bookings = context;
	scoped(text_free) char *url = memory_format("sqlite:%s/bookings.db", bookings->data_dir);
	struct caller_options options = {.base_url = bookings->rooms_url,
		.timeout_ms = bookings->rooms_timeout_ms};

	bookings->service = service;
	if (!bookings->clock)
		bookings->clock = &system_clock;
	if (!bookings_open(url, &bookings->db, err) ||
		!room_directory_new(service_loop(service), &options, bookings->rooms_cache_ms,
			bookings->clock, &bookings->rooms, err))
		return false;
	bookings->forgetting =
		loop_add_timer(service_loop(service), forget_every_ms, forget_keys, bookings);
	return true;
}

static void close_bookings(void *context)
{
	struct bookings *bookings = context;

	loop_remove(service_loop(bookings->service), &bookings->forgetting);
	room_directory_free(&bookings->rooms);
	db_close(&bookings->db);
}

/* Not whether rooms answers: then no task of ours would be left to read and cancel bookings. */
static bool is_ready(void *context, struct error *err)
{
	int64_t one;
	bool found;

	return db_get_int(((struct bookings *)context)->db, "SELECT 1 FROM booking LIMIT 1",
		db_no_values, &one, &found, err);
}

struct service_plan bookings_plan(struct bookings *bookings)
{
	return (struct service_plan){.name = "bookings",
		.routes = routes,
		.route_count = countof(routes),
		.config = config,
		.config_count = countof(config),
		.settings = bookings,
		.context = bookings,
		.open = open_bookings,
		.close = close_bookings,
		.ready = is_ready};
}
