/*
 * content_internal.h - what the files of content.h share: content.c (what is there, links),
 *                      content_blobs.c (blobs coming in), content_collect.c (what goes),
 *                      content_manifests.c (manifests coming in), content_images.c (images, tags).
 */
#ifndef DEPLOYERS_LOCAL_CONTENT_INTERNAL_H
#define DEPLOYERS_LOCAL_CONTENT_INTERNAL_H

#include "deployers/local/content.h"

struct content {
	struct cloud *cloud; /* borrowed */
	char *blobs;         /* owned: <state>/content/blobs */
	char *uploads;       /* owned: where blobs are written before they have a name */
};

/* "<repository>@sha256:…"; owned */
char *content_key(const char *repository, const char *name) must_use;
/* Whether a key of "ecr.blob", "ecr.image" or "ecr.tag" is the repository's. */
bool content_key_of(const char *id, const char *repository);
/* Where the blob of that name is or would be; owned */
char *content_path(const struct content *content, const char *name) must_use;
/* A manifest's list of manifests makes it an index. */
bool content_is_index(const struct json *manifest);

#endif
