/*
 * ecr_lifecycle.h - does what the lifecycle policies of all repositories say (lifecycle.h decides).
 *
 * AWS does it within a day; here it happens at the start and every hour.
 */
#ifndef DEPLOYERS_LOCAL_ECR_LIFECYCLE_H
#define DEPLOYERS_LOCAL_ECR_LIFECYCLE_H

#include "deployers/local/cloud.h"

bool ecr_lifecycle_apply(struct cloud *cloud, struct error *err) must_use;

#endif
