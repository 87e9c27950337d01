#include "base/aws/retry.h"

enum {
	COST = 5,
	COST_AFTER_TIMEOUT = 10,
	DELAY_LIMIT_MS = 20000,
};

static bool may_repeat(const struct retry *retry, enum retry_outcome outcome)
{
	switch (outcome) {
	case RETRY_NOT_ARRIVED:
	case RETRY_THROTTLED:
		return true;
	case RETRY_TRANSIENT:
	case RETRY_TIMED_OUT:
		return retry->idempotent;
	case RETRY_DONE:
		break;
	}
	return false;
}

bool retry_decide(struct retry *retry, struct retry_bucket *bucket, enum retry_outcome outcome,
	double chance, int64_t *out_delay_ms)
{
	int cost = outcome == RETRY_TIMED_OUT ? COST_AFTER_TIMEOUT : COST;
	int64_t ceiling = 1000;

	retry->attempts++;
	if (!may_repeat(retry, outcome) || retry->attempts >= retry->max_attempts ||
		bucket->tokens < cost)
		return false;
	for (int i = 1; i < retry->attempts && ceiling < DELAY_LIMIT_MS; i++)
		ceiling *= 2;
	if (ceiling > DELAY_LIMIT_MS)
		ceiling = DELAY_LIMIT_MS;
	bucket->tokens -= cost;
	retry->last_cost = cost;
	*out_delay_ms = (int64_t)(chance * (double)ceiling);
	return true;
}

void retry_succeeded(const struct retry *retry, struct retry_bucket *bucket)
{
	bucket->tokens += retry->last_cost ? retry->last_cost : 1;
	if (bucket->tokens > RETRY_TOKENS)
		bucket->tokens = RETRY_TOKENS;
}
