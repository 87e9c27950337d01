/*
 * poll.h - how long to wait until the next look at a deployment: pure.
 *
 * AWS throttles reads per account, so a look every ten seconds with some spread is what it asks for.
 * An endpoint on this machine is ours alone: there the wait is a twentieth of the time already
 * spent, so that no deployment takes more than about 5 % longer because of us.
 */
#ifndef DEPLOYERS_ECS_POLL_H
#define DEPLOYERS_ECS_POLL_H

#include "base/attributes.h"

/* chance: between 0 and 1. */
int64_t poll_delay_ms(int64_t elapsed_ms, bool loopback, double chance);

#endif
