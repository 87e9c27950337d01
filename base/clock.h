/*
 * clock.h - time as int64_t milliseconds since 1970 UTC, read through a struct so that tests need
 *           not sleep; and its spellings.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/buf.h"
#include "base/error.h"

struct clock {
	int64_t (*now_ms)(void *self);     /* wall clock */
	int64_t (*elapsed_ms)(void *self); /* monotonic, any origin */
	void (*sleep_ms)(void *self, int64_t duration_ms);
	void *self;
};

/* The machine's own clock. */
extern struct clock system_clock;

/* A clock that moves only when told, or by being slept on. */
struct test_clock {
	struct clock clock; /* pass &test.clock */
	int64_t time_ms;
};
void test_clock_init(struct test_clock *test, int64_t start_ms);

int64_t clock_now(struct clock *clock);
int64_t clock_elapsed(struct clock *clock);
void clock_sleep(struct clock *clock, int64_t duration_ms);

/* "2026-11-20T08:00:00.123Z" */
enum { TIME_TEXT_SIZE = 32 };
void time_to_rfc3339(int64_t time_ms, char out[TIME_TEXT_SIZE]);
/* "20261120T080000Z", as SigV4 wants it */
void time_to_basic(int64_t time_ms, char out[TIME_TEXT_SIZE]);
/* "Fri, 20 Nov 2026 08:00:00 GMT", as HTTP has it */
void time_to_http(int64_t time_ms, char out[TIME_TEXT_SIZE]);
bool time_of_rfc3339(struct str text, int64_t *out_time_ms) must_use;
bool time_of_basic(struct str text, int64_t *out_time_ms) must_use;
bool time_of_http(struct str text, int64_t *out_time_ms) must_use;

/* "500ms", "30s", "10m", "2h", "7d"; a bare number, a sign or a fraction is no duration. */
bool duration_parse(struct str text, int64_t *out_duration_ms) must_use;
/* For people: "85 ms", "2.4 s", "3 min 20 s". */
void duration_to_text(int64_t duration_ms, char out[TIME_TEXT_SIZE]);

#endif
