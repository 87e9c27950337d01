/*
 * copy.h - images between layouts and registries. Places are written
 *
 *     oci:FOLDER[:TAG]                   an OCI image layout
 *     HOST/REPOSITORY[:TAG][@DIGEST]     a registry
 *
 * Every byte that passes is verified against its digest. Blobs that both repositories of one
 * registry can share are mounted and not moved; others stream from one to the other, half a megabyte
 * at a time. A source that breaks off goes on with the next byte (base/http_resume.h). Only for a
 * target that takes no large bodies blobs go through an unlinked temporary file.
 */
#ifndef BUILDERS_REGISTRY_COPY_H
#define BUILDERS_REGISTRY_COPY_H

#include "builders/registry/push.h"

struct place {
	bool is_layout;
	char *path, *tag;           /* owned; of a layout */
	struct reference reference; /* of a registry */
};
void place_free(struct place *place);
bool place_parse(const char *text, struct place *out_place, struct error *err) must_use;

/* Pushes LAYOUT:TAG ("out/rooms:1") into a registry. */
bool copy_layout_to_registry(const char *layout, const struct reference *target,
	const struct push_options *options, struct push_result *out_result, struct error *err)
	must_use;

/* From anywhere to anywhere but layout to layout. result.uploaded counts blobs that were moved. */
bool copy_image(const struct place *from, const struct place *to,
	const struct push_options *options, struct push_result *out_result, struct error *err)
	must_use;

/* An image's manifest and configuration, from anywhere. */
struct image_documents {
	struct digest digest;
	struct buf manifest, config;
	struct manifest parsed;
	struct image_facts facts; /* of an index: empty */
};
void image_documents_free(struct image_documents *documents);
bool copy_read_documents(const struct place *from, const struct push_options *options,
	struct image_documents *out_documents, struct error *err) must_use;

#endif
