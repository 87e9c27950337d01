/*
 * content_internal.h - what content.c (blobs) and content_images.c (manifests, tags, references)
 *                      share.
 */
#ifndef DEPLOYERS_LOCAL_CONTENT_INTERNAL_H
#define DEPLOYERS_LOCAL_CONTENT_INTERNAL_H

#include "deployers/local/content.h"

struct content {
	struct cloud *cloud; /* borrowed */
	char *blobs;         /* owned: <state>/content/blobs/sha256 */
	char *uploads;       /* owned: where blobs are written before they have a name */
};

/* "<repository>@sha256:…"; owned */
char *content_key(const char *repository, const struct digest *digest) must_use;
/* Whether a key of "ecr.blob", "ecr.image" or "ecr.tag" is the repository's. */
bool content_key_of(const char *id, const char *repository);

#endif
