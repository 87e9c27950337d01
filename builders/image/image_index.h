/*
 * image_index.h - one name for the builds of one program for several machines: an OCI image index
 *                 in a layout.
 *
 *     out/rooms:amd64 ─┐
 *     out/rooms:arm64 ─┴► index, each part with the platform of its configuration ─► out/rooms:1
 *
 * Parts stand sorted by operating system, architecture and variant, so the order in which they are
 * named changes no digest. What lies in other layouts is brought into the one that is written, every
 * byte verified against its digest.
 *
 * Source  image-spec 1.1, image-index.md.
 * Limits  64 parts.
 */
#ifndef BUILDERS_IMAGE_IMAGE_INDEX_H
#define BUILDERS_IMAGE_IMAGE_INDEX_H

#include "builders/image/config.h"

struct index_part {
	struct digest digest;
	int64_t size_bytes; /* of the manifest */
	char *media_type;   /* owned, as those below */
	char *os, *architecture;
	char *variant; /* "" when the configuration names none */
	char *source;  /* as it was given, "out/rooms:arm64" */
};

struct image_index {
	struct digest digest;
	int64_t size_bytes;
	char *layout, *tag;       /* owned */
	struct index_part *parts; /* owned */
	size_t count;
};
void image_index_free(struct image_index *index);

/*
 * Writes the index of the images that sources ("FOLDER:TAG") name, and tags it as output.
 *
 * Fails with ERROR_USAGE (two parts for one platform, a part that is an index already), ERROR_INVALID
 *            (a damaged layout, a configuration without platform), ERROR_NOT_FOUND.
 */
bool image_index_build(const struct strings *sources, const char *output,
	struct image_index *out_index, struct error *err) must_use;

void image_index_write_json(const struct image_index *index, struct buf *out);

#endif
