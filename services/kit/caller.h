/*
 * caller.h - asks another service without stopping the loop.
 *
 * The HTTP client waits for its answers; on the loop's thread one slow neighbour would stop this
 * service's own /health. So one thread of the caller makes the calls, up to 8 side by side, and hands
 * the answers back to the loop, where `done` is called.
 *
 *     caller_get --queue--> thread: http_perform_all --answers, wake--> loop: done(...)
 *
 * A call is a GET, so it is made again once when it got no answer or 502, 503 or 504. When calls keep
 * failing, the next ones fail at once for a second: nobody waits long for a neighbour that is down,
 * and the neighbour gets air.
 *
 * Ownership  paths are copied; the answer is the caller's and valid inside done.
 * Threads    all functions belong to the loop's thread.
 * Limits     QUEUE calls wait at most, more are refused; bodies 1 MiB.
 */
#ifndef SERVICES_KIT_CALLER_H
#define SERVICES_KIT_CALLER_H

#include "base/error.h"
#include "base/loop.h"
#include "services/kit/trace.h"

struct caller;

struct caller_options {
	const char *base_url; /* "http://10.0.0.1:8080", without a slash at the end; copied */
	int64_t timeout_ms;   /* of one attempt */
};

struct call_answer {
	int status;      /* 0: there was none, see why */
	struct str body; /* borrowed for the call */
	const char *why; /* when there was none: for the log, not for clients */
};

bool caller_new(struct loop *loop, const struct caller_options *options, struct caller **out_caller,
	struct error *err) must_use;
/* Waits for the calls that are being made; then all that were not done yet are, without an answer. */
void caller_free(struct caller **caller);

/* GETs base_url + path for the request that trace tells about. done is called from the loop, never
 * from inside this call. */
void caller_get(struct caller *caller, const char *path, const struct trace *trace,
	void (*done)(void *context, const struct call_answer *answer), void *context);

#endif
