/*
 * blue_green.h - the strategies BLUE_GREEN, CANARY and LINEAR: the new revision starts beside the old
 *                one, in the other target group, and then gets the traffic: all at once, a first
 *                share and then the rest, or share by share.
 *
 *     RECONCILE_SERVICE ─> PRE_SCALE_UP ─> SCALE_UP ─> POST_SCALE_UP ─> TEST_TRAFFIC_SHIFT
 *        ─> POST_TEST_TRAFFIC_SHIFT ─> PRE_PRODUCTION_TRAFFIC_SHIFT ─> PRODUCTION_TRAFFIC_SHIFT
 *        ─> POST_PRODUCTION_TRAFFIC_SHIFT ─> BAKE_TIME ─> CLEAN_UP
 *
 * Until CLEAN_UP the old revision is kept at full strength; a rollback gives it the traffic back and
 * then stops the new tasks. The stages where lifecycle hooks run are passed at once.
 */
#ifndef DEPLOYERS_LOCAL_BLUE_GREEN_H
#define DEPLOYERS_LOCAL_BLUE_GREEN_H

#include "deployers/local/rollout.h"

void blue_green_decide(const struct rollout_options *options, struct rollout *rollout,
	const struct rollout_observation *seen, struct rollout_actions *out_actions);

#endif
