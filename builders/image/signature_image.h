/*
 * signature_image.h - the image that holds cosign's signatures of another one: a layer for each
 *                     signed document, the signature itself being an annotation of the layer.
 *
 * What the documents say and whether the signatures hold is builders/evidence's business; here they
 * are only listed, put together and written.
 *
 * Source  sigstore/cosign: specs/SIGNATURE_SPEC.md.
 */
#ifndef BUILDERS_IMAGE_SIGNATURE_IMAGE_H
#define BUILDERS_IMAGE_SIGNATURE_IMAGE_H

#include "builders/image/layout.h"

#define MEDIA_TYPE_SIMPLE_SIGNING "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIGNATURE_ANNOTATION "dev.cosignproject.cosign/signature"

struct signature_layer {
	struct digest document;
	int64_t size_bytes;
	char *signature; /* owned; base64 as it stands there, "" when there is none */
};

struct signature_image {
	struct signature_layer *items; /* owned */
	size_t count;
};
void signature_image_free(struct signature_image *image);
/* Adds a layer, unless it is there. */
void signature_image_add(struct signature_image *image, const struct digest *document,
	int64_t size_bytes, const char *signature);

/*
 * Reads such an image's manifest. Layers of other kinds are passed over.
 *
 * Fails with  ERROR_INVALID, ERROR_LIMIT (over 4 MiB, over 1000 layers).
 */
bool signature_image_parse(struct str manifest, const char *what, struct signature_image *out_image,
	struct error *err) must_use;

/* Writes the two documents of the image. */
void signature_image_write(const struct signature_image *image, struct buf *out_config,
	struct buf *out_manifest);

#endif
