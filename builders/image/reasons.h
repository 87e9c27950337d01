/*
 * reasons.h - why each file is in an image, kept with the image: `image inspect --why` answers from it.
 *
 *     {"version":1,"files":[{"path":"/usr/lib/libz.so.1.2","layer":"libraries","package":"zlib1g",
 *       "why":"libcurl.so.4 needs it","by":"/usr/lib/libcurl.so.4.8"}, …]}
 *
 * The list is a blob of the layout that no manifest names: the image's digest does not depend on it,
 * and a push does not send it. The tag's descriptor in index.json names it, as the annotation
 * "dev.dogshore.reasons". Equal inputs give equal bytes.
 *
 * Limits  64 MiB, 500,000 files.
 */
#ifndef BUILDERS_IMAGE_REASONS_H
#define BUILDERS_IMAGE_REASONS_H

#include "builders/image/closure.h"
#include "builders/image/layout.h"

/* Appends the list. closure: who needs which library; NULL: not known. */
void reasons_write(const struct tree *tree, const struct closure *closure, struct buf *out);

struct reason {
	char *path;                           /* owned, as all below; "/usr/lib/libz.so.1" */
	char *why, *layer, *package, *target; /* "" when there is none */
	char *by;                             /* the file that is the cause; "" */
};

struct reasons {
	struct reason *items; /* owned */
	size_t count;
	struct tree links; /* to follow them */
};
void reasons_free(struct reasons *reasons);

/* Fails with ERROR_INVALID, ERROR_LIMIT. */
bool reasons_parse(struct str text, const char *what, struct reasons *out_reasons,
	struct error *err) must_use;

/* The list that belongs to a tag of a layout. ERROR_NOT_FOUND when there is none. */
bool reasons_read(const struct layout *layout, const char *tag, struct reasons *out_reasons,
	struct error *err) must_use;

/*
 * The way from a file to the program: the file, a link's target, who needs it, who needs that …
 * Places in reasons->items.
 *
 * path  a path in the image, links on the way followed; or a name without '/', "libz.so.1"
 * Fails with ERROR_NOT_FOUND: it is not in the image; names what is near.
 */
bool reasons_find(const struct reasons *reasons, const char *path, size_t **out_steps,
	size_t *out_count, struct error *err) must_use;

#endif
