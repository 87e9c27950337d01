/*
 * target_probe.h - asks one target once whether it is healthy: GET <path>, judged by its status.
 *
 * Nothing blocks: the answer comes as a call on the loop. Only the status line is read.
 */
#ifndef DEPLOYERS_LOCAL_TARGET_PROBE_H
#define DEPLOYERS_LOCAL_TARGET_PROBE_H

#include "base/buf.h"
#include "base/loop.h"

struct target_probe;

enum probe_result {
	PROBE_HEALTHY,
	PROBE_REFUSED,  /* no connection */
	PROBE_TIMEOUT,  /* no answer in time */
	PROBE_MISMATCH, /* an answer that the matcher does not accept, or none in HTTP */
};

struct target_probe_options {
	const char *ip;
	int port;
	const char *path;    /* "/health" */
	const char *matcher; /* "200", "200,204", "200-299" */
	int64_t timeout_ms;
	/* status: of the answer, 0 without one. The probe is gone when this is called. */
	void (*done)(void *context, enum probe_result result, int status);
	void *context;
};

/* done is never called before this returns. */
struct target_probe *target_probe_start(struct loop *loop,
	const struct target_probe_options *options) must_use;
/* Ends it without a call; NULL inside is fine. */
void target_probe_cancel(struct target_probe **probe);

/* Whether a matcher accepts a status; also whether it is one at all (status -1: only that). */
bool matcher_accepts(const char *matcher, int status);
bool matcher_valid(const char *matcher);

#endif
