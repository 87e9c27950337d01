#include "pipeline/server/events.h"

#include "base/event.h"
#include "base/memory.h"

#include <stdlib.h>

/* Proxies close what is silent for a minute. */
enum { LISTENERS_MAX = 256, CATCH_UP_MAX = 10000, QUIET_MS = 25000 };

struct live_events {
	struct loop *loop;
	struct ledger *ledger;
	struct event_sink sink;
	struct http_exchange *listeners[LISTENERS_MAX];
	size_t count;
	struct watch *quiet; /* keeps streams alive; armed only while somebody listens */
};

static void append_event(struct buf *out, int64_t id, const char *name, const char *data)
{
	if (id)
		buf_printf(out, "id: %lld\n", (long long)id);
	buf_printf(out, "event: %s\ndata: %s\n\n", name, data);
}

static void write_all(struct live_events *events, struct str piece)
{
	for (size_t i = events->count; i > 0; i--)
		if (!http_answer_stream_write(events->listeners[i - 1], piece))
			live_events_end(events, events->listeners[i - 1]);
}

static void take(void *self, const struct event *event)
{
	struct live_events *events = self;
	scoped(buf_free) struct buf data = {0}, text = {0};

	if (!events->count)
		return;
	json_write(event->fields, &data);
	append_event(&text, json_int(json_get(event->fields, "id"), 0), event->name,
		buf_text(&data));
	write_all(events, buf_str(&text));
}

static void keep_alive(void *context)
{
	struct live_events *events = context;

	write_all(events, str_literal(": still here\n\n"));
	if (events->count)
		watch_set_delay(events->quiet, QUIET_MS);
}

struct live_events *live_events_new(struct loop *loop, struct ledger *ledger)
{
	struct live_events *events = memory_new(sizeof(*events));

	events->loop = loop;
	events->ledger = ledger;
	events->sink = (struct event_sink){.take = take, .self = events};
	events->quiet = loop_add_timer(loop, -1, keep_alive, events);
	event_add_sink(&events->sink);
	return events;
}

static void catch_up(struct live_events *events, struct http_exchange *exchange, int64_t after)
{
	scoped(ledger_events_free) struct ledger_events missed = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	if (!ledger_events_find(events->ledger, 0, after, CATCH_UP_MAX, &missed, &err)) {
		error_ignore(&err, "who listens gets what happens from now on");
		return;
	}
	for (size_t i = 0; i < missed.count; i++)
		append_event(&text, missed.items[i].id, missed.items[i].name,
			missed.items[i].fields);
	if (text.size && !http_answer_stream_write(exchange, buf_str(&text)))
		live_events_end(events, exchange);
}

void live_events_begin(struct live_events *events, struct http_exchange *exchange, int64_t after)
{
	if (events->count == LISTENERS_MAX) {
		http_answer(exchange, 503, "text/plain", str_literal("too many listeners\n"));
		return;
	}
	http_answer_header(exchange, "Cache-Control", "no-store");
	http_answer_stream_begin(exchange, 200, "text/event-stream");
	events->listeners[events->count++] = exchange;
	watch_set_delay(events->quiet, QUIET_MS);
	/* The first bytes tell the client that it is connected. */
	if (!http_answer_stream_write(exchange, str_literal(": dogshore\n\n")))
		live_events_end(events, exchange);
	else if (after >= 0)
		catch_up(events, exchange, after);
}

void live_events_end(struct live_events *events, struct http_exchange *exchange)
{
	for (size_t i = 0; i < events->count; i++) {
		if (events->listeners[i] != exchange)
			continue;
		events->listeners[i] = events->listeners[--events->count];
		break;
	}
	if (!events->count)
		watch_set_delay(events->quiet, -1);
}

void live_events_close(struct live_events *events)
{
	while (events->count)
		http_answer_stream_end(events->listeners[--events->count]);
}

void live_events_free(struct live_events **events)
{
	if (!*events)
		return;
	event_remove_sink(&(*events)->sink);
	loop_remove((*events)->loop, &(*events)->quiet);
	free(*events);
	*events = NULL;
}
