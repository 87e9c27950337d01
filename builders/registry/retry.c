#include "builders/registry/retry.h"

#include "base/clock.h"

static bool is_passing(const struct registry_retry_observation *o)
{
	if (o->status == 0)
		return o->no_answer == ERROR_UNAVAILABLE || o->no_answer == ERROR_TIMED_OUT;
	/* Not implemented, no such HTTP version, disk full: as true in a minute as now. */
	if (o->status == 501 || o->status == 505 || o->status == 507)
		return false;
	return o->status == 408 || o->status == 429 || (o->status >= 500 && o->status <= 599);
}

/* Milliseconds asked for, -1 when nothing understandable is. */
static int64_t asked_ms(const struct registry_retry_observation *o)
{
	struct str value = str_trim(o->retry_after);
	int64_t number;

	if (str_to_int(value, &number) && number >= 0)
		return number > RETRY_LONGEST_MS / 1000 ? RETRY_LONGEST_MS : number * 1000;
	if (!time_of_http(value, &number))
		return -1;
	number -= o->now_ms;
	return number < 0 ? 0 : number > RETRY_LONGEST_MS ? RETRY_LONGEST_MS : number;
}

struct registry_retry_verdict registry_retry(const struct registry_retry_observation *o)
{
	if (o->tries >= RETRY_TRIES || !is_passing(o))
		return (struct registry_retry_verdict){.again = false};

	int64_t wait_ms = asked_ms(o);
	if (wait_ms > 0) {
		/* Whoever was turned away at the same moment should not come back at the same moment. */
		wait_ms += (int64_t)((double)wait_ms * 0.1 * o->random);
		wait_ms = wait_ms > RETRY_LONGEST_MS ? RETRY_LONGEST_MS : wait_ms;
	}
	if (wait_ms < 0) {
		int64_t full = (int64_t)RETRY_FIRST_MS << (o->tries > 0 ? o->tries - 1 : 0);
		wait_ms = full / 2 + (int64_t)((double)(full - full / 2) * o->random);
	}
	return (struct registry_retry_verdict){.again = true, .wait_ms = wait_ms};
}
