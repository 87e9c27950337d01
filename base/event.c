#include "base/event.h"

#include "base/clock.h"

/* One list for the process: whoever emits does not know who listens. Used by the thread that runs
 * the loop only. */
static struct event_sink *sinks;

void event_add_sink(struct event_sink *sink)
{
	struct event_sink **end = &sinks;

	while (*end)
		end = &(*end)->following;
	sink->following = NULL;
	*end = sink;
}

void event_remove_sink(struct event_sink *sink)
{
	for (struct event_sink **at = &sinks; *at; at = &(*at)->following) {
		if (*at != sink)
			continue;
		*at = sink->following;
		sink->following = NULL;
		return;
	}
}

void event_emit(const char *name, struct json *fields)
{
	const struct event event = {clock_now(&system_clock), name, fields};
	struct event_sink *following;

	for (struct event_sink *sink = sinks; sink; sink = following) {
		following = sink->following; /* a sink may remove itself */
		sink->take(sink->self, &event);
	}
	json_free(&fields);
}
