/*
 * tar.h - the headers of a tar archive, the same bytes for the same entry on every machine.
 *
 * Plain ustar; a pax record stands before an entry only when ustar cannot say it: a path that does
 * not fit prefix and name (155 and 100 bytes), a link target over 100 bytes, names that are not
 * ASCII, sizes from 8 GiB, owners from 2 Mi, file capabilities. Owners without names, whole-second
 * times, no padding beyond POSIX's two zero blocks.
 *
 * Why our own   libarchive's output depends on the process's locale for names that are not ASCII,
 *               and with hdrcharset=BINARY each entry grows a pax header; a changed libarchive would
 *               change every digest. It stays the reader, and the judge in the tests.
 * Source        POSIX.1-2017 pax, "ustar Interchange Format".
 */
#ifndef BUILDERS_IMAGE_TAR_H
#define BUILDERS_IMAGE_TAR_H

#include "base/buf.h"

enum {
	TAR_BLOCK = 512,
	TAR_END_SIZE = 2 * TAR_BLOCK, /* zero bytes that end an archive */
};

enum tar_kind {
	TAR_FILE = '0',
	TAR_HARD_LINK = '1',
	TAR_LINK = '2',
	TAR_FOLDER = '5',
};

struct tar_header {
	const char *path; /* UTF-8, no leading slash; folders without a final one */
	enum tar_kind kind;
	unsigned mode;
	int64_t size_bytes; /* of a file's content, which follows */
	const char *target; /* of a link; of a hard link the path that stands earlier */
	int64_t modified_s;
	int64_t user, group;
	struct str capability; /* the attribute security.capability; empty: none */
};

/* Appends what stands before the content. */
void tar_append_header(struct buf *out, const struct tar_header *header);

/* Zero bytes that must follow size_bytes of content. */
size_t tar_padding(int64_t size_bytes);

#endif
