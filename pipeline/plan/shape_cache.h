/*
 * shape_cache.h - what shape_read() filled, as bytes and back.
 *
 * A YAML file of 10,000 lines takes 6 ms to parse and 0.2 ms to load from here. The bytes belong to
 * this very build of the tables: others are refused, as is anything that does not fit exactly.
 */
#ifndef PIPELINE_PLAN_SHAPE_CACHE_H
#define PIPELINE_PLAN_SHAPE_CACHE_H

#include "pipeline/plan/shape.h"

void shape_save(const struct shape *shape, const void *object, struct buf *out);

/* Fills *out; texts point into bytes, which must live as long. False: not ours, or damaged; *out is
 * then of no use. */
bool shape_load(const struct shape *shape, struct str bytes, struct arena *arena, void *out)
	must_use;

#endif
