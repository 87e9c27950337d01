/*
 * store.h - bookings in a database (base/db.h), never two for one room at one time.
 *
 * Bookings that stand for one room do not overlap. So of those that start before the new one ends,
 * the last to start is also the last to end, and it alone can be in the way: one step in the index
 * (room, starts, ends). The look and the insert are one transaction that holds the write lock
 * (BEGIN IMMEDIATE), so tasks that share the file cannot both look before either inserts.
 *
 * A request that carries a key is remembered with the booking it made, in the same transaction:
 * made again, it gets that booking and no second one.
 */
#ifndef SERVICES_BOOKINGS_STORE_H
#define SERVICES_BOOKINGS_STORE_H

#include "base/db.h"
#include "services/bookings/booking.h"

/* Opens the database, and makes its tables when they are missing. */
bool bookings_open(const char *url, struct db **out_db, struct error *err) must_use;

enum book_result {
	BOOK_MADE,
	BOOK_TAKEN,         /* another booking is in the way */
	BOOK_REPLAYED,      /* the key was used for the same request before: here is its booking */
	BOOK_OTHER_REQUEST, /* the key was used for another request */
};

/*
 * Books, if the room is free.
 *
 * booking  what the client wants; id and made_ms are set here. Replaced by the earlier one when it is
 *          replayed.
 * key      NULL: none
 */
bool bookings_book(struct db *db, struct booking *booking, const char *key, int64_t now_ms,
	enum book_result *out_result, struct error *err) must_use;

/* What bookings_book() would say without booking, from what is committed now: BOOK_MADE means that
 * nothing is in the way yet. Takes no lock. */
bool bookings_look(struct db *db, struct booking *booking, const char *key,
	enum book_result *out_result, struct error *err) must_use;

bool bookings_get(struct db *db, const char *id, struct booking *out_booking, bool *out_found,
	struct error *err) must_use;

/* Again is fine: the first time stays. */
bool bookings_cancel(struct db *db, const char *id, int64_t now_ms, bool *out_found,
	struct error *err) must_use;

struct booking_search {
	const char *room;        /* NULL: any */
	int64_t from_ms, to_ms;  /* bookings that hold some of the time between */
	int64_t after_starts_ms; /* the page before ended with a booking that started then… */
	const char *after_id;    /* …and has this id; NULL: from the start */
	size_t limit;
};

struct booking_list {
	struct booking *bookings; /* owned */
	size_t count;
	bool more;
};
void booking_list_free(struct booking_list *list);

/* The bookings that stand, by start. */
bool bookings_search(struct db *db, const struct booking_search *search,
	struct booking_list *out_list, struct error *err) must_use;

/* Does a booking hold the room at some time between? */
bool bookings_is_free(struct db *db, const char *room, int64_t starts_ms, int64_t ends_ms,
	bool *out_free, struct error *err) must_use;

/* Forgets keys older than before_ms. */
bool bookings_forget_keys(struct db *db, int64_t before_ms, struct error *err) must_use;

#endif
