/*
 * foreign_tree.h - what a layer that others wrote holds, in an order of our own, so that the same
 *                  content always becomes the same archive.
 *
 * Entries stand by path, each folder directly before what lies in it, and in a folder the whiteouts
 * first. A path stands once: the last of its name counts, as it would when the layer is unpacked.
 * Hard links share one node; the one that stands first carries the content.
 *
 *     foreign_layer_read() ─► foreign_tree ─► foreign_tree_pack()
 *          every layer      └► foreign_tree_merge() ─┘             squashed
 *
 * Ownership  a tree owns its lists and texts; contents lie in the spool, which several trees share.
 * Source     image-spec 1.1, layer.md.
 */
#ifndef BUILDERS_IMAGE_FOREIGN_TREE_H
#define BUILDERS_IMAGE_FOREIGN_TREE_H

#include "base/error.h"
#include "base/memory.h"
#include "builders/image/leak_fence.h"
#include "builders/image/packer.h"

/* In the order in which entries of one folder stand; numbers are compared. */
enum foreign_kind {
	FOREIGN_FOLDER,
	FOREIGN_FILE,
	FOREIGN_LINK,
	FOREIGN_HARD_LINK, /* only while a layer is being read */
	FOREIGN_OPAQUE,    /* hides what layers below have in its folder */
	FOREIGN_WHITEOUT,  /* hides what layers below have at its path */
};

/* What hard links share. */
struct foreign_node {
	unsigned mode;
	int64_t user, group;
	int64_t offset, size_bytes; /* of a file's content in the spool */
	struct str capability;      /* security.capability, in the arena; empty: none */
};

struct foreign_entry {
	struct str path;    /* in the arena, as the texts below, and NUL-terminated */
	const char *target; /* of links */
	enum foreign_kind kind;
	uint32_t node;
	uint32_t order; /* of entries with one path the highest counts */
};

/* Where contents lie, and how much may still come: an unlinked temporary file. */
struct foreign_spool {
	int fd; /* owned */
	int64_t size_bytes, text_bytes, entry_count;
	int64_t size_limit, text_limit, entry_limit;
};
/* In the folder of temporary files; 20 GiB, 256 MiB of names, a million entries. */
bool foreign_spool_open(struct foreign_spool *out_spool, struct error *err) must_use;
void foreign_spool_close(struct foreign_spool *spool);

struct foreign_tree {
	struct foreign_entry *entries; /* owned */
	size_t count, capacity;
	struct foreign_node *nodes; /* owned */
	size_t node_count, node_capacity;
	struct arena arena;
};
void foreign_tree_free(struct foreign_tree *tree);

/* Adds in any order; call foreign_tree_settle() when all are there. path and target are copied. */
void foreign_tree_add(struct foreign_tree *tree, enum foreign_kind kind, struct str path,
	const char *target, const struct foreign_node *node);

/*
 * Puts everything in order, each path once, and ties hard links to what they name.
 *
 * Fails with ERROR_INVALID: an entry lies below something that is no folder, a hard link names
 *            nothing of this layer.
 */
bool foreign_tree_settle(struct foreign_tree *tree, struct error *err) must_use;

/* Lays upper over lower, as a union of both would look: upper's whiteouts are applied and gone.
 * Upper is emptied. ERROR_INVALID as above. */
bool foreign_tree_merge(struct foreign_tree *lower, struct foreign_tree *upper, struct error *err)
	must_use;

/* Writes the archive: every time is modified_s, owners by number. Does not begin or finish. Contents
 * pass the fence on the way (NULL: none). */
bool foreign_tree_pack(const struct foreign_tree *tree, const struct foreign_spool *spool,
	int64_t modified_s, struct leak_fence *fence, struct packer *packer, struct error *err)
	must_use;

#endif
