/* A lifecycle policy and what it decides about a few images: no crash, and the same answer twice. */
#include "deployers/local/lifecycle.h"

#include "base/memory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char prod[] = "prod-1", dev[] = "dev-2", part[] = "sha256:1";
	static char *tags[] = {prod, dev, part};
	const struct strings none = {0}, one = {.items = tags, .count = 1},
			     all = {.items = tags, .count = 3};
	struct lifecycle_image images[] = {
		{"sha256:1", &none, NULL, 0, 0},
		{"sha256:2", &one, NULL, 1000, 0},
		{"sha256:3", &all, &all, 2000, 0},
		{"sha256:4", &all, NULL, INT64_C(1700000000000), 0},
	};
	struct lifecycle *lifecycle = NULL;
	struct error err = {0};
	int64_t first[4];

	if (lifecycle_parse((struct str){(const char *)data, size}, &lifecycle, &err)) {
		lifecycle_decide(lifecycle, images, 4, INT64_C(1800000000000));
		for (size_t i = 0; i < 4; i++)
			first[i] = images[i].expired_by;
		lifecycle_decide(lifecycle, images, 4, INT64_C(1800000000000));
		for (size_t i = 0; i < 4; i++)
			if (images[i].expired_by != first[i])
				abort();
		lifecycle_free(&lifecycle);
	}
	error_free(&err);
	return 0;
}
