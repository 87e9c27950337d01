/*
 * layout_prune.h - takes images out of a layout, and with them the blobs that nothing else needs.
 *
 * What refers to an image (artifact.h: SBOMs, signatures) goes with it; what is listed without a tag
 * and refers to nothing stays, and so does everything that anything which stays is made of.
 */
#ifndef BUILDERS_IMAGE_LAYOUT_PRUNE_H
#define BUILDERS_IMAGE_LAYOUT_PRUNE_H

#include "builders/image/layout.h"

struct layout_pruned {
	size_t tags, blobs;
	int64_t size_bytes; /* of the blobs */
};

/*
 * Removes the tags of that list and what only they needed. Tags that are not there are fine.
 *
 * Nobody else may be writing into the layout meanwhile: a blob that no image names yet is one that
 * nothing needs. Nothing is removed when something that stays cannot be read. Being killed in the
 * middle leaves blobs that the next call removes.
 */
bool layout_prune(const struct layout *layout, const struct strings *tags,
	struct layout_pruned *out_pruned, struct error *err) must_use;

#endif
