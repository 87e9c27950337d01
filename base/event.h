/*
 * event.h - state changes with fields: one event_emit() feeds record, console and dashboard.
 *
 * An event has a name ("service.skipped"), a reason where something was skipped, retried, replaced
 * or rolled back, and fields. Whoever wants events adds a sink.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/attributes.h"
#include "base/json.h"

struct event {
	int64_t time_ms;
	const char *name;
	const struct json *fields; /* object, borrowed for the call */
};

struct event_sink {
	void (*take)(void *self, const struct event *event);
	void *self;
	struct event_sink *following; /* maintained by event_add_sink */
};

void event_add_sink(struct event_sink *sink); /* borrowed until event_remove_sink */
void event_remove_sink(struct event_sink *sink);
/* Takes fields (may be NULL). */
void event_emit(const char *name, struct json *fields);

#endif
