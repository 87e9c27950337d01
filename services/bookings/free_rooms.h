/*
 * free_rooms.h - GET /bookings/free-rooms: asks rooms which rooms fit and leaves out those that are
 *                booked at some time between starts and ends.
 *
 * A page of rooms gives a page of free rooms, perhaps a shorter one; "next" is rooms' own.
 */
#ifndef SERVICES_BOOKINGS_FREE_ROOMS_H
#define SERVICES_BOOKINGS_FREE_ROOMS_H

#include "services/kit/request.h"

void find_free_rooms(struct request *request);

#endif
