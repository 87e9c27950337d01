/*
 * book.h - POST /bookings: the way of one booking.
 *
 *     read -> look: replayed, taken? -> room known, or ask rooms -> book (one transaction) -> answer
 *
 * Looking first costs one read and spares those who lose a popular slot the write lock.
 */
#ifndef SERVICES_BOOKINGS_BOOK_H
#define SERVICES_BOOKINGS_BOOK_H

#include "services/bookings/booking.h"
#include "services/kit/request.h"

void book_room(struct request *request);

void answer_booking(struct request *request, int status, const struct booking *booking);

/* Rooms gave no answer: 503, and why into the log. */
void refuse_without_rooms(struct request *request, const char *why);

#endif
