/*
 * loader_root.h - the part of an image that a loader looks at: programs, libraries, links, and its
 *                 own files in /etc.
 */
#ifndef BUILDERS_IMAGE_LOADER_ROOT_H
#define BUILDERS_IMAGE_LOADER_ROOT_H

#include "base/digest.h"
#include "base/sandbox.h"
#include "builders/image/closure.h"

struct loader_root {
	struct sandbox_bind *binds; /* owned; the texts too */
	struct sandbox_link *links;
	size_t bind_count, link_count;
	struct strings texts; /* what binds and links borrow from */
	struct digest key;    /* over all that decides what the loader finds */
};

struct loader_root loader_root_of(const struct closure *closure, const struct tree *tree) must_use;
void loader_root_free(struct loader_root *root);

/* Where a path of the image leads in the end, links followed; owned, without leading slash. NULL when
 * it loops or leaves the image. */
char *loader_root_resolve(const struct tree *tree, const char *path) must_use;

#endif
