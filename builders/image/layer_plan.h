/*
 * layer_plan.h - which entries of a tree lie together in one layer.
 *
 * One layer a kind, in the order of enum layer_kind.
 */
#ifndef BUILDERS_IMAGE_LAYER_PLAN_H
#define BUILDERS_IMAGE_LAYER_PLAN_H

#include "builders/image/tree.h"

/* What one layer will hold: at least one entry. */
struct layer_part {
	enum layer_kind kind;
	uint32_t *entries; /* owned; places in tree->entries, in their order there */
	size_t count;
};

struct layer_plan {
	struct layer_part *parts; /* owned */
	size_t count;
};
void layer_plan_free(struct layer_plan *plan);

/* The tree must not change while the plan is used. */
struct layer_plan layer_plan_of(const struct tree *tree) must_use;

#endif
