/*
 * base_swap.h - an image gets a newer base: the layers of the old one are replaced by those of the
 *               new one, ours stay what they are.
 *
 *     layers     new base's + ours
 *     settings   what was the old base's follows the new one (an environment variable, a label, the
 *                user …); what was laid over it stays
 *     history    new base's + what stands behind the old base's
 *     created    stays: nothing of ours was made anew
 *
 * Pure: no network, no clock.
 */
#ifndef BUILDERS_IMAGE_BASE_SWAP_H
#define BUILDERS_IMAGE_BASE_SWAP_H

#include "builders/image/base_image.h"

struct swapped {
	struct buf config, manifest; /* owned */
	struct digest config_digest, digest;
};
void swapped_free(struct swapped *swapped);

/*
 * Fails with ERROR_USAGE when the image does not stand on old (its first layers are others), or when
 *            onto is for another platform; ERROR_LIMIT for too many layers.
 */
bool base_swap(const struct base_image *image, const struct base_image *old,
	const struct base_image *onto, struct swapped *out_swapped, struct error *err) must_use;

#endif
