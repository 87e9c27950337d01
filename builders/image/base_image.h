/*
 * base_image.h - an image that another one stands on: its manifest and configuration, never more of
 *                it than needed.
 *
 *     base_image_of() ─► base_image_check() ─► base_image_write_config(), …_write_manifest()
 *
 * Our layers go on top of the base's, whose descriptors are taken over; its blobs stay where they are
 * when that is a registry, and the layout holds only what we made. The manifest says where they are
 * in the annotations org.opencontainers.image.base.name and .digest, which is what `image push` goes
 * by (builders/registry/layout_source.h) and what `image rebase` replaces.
 *
 * Source  image-spec 1.1: manifest.md, annotations.md.
 */
#ifndef BUILDERS_IMAGE_BASE_IMAGE_H
#define BUILDERS_IMAGE_BASE_IMAGE_H

#include "builders/image/config.h"
#include "builders/image/config_rewrite.h"

#define ANNOTATION_BASE_NAME "org.opencontainers.image.base.name"
#define ANNOTATION_BASE_DIGEST "org.opencontainers.image.base.digest"

enum { BASE_LAYER_LIMIT = 127 }; /* runtimes stack no more */

struct base_image {
	char *source;         /* owned; as it was given, for people */
	char *name;           /* owned; "HOST/REPOSITORY:TAG"; NULL: it lies in a layout */
	char *layout;         /* owned; where its blobs lie; NULL: in the registry */
	struct digest digest; /* of its manifest */
	struct manifest manifest;
	struct image_facts facts;
	struct json *config;      /* owned */
	struct json *annotations; /* owned; of the manifest; NULL: none */
};
void base_image_free(struct base_image *base);

/*
 * Takes manifest and configuration apart; source, name and layout are the caller's to set.
 *
 * Fails with ERROR_INVALID: not of schema version 2, layers that may not be distributed, layers of an
 *            unknown kind, a configuration that names another number of layers.
 */
bool base_image_of(struct str manifest, const char *media_type, struct str config,
	const struct digest *digest, struct base_image *out_base, struct error *err) must_use;

/* The manifest for linux/architecture among those of an index. ERROR_NOT_FOUND lists the others. */
bool base_image_pick(struct str index, const char *architecture, struct digest *out_digest,
	struct error *err) must_use;

/* ERROR_USAGE for another platform, ERROR_LIMIT when it has so many layers that not `own` more fit. */
bool base_image_check(const struct base_image *base, const char *architecture, size_t own,
	struct error *err) must_use;

/* Brings the base's blobs into the layout when they lie in one of this machine; in a registry they
 * stay there. Adds the sizes of all of them to *size_bytes. */
bool base_image_take(const struct base_image *base, const struct layout *layout,
	int64_t *size_bytes, struct error *err) must_use;

/* The base's configuration with changes laid over, its diff_ids and history with ours behind. diff_ids
 * and history of changes are not used. */
void base_image_write_config(const struct base_image *base, const struct config_changes *changes,
	const struct layer *layers, size_t count, struct buf *out);
void base_image_write_manifest(const struct base_image *base, const struct digest *config_digest,
	int64_t config_size, const struct layer *layers, size_t count, struct buf *out);

/* Those entries of a history that belong to the first `layers` layers: all up to the next that has
 * one. 0 when the history has fewer layers. */
size_t history_length(const struct json *history, size_t layers);

/* A manifest of these; annotations: an object, written sorted; NULL or empty: none. */
void manifest_write_blobs(const struct blob_name *config, const struct blob_name *layers,
	size_t count, const struct json *annotations, struct buf *out);
/* Where the base of an image lies, as its manifest says: "HOST/REPOSITORY:TAG", NULL when it says
 * nothing. Owned. */
char *manifest_base_name(struct str manifest) must_use;
/* The OCI's name of a layer's media type, Docker's ones too; NULL for others. Static. */
const char *layer_media_type(const char *media_type);

#endif
