#include "services/bookings/book.h"

#include "services/bookings/api.h"
#include "services/bookings/store.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

enum { KEY_LIMIT = 200 };

/* A booking that waits for what rooms says. */
struct wish {
	struct request *request; /* NULL once the client has gone */
	struct booking booking;  /* owned */
	char *key;               /* owned; NULL: none */
};

static struct bookings *state_of(struct request *request)
{
	return request->context;
}

static void count(struct request *request, const char *result)
{
	metrics_count(service_metrics(request->service), "bookings_total",
		"What became of requests to book.", "result", result);
}

void answer_booking(struct request *request, int status, const struct booking *booking)
{
	struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	booking_write(&w, booking);
	request_answer(request, status, &body);
}

static void answer_made(struct request *request, const struct booking *booking)
{
	char location[sizeof("/bookings/") + BOOKING_ID_SIZE];

	snprintf(location, sizeof(location), "/bookings/%s", booking->id);
	request_header(request, "Location", location);
	answer_booking(request, 201, booking);
}

static void answer_result(struct request *request, enum book_result result,
	const struct booking *booking)
{
	switch (result) {
	case BOOK_MADE:
		count(request, "made");
		answer_made(request, booking);
		break;
	case BOOK_REPLAYED:
		count(request, "replayed");
		request_header(request, "Idempotency-Replayed", "true");
		answer_made(request, booking);
		break;
	case BOOK_TAKEN:
		count(request, "taken");
		request_refuse(request, 409, "room_taken",
			"the room is booked at some time between starts and ends");
		break;
	case BOOK_OTHER_REQUEST:
		count(request, "key_reused");
		request_refuse(request, 422, "idempotency_key_reused",
			"the Idempotency-Key was used for another booking");
		break;
	}
}

void refuse_without_rooms(struct request *request, const char *why)
{
	log_write(LOG_WARNING, "rooms did not answer", "why", why, "request_id",
		request->trace.request_id, "trace_id", request->trace.trace_id, NULL);
	request_header(request, "Retry-After", "1");
	request_refuse(request, 503, "rooms_unavailable",
		"the service rooms does not answer now; try again in a moment");
}

/* Has it been decided without a new booking? Then answers. */
static bool is_decided(struct request *request, struct booking *booking, const char *key)
{
	enum book_result result;
	struct error err = {0};

	if (!bookings_look(state_of(request)->db, booking, key, &result, &err)) {
		request_fail(request, &err);
		return true;
	}
	if (result == BOOK_MADE)
		return false;
	answer_result(request, result, booking);
	return true;
}

/* The room exists. */
static void book(struct request *request, struct booking *booking, const char *key)
{
	struct bookings *bookings = state_of(request);
	enum book_result result;
	struct error err = {0};

	if (bookings_book(bookings->db, booking, key, clock_now(bookings->clock), &result, &err))
		answer_result(request, result, booking);
	else
		request_fail(request, &err);
}

static void forget_request(struct request *request, void *keeper)
{
	(void)request;
	((struct wish *)keeper)->request = NULL;
}

static void decide(struct wish *wish, enum room_state state, const char *why)
{
	struct request *request = wish->request;

	switch (state) {
	case ROOM_EXISTS:
		if (!is_decided(request, &wish->booking, wish->key))
			book(request, &wish->booking, wish->key);
		break;
	case ROOM_UNKNOWN:
		count(request, "room_unknown");
		request_refuse(request, 422, "room_unknown", "there is no room %s",
			wish->booking.room);
		break;
	case ROOM_NOT_TOLD:
		count(request, "rooms_unavailable");
		refuse_without_rooms(request, why);
		break;
	}
}

static void hear_about_room(void *context, enum room_state state, const char *why)
{
	struct wish *wish = context;

	if (wish->request)
		decide(wish, state, why);
	booking_free(&wish->booking);
	free(wish->key);
	free(wish);
}

/* Takes booking. */
static void ask_for_room(struct request *request, struct booking *booking, const char *key)
{
	struct wish *wish = memory_new(sizeof(*wish));

	*wish = (struct wish){request, *booking, memory_copy_text(key)};
	*booking = (struct booking){0};
	request->gone = forget_request;
	request->keeper = wish;
	room_directory_ask(state_of(request)->rooms, wish->booking.room, &request->trace,
		hear_about_room, wish);
}

/* Answers itself and returns false when the header makes no sense. */
static bool read_key(struct request *request, const char **out_key)
{
	const char *key = http_exchange_header(request->exchange, "Idempotency-Key");
	size_t size = key ? strlen(key) : 1;

	*out_key = key;
	for (size_t i = 0; key && i < size; i++)
		if (key[i] <= ' ' || key[i] == 0x7f)
			size = 0;
	if (size > 0 && size <= KEY_LIMIT)
		return true;
	request_refuse(request, 400, "invalid_parameter",
		"Idempotency-Key must be 1 to 200 visible characters");
	return false;
}

/* The booking in the body; answers itself and returns false when there is none. */
static bool read_booking(struct request *request, struct booking *out_booking)
{
	scoped(json_free) struct json *body = NULL;
	scoped(text_free) char *why = NULL;

	if (!request_json(request, &body))
		return false;
	if (booking_read(body, clock_now(state_of(request)->clock), out_booking, &why))
		return true;
	request_refuse(request, 422, "invalid_booking", "%s", why);
	return false;
}

void book_room(struct request *request)
{
	scoped(booking_free) struct booking booking = {0};
	const char *key;

	if (!read_key(request, &key) || !read_booking(request, &booking) ||
		is_decided(request, &booking, key))
		return;
	if (room_directory_knows(state_of(request)->rooms, booking.room))
		book(request, &booking, key);
	else
		ask_for_room(request, &booking, key);
}
