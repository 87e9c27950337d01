/*
 * foreign_layer.h - reads a layer that others wrote: a tar, plain or compressed with gzip or zstd.
 *
 * Nothing is unpacked: names stay names. What an honest layer does not hold is refused: names that
 * are absolute, climb out with "..", are not UTF-8 or longer than 4,096 bytes; devices, pipes and
 * sockets; sparse files; owners beyond 32 bits. Of attributes only security.capability stays, in the
 * form without a namespace's root (VFS_CAP_REVISION_2); the marks of aufs mean nothing and go.
 *
 * Limits  those of the spool: an archive that unpacks to more is ERROR_LIMIT.
 */
#ifndef BUILDERS_IMAGE_FOREIGN_LAYER_H
#define BUILDERS_IMAGE_FOREIGN_LAYER_H

#include "base/digest.h"
#include "builders/image/foreign_tree.h"

/*
 * Reads from fd's position to its end (borrowed) into an empty tree, contents into the spool.
 *
 * out_diff_id  of the uncompressed bytes; may be NULL
 */
bool foreign_layer_read(int fd, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct digest *out_diff_id, struct error *err) must_use;

#endif
