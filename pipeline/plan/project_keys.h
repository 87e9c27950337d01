/* project_keys.h - the table of all keys of dogshore.yml. */
#ifndef PIPELINE_PLAN_PROJECT_KEYS_H
#define PIPELINE_PLAN_PROJECT_KEYS_H

#include "pipeline/plan/shape.h"

extern const struct shape project_shape; /* fills a struct project */

#endif
