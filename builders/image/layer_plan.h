/*
 * layer_plan.h - which entries of a tree lie together in one layer.
 *
 * One layer a kind, in the order of enum layer_kind, except that libraries are split by Debian
 * package, so that two services that use the same package share its blob and an update of one
 * package sends no other:
 *
 *     a package with 64 KiB or more in the image    a layer of its own, by name
 *         when there are more than 24               the 24 largest (of equal size: first by name)
 *     the other packages                            one layer together
 *     libraries of no package                       one layer, the last: they were built here
 *
 * Files of the user's that are more than 64 MiB together become several layers of about that size, by
 * path: registries and nodes take layers side by side, and one changed file sends no other 64 MiB. At
 * most 16 layers a kind: above 1 GiB they are larger.
 *
 * So an image has at most 62 layers, where runtimes stop at 127. The limit of 64 KiB is about what
 * the requests for one more blob cost.
 */
#ifndef BUILDERS_IMAGE_LAYER_PLAN_H
#define BUILDERS_IMAGE_LAYER_PLAN_H

#include "builders/image/tree.h"

enum {
	LAYER_PLAN_PACKAGES = 24,
	LAYER_PLAN_SMALL_BYTES = 64 << 10,
	LAYER_PLAN_LARGE_BYTES = 64 << 20,
	LAYER_PLAN_PIECES = 16, /* of one kind */
};

/* What one layer will hold: at least one entry. */
struct layer_part {
	enum layer_kind kind;
	struct strings packages; /* names of the packages that its entries are from, sorted */
	uint32_t *entries;       /* owned; places in tree->entries, in their order there */
	size_t count, capacity;
};

struct layer_plan {
	struct layer_part *parts; /* owned */
	size_t count;
};
void layer_plan_free(struct layer_plan *plan);

/* The tree must not change while the plan is used. */
struct layer_plan layer_plan_of(const struct tree *tree) must_use;

#endif
