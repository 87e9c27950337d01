/*
 * blob_memory.h - which repositories of a registry were seen to have which blobs, kept between runs.
 *
 * Only a hint: what to try to mount, and whether asking for many blobs at once is worth a request. A
 * registry forgets blobs as it likes, so nothing is left out because of what stands here.
 *
 * A text file for each registry, "<hex> <repository>" a line, the newest last.
 */
#ifndef BUILDERS_REGISTRY_BLOB_MEMORY_H
#define BUILDERS_REGISTRY_BLOB_MEMORY_H

#include "base/digest.h"

struct blob_memory {
	char *path; /* owned; NULL: nothing is remembered */
	struct buf text;
	bool changed;
};

/* folder "<state>/registry" or NULL. Nothing here fails: without the file nothing is known. */
void blob_memory_open(struct blob_memory *memory, const char *folder, const char *host);
void blob_memory_free(struct blob_memory *memory);

bool blob_memory_has(const struct blob_memory *memory, const struct digest *digest,
	const char *repository);
/* Another repository that had the blob, the one seen last; owned, NULL: none is known. */
char *blob_memory_find(const struct blob_memory *memory, const struct digest *digest,
	const char *but_not) must_use;

void blob_memory_add(struct blob_memory *memory, const struct digest *digest,
	const char *repository);
/* Writes what was added. */
void blob_memory_save(struct blob_memory *memory);

#endif
