/*
 * http_check.h - what must hold after a deployment: an address that answers with a status for a
 *                while. Pure: from an answer and the time to "go on", "passed" or "failed".
 *
 *     waiting ──as expected──> holding ──as expected, and `for` is over──> passed
 *        │                      │  ^ └──wrong twice in a row─────────────> failed
 *        │                      │  └───the next one is as expected
 *        │                      └──the third wrong one of the last ten───> failed
 *        └──no answer as expected within the grace of 10 s───────────────> failed
 *
 * Programs may still be starting: until the first answer as expected wrong ones and refused
 * connections are asked again, quickly. Then `for` runs. One wrong answer may be an accident, so the
 * next one is asked for a second later; a second wrong one is not. Behind a load balancer the
 * answers of good and bad tasks alternate, which the last ten show. An answer after `for` has
 * passed must be a good one.
 */
#ifndef DEPLOYERS_VERIFY_HTTP_CHECK_H
#define DEPLOYERS_VERIFY_HTTP_CHECK_H

#include "base/buf.h"
#include "base/error.h"

struct http_check {
	const char *http; /* "/path?query", or "http://host/path" */
	int expect;       /* status; 0: 200 */
	int64_t for_ms;   /* 0: the first answer as expected passes it */
};

enum {
	HTTP_CHECK_GRACE_MS = 10 * 1000,
	HTTP_CHECK_DOUBT_MS = 1000, /* between a wrong answer and the next one */
	HTTP_CHECK_IN_A_ROW = 2,
	HTTP_CHECK_OF_LAST = 3,
	HTTP_CHECK_LAST = 10,
};

enum http_check_step { HTTP_CHECK_GO_ON, HTTP_CHECK_PASSED, HTTP_CHECK_FAILED };

/* All-zero but for started_ms at the start. Times are of a clock that only moves forward. */
struct http_check_state {
	int64_t started_ms;
	bool holding; /* it was answered as expected once */
	int64_t holding_since_ms;
	unsigned last;    /* of the last answers, the newest in bit 0: set when it was wrong */
	int64_t answers;  /* and refusals, in all */
	int64_t wrong;    /* that count against it: since the start, or of the last ten */
	int wrong_status; /* of the last wrong one; 0: there was no answer */
};

/* status 0: no answer, refused or too late. */
enum http_check_step http_check_decide(const struct http_check *check,
	struct http_check_state *state, int64_t now_ms, int status);

/* The same for who knows only that an answer is as expected or not. */
enum http_check_step http_check_decide_right(const struct http_check *check,
	struct http_check_state *state, int64_t now_ms, bool right);

/* How long to wait before asking again: short at first, one second later, and never past the end
 * of `for` unless there is a doubt. */
int64_t http_check_delay_ms(const struct http_check *check, const struct http_check_state *state,
	int64_t now_ms);

/*
 * Why it failed: "GET URL answered 503, expected 200 (3 times)"; owned.
 *
 * trouble  why the last one got no answer; may be NULL
 */
char *http_check_cause(const struct http_check *check, const struct http_check_state *state,
	const char *url, const char *trouble) must_use;

/* A path or a URL that can be asked for; ERROR_USAGE when not. */
bool http_check_is_valid(const char *http, struct error *err) must_use;
/* "http://…" and "https://…": asked as it stands. */
bool http_check_is_absolute(const char *http);
/*
 * Does a load balancer's rule with this path pattern and host lead a request for the path there?
 * Patterns as ELB has them ('*' any characters, '?' one, case matters); NULL: any. A pattern for
 * hosts names none that could be asked for, so such a route covers nothing.
 */
bool http_check_is_covered(const char *http, const char *path_pattern, const char *host_pattern);

#endif
