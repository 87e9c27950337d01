/*
 * image_compare.h - are two images the same, and if not, where do they differ first?
 *
 * Looked at in this order, because what comes first explains what comes later: what the layers hold,
 * the configuration, how the layers are compressed, the manifest.
 *
 * Limits  layers stream; memory stays below 1 MiB.
 */
#ifndef BUILDERS_IMAGE_IMAGE_COMPARE_H
#define BUILDERS_IMAGE_IMAGE_COMPARE_H

#include "builders/image/layout.h"

struct image_difference {
	bool same;
	char *where; /* owned; "layer 2 of 3 (program): /app/rooms", "configuration: config.Env" */
	char *what;  /* owned; "content differs at byte 4711: 0x41, here 0x42" */
};
void image_difference_free(struct image_difference *difference);

/*
 * given  what is claimed; "here" in the texts is the other one
 *
 * Fails with  ERROR_INVALID (a layer or document that cannot be read), ERROR_USAGE (an index),
 *             ERROR_NOT_FOUND (libarchive is not installed).
 */
bool image_compare(const struct layout *given_layout, const struct digest *given,
	const struct layout *here_layout, const struct digest *here,
	struct image_difference *out_difference, struct error *err) must_use;

/* Compares two tar archives, compressed or not, open for reading; name is for the texts. */
bool archive_compare(int given_fd, int here_fd, const char *name,
	struct image_difference *out_difference, struct error *err) must_use;

#endif
