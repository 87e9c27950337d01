/*
 * api.h - the service "bookings" as the kit sees it: its routes, its configuration, its state.
 */
#ifndef SERVICES_BOOKINGS_API_H
#define SERVICES_BOOKINGS_API_H

#include "base/clock.h"
#include "base/db.h"
#include "services/bookings/rooms.h"
#include "services/kit/service.h"

struct bookings {
	const char *data_dir;                     /* DATA_DIR */
	const char *rooms_url;                    /* ROOMS_URL */
	int64_t rooms_timeout_ms, rooms_cache_ms; /* ROOMS_TIMEOUT, ROOMS_CACHE */
	struct clock *clock;                      /* NULL: the machine's */
	/* Set by open. */
	struct service *service;
	struct db *db;
	struct room_directory *rooms;
	struct watch *forgetting;
};

/* The plan of a service with this state, which must outlive it. */
struct service_plan bookings_plan(struct bookings *bookings);

#endif
