/* A path of the registry: what is cut out lies inside it, and a reference is never empty. */
#include "deployers/local/registry_api.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct str whole, struct str piece)
{
	return !piece.size ||
	       (piece.data >= whole.data && piece.data + piece.size <= whole.data + whole.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole = {(const char *)data, size};
	struct registry_path path = registry_path_parse(whole);
	bool named = path.what == REGISTRY_BLOB || path.what == REGISTRY_UPLOAD ||
		     path.what == REGISTRY_MANIFEST || path.what == REGISTRY_REFERRERS;

	if (!is_inside(whole, path.repository) || !is_inside(whole, path.reference) ||
		named != (path.reference.size > 0))
		abort();
	return 0;
}
