/*
 * rolling.h - the strategy ROLLING: new tasks take the place of old ones, within the percentages.
 *
 * At no time are fewer than ceil(desired × minimumHealthyPercent) tasks healthy because of us, and
 * at no time do more than floor(desired × maximumPercent) run or start. Old tasks go only as new ones
 * become healthy, unless the maximum leaves no room for new ones: then old ones go first, down to the
 * minimum. A rollback is the same walk the other way.
 */
#ifndef DEPLOYERS_LOCAL_ROLLING_H
#define DEPLOYERS_LOCAL_ROLLING_H

#include "deployers/local/rollout.h"

void rolling_decide(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions);

#endif
