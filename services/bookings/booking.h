/*
 * booking.h - a booking: a room, from when to when, for whom; what a client may say, how it is shown.
 *
 * Times are UTC; a booking holds its room from starts up to, but not including, ends: one may start
 * when another ends.
 */
#ifndef SERVICES_BOOKINGS_BOOKING_H
#define SERVICES_BOOKINGS_BOOKING_H

#include "base/json.h"
#include "base/json_writer.h"

enum {
	BOOKING_ID_SIZE = 17, /* 16 hex digits and a NUL */
	BOOKING_TEXT_LIMIT = 200,
	ROOM_ID_LIMIT = 64,
};

struct booking {
	char id[BOOKING_ID_SIZE];
	char *room; /* owned */
	int64_t starts_ms, ends_ms;
	char *title;     /* owned; "" when there is none */
	char *booked_by; /* owned; "" when not said */
	int64_t made_ms;
	int64_t cancelled_ms; /* 0: it stands */
};

void booking_free(struct booking *booking);

/* Reads what a client may set: room_id, starts, ends, title and booked_by (optional). False when
 * something is missing, wrong or unknown; then *out_why (owned) names it. */
bool booking_read(const struct json *body, int64_t now_ms, struct booking *out_booking,
	char **out_why) must_use;

/* "starts" and "ends" of a booking or a search; *out_why is static. */
bool booking_read_times(struct str starts, struct str ends, int64_t *out_starts_ms,
	int64_t *out_ends_ms, const char **out_why) must_use;

/* Letters, digits, '-' and '_': what may stand in a path. */
bool booking_is_room_id(struct str text);

void booking_write(struct json_writer *w, const struct booking *booking);

#endif
