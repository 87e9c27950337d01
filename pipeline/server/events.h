/*
 * events.h - the engine's events, live, to everybody who listens (server-sent events).
 *
 * A listener first gets what it missed out of the ledger, then what happens.
 */
#ifndef PIPELINE_SERVER_EVENTS_H
#define PIPELINE_SERVER_EVENTS_H

#include "base/http_server.h"
#include "pipeline/ledger/ledger.h"

struct live_events;

struct live_events *live_events_new(struct loop *loop, struct ledger *ledger);
/* after: the last event the listener knows; -1: it wants only new ones. */
void live_events_begin(struct live_events *events, struct http_exchange *exchange, int64_t after);
/* The exchange is over; one that is no listener is ignored. */
void live_events_end(struct live_events *events, struct http_exchange *exchange);
/* Ends all streams; before the server is freed. */
void live_events_close(struct live_events *events);
void live_events_free(struct live_events **events);

#endif
