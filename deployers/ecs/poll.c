#include "deployers/ecs/poll.h"

enum {
	LOCAL_LEAST_MS = 3,
	LOCAL_MOST_MS = 250,
	REMOTE_MS = 10 * 1000,
};

int64_t poll_delay_ms(int64_t elapsed_ms, bool loopback, double chance)
{
	int64_t delay = elapsed_ms / 20;

	if (!loopback)
		return REMOTE_MS + (int64_t)((chance - 0.5) * 0.2 * REMOTE_MS);
	if (delay < LOCAL_LEAST_MS)
		return LOCAL_LEAST_MS;
	return delay < LOCAL_MOST_MS ? delay : LOCAL_MOST_MS;
}
