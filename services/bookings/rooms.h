/*
 * rooms.h - what bookings asks the service rooms: is there such a room, which rooms are there?
 *
 * That a room exists is remembered for a while (ROOMS_CACHE), so that a busy room is asked about
 * once; a room deleted meanwhile can still be booked that long. That one does not exist is not
 * remembered. Askers about the same room at the same time share one call.
 */
#ifndef SERVICES_BOOKINGS_ROOMS_H
#define SERVICES_BOOKINGS_ROOMS_H

#include "base/clock.h"
#include "base/loop.h"
#include "services/kit/caller.h"

enum room_state {
	ROOM_EXISTS,
	ROOM_UNKNOWN,  /* rooms says there is none */
	ROOM_NOT_TOLD, /* rooms did not answer */
};

struct room_directory;

bool room_directory_new(struct loop *loop, const struct caller_options *options, int64_t cache_ms,
	struct clock *clock, struct room_directory **out_directory, struct error *err) must_use;
void room_directory_free(struct room_directory **directory);

/* Is it remembered that the room exists? */
bool room_directory_knows(struct room_directory *directory, const char *room) must_use;

/* Asks about one room; told is called from the loop, not from inside this call. why: for the log. */
void room_directory_ask(struct room_directory *directory, const char *room,
	const struct trace *trace,
	void (*told)(void *context, enum room_state state, const char *why), void *context);

/* Forwards a search ("/rooms?min_capacity=4"); the answer as rooms gave it. */
void room_directory_search(struct room_directory *directory, const char *path,
	const struct trace *trace, void (*told)(void *context, const struct call_answer *answer),
	void *context);

#endif
