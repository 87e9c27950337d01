#include "builders/evidence/linker_map.h"
#include "builders/evidence/sbom_licence.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes are a linker's map, and a package's copyright file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct linker_map map = {0};
	struct error err = {0};

	if (!linker_map_parse(bytes, "input", &map, &err) && err.kind != ERROR_INVALID &&
		err.kind != ERROR_LIMIT)
		abort();
	for (size_t i = 1; i < map.archives.count; i++)
		if (strcmp(map.archives.items[i - 1], map.archives.items[i]) >= 0)
			abort();
	linker_map_free(&map);
	error_free(&err);

	struct sbom_licence licence = sbom_licence_parse(bytes);
	if (licence.expression && !str_is_utf8(str_of(licence.expression)))
		abort();
	for (size_t i = 0; i < licence.reference_count; i++)
		if (!licence.expression || !strstr(licence.expression, licence.references[i].id))
			abort();
	sbom_licence_free(&licence);
	return 0;
}
