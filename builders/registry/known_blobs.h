/*
 * known_blobs.h - which blobs a repository has, as far as a push knows: those that a manifest in the
 *                 repository names (proven, which may be out of date), and those that this push
 *                 brought there itself.
 *
 * Ownership  all-zero is the empty set.
 * Limits     20,000 blobs; more are not remembered, and so asked for or sent.
 */
#ifndef BUILDERS_REGISTRY_KNOWN_BLOBS_H
#define BUILDERS_REGISTRY_KNOWN_BLOBS_H

#include "base/digest.h"

struct known_blob {
	struct digest digest;
	bool brought;
};

struct known_blobs {
	struct known_blob *blobs; /* owned */
	size_t count;
};
void known_blobs_free(struct known_blobs *known);

bool known_blobs_has(const struct known_blobs *known, const struct digest *digest);
/* One that is known already stays as it is. */
void known_blobs_add(struct known_blobs *known, const struct digest *digest, bool brought);

/* A proof was out of date: forgets the blobs of list, or, when it is empty, all that were only proven.
 * What was brought stays in either case. Says whether any was forgotten. */
bool known_blobs_forget(struct known_blobs *known, const struct digest *list, size_t count);

#endif
