/*
 * dockerfile.h - from a Dockerfile to an image whose digest depends on what is in it alone.
 *
 *     buildah ─► layers as it left them ─► read (foreign_layer.h) ─► in our order, times and owners
 *            └─► configuration ─────────► known members, no times ─┘  └► layout
 *
 * Two builds of one Dockerfile with one content differ in the times of every file and of every step,
 * so every layer, those of the image that FROM names too, is written again by our tar writer, and the
 * configuration by ours. What a RUN step itself makes differently each time stays different.
 */
#ifndef BUILDERS_IMAGE_DOCKERFILE_H
#define BUILDERS_IMAGE_DOCKERFILE_H

#include "builders/image/image.h"

struct dockerfile_options {
	const char *file;
	const char *context;              /* NULL: the Dockerfile's folder */
	const struct strings *build_args; /* "NAME=value"; may be NULL */
	const char *target;               /* stage to build; NULL: the last */
	bool squash;                      /* one layer of all */
	bool no_cache;                    /* run every step again */
	/* Of these user, port, env, labels and args are laid over what the Dockerfile says; platform,
	 * compression and output are as for a program. */
	struct image_options image;
};

/*
 * Builds, and tags the image in the layout when all is written.
 *
 * Fails with ERROR_NOT_FOUND (no buildah, no Dockerfile), ERROR_FAILED (a step failed), the kinds of
 *            foreign_layer_read().
 */
bool dockerfile_build(const struct dockerfile_options *options, struct image *out_image,
	struct error *err) must_use;

#endif
