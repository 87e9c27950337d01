/*
 * retry.h - AWS's "standard" retry mode as a pure decision: no clock, no network, no chance inside.
 *
 * Source  section "retries" of our reference on deploying, after botocore's standard mode.
 */
#ifndef BASE_AWS_RETRY_H
#define BASE_AWS_RETRY_H

#include "base/attributes.h"

enum {
	RETRY_ATTEMPTS = 3, /* in all, unless AWS_MAX_ATTEMPTS says otherwise */
	RETRY_TOKENS = 500,
};

/* How an attempt ended. */
enum retry_outcome {
	RETRY_DONE,        /* answered, or refused for good */
	RETRY_NOT_ARRIVED, /* the request certainly did not reach the service */
	RETRY_THROTTLED,   /* the service refused because of too many calls */
	RETRY_TRANSIENT,   /* 500, 502, 503, 504, connection lost: it may have been carried out */
	RETRY_TIMED_OUT,   /* no answer in time: it may have been carried out */
};

/* Shared by all calls of one client: a service that keeps failing gets fewer and fewer repeats. */
struct retry_bucket {
	int tokens; /* of RETRY_TOKENS */
};

struct retry {
	int max_attempts;
	bool idempotent; /* the call may be repeated although it may have been carried out */
	int attempts;    /* made so far */
	int last_cost;   /* tokens taken for the last repeat; given back when it succeeds */
};

/*
 * After each attempt: repeat it?
 *
 * chance        between 0 and 1
 * out_delay_ms  wait so long before: chance * min(2^(repeats so far), 20) seconds
 */
bool retry_decide(struct retry *retry, struct retry_bucket *bucket, enum retry_outcome outcome,
	double chance, int64_t *out_delay_ms) must_use;

/* The call succeeded: tokens flow back. */
void retry_succeeded(const struct retry *retry, struct retry_bucket *bucket);

#endif
