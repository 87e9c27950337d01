#include "builders/registry/known_blobs.h"

#include "base/memory.h"

#include <stdlib.h>

enum { KNOWN_LIMIT = 20000 };

void known_blobs_free(struct known_blobs *known)
{
	free(known->blobs);
	*known = (struct known_blobs){0};
}

bool known_blobs_has(const struct known_blobs *known, const struct digest *digest)
{
	for (size_t i = 0; i < known->count; i++)
		if (digest_equal(&known->blobs[i].digest, digest))
			return true;
	return false;
}

void known_blobs_add(struct known_blobs *known, const struct digest *digest, bool brought)
{
	if (known->count == KNOWN_LIMIT || known_blobs_has(known, digest))
		return;
	known->blobs = memory_resize(known->blobs, (known->count + 1) * sizeof(known->blobs[0]));
	known->blobs[known->count++] = (struct known_blob){.digest = *digest, .brought = brought};
}

bool known_blobs_forget(struct known_blobs *known, const struct digest *list, size_t count)
{
	size_t left = 0, before = known->count;

	for (size_t i = 0; i < known->count; i++)
		if (known->blobs[i].brought ||
			(count > 0 && !digest_is_among(&known->blobs[i].digest, list, count)))
			known->blobs[left++] = known->blobs[i];
	known->count = left;
	return left < before;
}
