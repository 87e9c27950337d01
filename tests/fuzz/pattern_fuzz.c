/* Artifact patterns against paths, divided by the first newline: no crash, and soon an answer. */
#include "buildspec/pattern.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	char *pattern = str_copy(str_cut(&rest, '\n')), *path = str_copy(rest);

	pattern_matches(pattern, path);
	free(pattern);
	free(path);
	return 0;
}
