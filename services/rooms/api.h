/*
 * api.h - the service "rooms" as the kit sees it: its routes, its configuration, its state.
 */
#ifndef SERVICES_ROOMS_API_H
#define SERVICES_ROOMS_API_H

#include "base/clock.h"
#include "base/db.h"
#include "services/kit/service.h"

struct rooms {
	const char *data_dir; /* DATA_DIR */
	struct clock *clock;  /* NULL: the machine's */
	struct db *db;        /* set by open */
};

/* The plan of a service with this state, which must outlive it. */
struct service_plan rooms_plan(struct rooms *rooms);

#endif
