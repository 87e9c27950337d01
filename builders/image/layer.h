/*
 * layer.h - one layer of an image: some entries of a tree (layer_plan.h), as a compressed tar blob in
 *           a layout.
 *
 * Entries stand bytewise by path, parents first; times are one given second. A layer that was made
 * before from the same files is taken from the cache (layer_cache.h): not read, not compressed, not
 * hashed again.
 */
#ifndef BUILDERS_IMAGE_LAYER_H
#define BUILDERS_IMAGE_LAYER_H

#include "builders/image/layer_cache.h"
#include "builders/image/layer_plan.h"
#include "builders/image/layout.h"
#include "builders/image/leak_fence.h"
#include "builders/image/packer.h"

struct layer {
	enum layer_kind kind;
	struct strings packages; /* Debian packages with files in it, sorted */
	enum compression compression;
	struct packed packed;
	size_t entry_count; /* files, links and folders in it, without implied folders */
	bool reused;        /* taken from the cache */
};

void layer_free(struct layer *layer);

struct layer_options {
	enum compression compression;
	struct packer *packer;     /* of that compression */
	int64_t modified_s;        /* of every entry */
	struct layer_cache *cache; /* NULL: none */
	struct leak_fence *fence;  /* sees every file that it did not see before; NULL: none */
	struct digest fence_identity;
};

/*
 * Packs the entries of one part: all of it was read when layer_begin() returns, the helpers of the
 * packer may still compress it until layer_end(). Between the two another layer can begin on another
 * packer.
 *
 * When the fence finds a secret, no layer is written and its digest is zero; the rest is still looked
 * at. ERROR_CONFLICT when a file changed since it was added to the tree.
 */
struct layer_work;
bool layer_begin(const struct tree *tree, const struct layer_part *part,
	const struct layer_options *options, const struct layout *layout,
	struct layer_work **out_work, struct error *err) must_use;
/* Takes *work, also when it fails. */
bool layer_end(struct layer_work **work, struct layer *out_layer, struct error *err) must_use;
void layer_work_free(struct layer_work **work); /* drops it */

#endif
