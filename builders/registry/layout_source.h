/*
 * layout_source.h - a layout as the source of a push. Blobs of a base image that the layout leaves in
 *                   a registry (base_image.h) come from there:
 *
 *     the base lies on the target's registry   mounted, no byte moves
 *     elsewhere, or the mount is refused        fetched into a temporary file and sent
 *
 * Where that is, the manifest's annotations say. The registry need not be trusted: a blob is what its
 * digest says, or the push fails.
 */
#ifndef BUILDERS_REGISTRY_LAYOUT_SOURCE_H
#define BUILDERS_REGISTRY_LAYOUT_SOURCE_H

#include "builders/image/layout.h"
#include "builders/registry/push.h"

struct layout_source {
	struct layout layout;
	const struct push_options *options; /* borrowed */
	char *base; /* owned; where the base of the manifest that was read last lies; NULL: none */
	struct session *session; /* to the registry that a blob was fetched from last */
	struct strings homes;    /* repositories that were told to the caller */
};
bool layout_source_open(const char *path, const struct push_options *options,
	struct layout_source *out_source, struct error *err) must_use;
void layout_source_close(struct layout_source *source);

/* Its functions; self is source. */
struct image_source layout_source_of(struct layout_source *source) must_use;

#endif
