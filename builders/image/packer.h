/*
 * packer.h - bytes in, a compressed blob out, both hashed on the way: each byte is read, hashed and
 *            compressed once.
 *
 * The stream is cut into blocks, each compressed on its own (compression.h), so the output depends
 * neither on how many processors helped nor on how the bytes arrived. It costs no size: shared
 * libraries become 38.8 % in blocks of 1 MiB and 38.6 % in blocks of 2.
 *
 * Promise   the diff_id depends on the bytes alone; the digest also on the compressor's version,
 *           which compression_identity() names.
 * Threads   a packer is used by one thread; it starts helpers from the second block on.
 * Memory    8 MiB, as much of it as the largest layer needs.
 */
#ifndef BUILDERS_IMAGE_PACKER_H
#define BUILDERS_IMAGE_PACKER_H

#include "base/digest.h"
#include "builders/image/compression.h"

struct packer; /* used again for one blob after the other; holds the memory and the helpers */

struct packer *packer_new(enum compression compression) must_use;
void packer_free(struct packer **packer);

/* Begins a blob that is written to fd (borrowed) from its current offset; what (borrowed) names the
 * output in errors. A blob that was begun before and not finished is dropped. */
void packer_begin(struct packer *packer, int fd, const char *what);

/* Blobs of this packer and of another one take turns: packer_flush() is worth while. */
void packer_alternates(struct packer *packer);

/* Lets the helpers load their libraries while the caller finds out what there is to pack. A hint. */
void packer_warm(struct packer *packer);

bool packer_add(struct packer *packer, const void *bytes, size_t size, struct error *err) must_use;

/* Room in the current block: at least one byte. Fill up to *out_size bytes of it, then say how many
 * with packer_filled(). Saves a copy when reading files. */
bool packer_room(struct packer *packer, char **out_room, size_t *out_size, struct error *err)
	must_use;
void packer_filled(struct packer *packer, size_t size);

struct packed {
	struct digest diff_id; /* of the bytes that went in */
	struct digest digest;  /* of the blob */
	int64_t diff_bytes, size_bytes;
};

/*
 * Call when all was added. True while nothing was written yet (up to 3 MiB, compressed):
 * *out_diff_id is then what packer_finish() will say, so that the caller can leave it when it has a
 * blob of this diff_id already.
 */
bool packer_peek(struct packer *packer, struct digest *out_diff_id);

/* No further blob will come: the helpers may end while the caller does other things. */
void packer_rest(struct packer *packer);

/* All was added: the last block goes to a helper, while the caller does something else before it calls
 * packer_finish(). A hint. */
bool packer_flush(struct packer *packer, struct error *err) must_use;

/* Writes what is left. The packer can then begin another blob. */
bool packer_finish(struct packer *packer, struct packed *out_packed, struct error *err) must_use;

#endif
