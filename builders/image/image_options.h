/*
 * image_options.h - what all ways to an image (a program, a Dockerfile) check of what they were given.
 */
#ifndef BUILDERS_IMAGE_IMAGE_OPTIONS_H
#define BUILDERS_IMAGE_IMAGE_OPTIONS_H

#include "builders/image/image.h"

#define IMAGE_DEFAULT_USER "65532"

/* Port, user (a number), environment and labels (with names). ERROR_USAGE. */
bool image_options_check(const struct image_options *options, struct error *err) must_use;

/* SOURCE_DATE_EPOCH, 0 when it is not set. ERROR_USAGE. */
bool image_read_epoch(int64_t *out_created_s, struct error *err) must_use;

#endif
