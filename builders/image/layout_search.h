/*
 * layout_search.h - looks for secrets in an image that is finished: one that others built.
 *
 * Every layer of it that is a tar and lies in the layout is read (not unpacked), and the settings of
 * its configuration; of an index all its images. Artifacts beside it are not looked into.
 */
#ifndef BUILDERS_IMAGE_LAYOUT_SEARCH_H
#define BUILDERS_IMAGE_LAYOUT_SEARCH_H

#include "builders/image/layout.h"
#include "builders/image/leak_fence.h"

/* Shows the fence all of a tag's image; the verdict stays the caller's to ask for. Fails with the
 * kinds of foreign_layer_read(), manifest_parse() and layout_read_blob(). */
bool layout_search(const struct layout *layout, const char *tag, struct leak_fence *fence,
	struct error *err) must_use;

#endif
