/*
 * base_fetch.h - gets what is needed of a base image: manifest and configuration, two or three
 *                requests; its layers only when somebody asks for them.
 *
 * A base is written as a registry's reference, or as a layout on this machine: "oci:FOLDER:TAG", or
 * "FOLDER:TAG" when that folder is a layout.
 */
#ifndef BUILDERS_REGISTRY_BASE_FETCH_H
#define BUILDERS_REGISTRY_BASE_FETCH_H

#include "builders/image/base_image.h"
#include "builders/registry/copy.h"

/*
 * architecture  picks from an index; the image itself is not checked (base_image_check)
 * Fails with the kinds of base_image_of() and base_image_pick(), those of copy_read_documents().
 */
bool base_fetch(const char *text, const char *architecture, const struct push_options *options,
	struct base_image *out_base, struct error *err) must_use;

/* Brings the layers of a base that lies in a registry into a layout, for tools that go by the layout
 * alone. Nothing to do for those that are there. */
bool base_fetch_layers(const struct base_image *base, const char *layout_path,
	const struct push_options *options, struct error *err) must_use;

#endif
