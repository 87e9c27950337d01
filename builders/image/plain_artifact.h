/*
 * plain_artifact.h - a referrer as a plain image, for registries that take nothing else.
 *
 * ECR answers 405 to some manifests with an artifactType, or with a configuration that is none of an
 * image. The plain form has no artifactType and calls the configuration an image's; blobs and subject
 * stay. The manifest as it was lies in it word for word, in an annotation: whoever reads it has the
 * very digest again that signatures and provenance name. Others see an image without a type.
 *
 * Source  containers-roadmap#2783, oras#1133.
 */
#ifndef BUILDERS_IMAGE_PLAIN_ARTIFACT_H
#define BUILDERS_IMAGE_PLAIN_ARTIFACT_H

#include "base/buf.h"
#include "base/json.h"

/*
 * Writes the plain form of a manifest.
 *
 * Returns false, and writes nothing, when it has none: it is plain, or no OCI image manifest, or the
 * plain form would be too large.
 */
bool plain_artifact_write(struct str manifest, struct buf *out);

/* The manifest that annotations of a plain form hold, borrowed from them; NULL: they hold none. */
const char *plain_artifact_inner(const struct json *annotations);

/* Annotations with that manifest among them; takes annotations (NULL: there are none yet). */
struct json *plain_artifact_note(struct json *annotations, struct str manifest) must_use;

#endif
