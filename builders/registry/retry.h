/*
 * retry.h - try again, when, or give up: decided from an answer and the number of tries alone.
 */
#ifndef BUILDERS_REGISTRY_RETRY_H
#define BUILDERS_REGISTRY_RETRY_H

#include "base/buf.h"
#include "base/error.h"

enum {
	RETRY_TRIES = 5,
	RETRY_FIRST_MS = 200,
	RETRY_LONGEST_MS = 60 * 1000, /* of what a server may ask for */
};

struct registry_retry_observation {
	int status;                /* 0: no answer */
	enum error_kind no_answer; /* why there was none */
	struct str retry_after;    /* the header's value; empty when absent */
	int tries;                 /* made so far, this one included */
	int64_t now_ms;            /* wall clock, for a Retry-After that is a date */
	double random;             /* 0 … 1, spreads clients out */
};

struct registry_retry_verdict {
	bool again;
	int64_t wait_ms;
};

/*
 * Again after 408, 429, 5xx except 501, 505 and 507, a lost connection or a time-out, up to RETRY_TRIES
 * tries in all. Waits as long as Retry-After says (seconds or a date) and up to a tenth more, at most a
 * minute; else 200 ms doubling, of which a random half.
 */
struct registry_retry_verdict registry_retry(const struct registry_retry_observation *observation);

#endif
