/*
 * metrics.h - what /metrics says, in Prometheus' text format 0.0.4.
 *
 * Requests are counted by route and status, their time goes into a histogram by route; a service
 * adds counters of its own. Labels are few and fixed: never ids, paths or names from outside.
 */
#ifndef SERVICES_KIT_METRICS_H
#define SERVICES_KIT_METRICS_H

#include "base/buf.h"

struct metrics; /* of one service */

struct metrics *metrics_new(const char *service) must_use;
void metrics_free(struct metrics **metrics);

/* route: the pattern ("/rooms/{id}"), static text; method: of the route, static text. */
void metrics_count_request(struct metrics *metrics, const char *method, const char *route,
	int status, int64_t duration_us);

/* A counter of the service: name ("bookings_total"), about, one label with its value (static texts;
 * label NULL: none). Made at its first use. */
void metrics_count(struct metrics *metrics, const char *name, const char *about, const char *label,
	const char *value);

void metrics_write(const struct metrics *metrics, size_t open_requests, bool ready,
	struct buf *out);

#endif
