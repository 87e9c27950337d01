#include "base/memory.h"
#include "builders/image/package_index.h"
#include "builders/image/package_status.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str piece)
{
	if (piece.size > 0 &&
		(piece.data < whole.data || piece.data + piece.size > whole.data + whole.size))
		abort();
}

/* The bytes are dpkg's status file, and a kept index of its lists. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(text_free) char *copy = memory_copy(data, size); /* aligned, as a map is */
	struct str bytes = {copy, size}, rest = bytes, stanza;
	struct package_stamp stamp = {0};
	struct package_index index = {0};

	while (stanza_next(&rest, &stanza)) {
		check_inside(bytes, stanza);
		check_inside(stanza, stanza_field(stanza, "Package"));
		check_inside(stanza, stanza_field(stanza, "Description"));
	}
	if (size >= 8 + sizeof(stamp))
		memcpy(&stamp, copy + 8, sizeof(stamp));
	if (package_index_parse(bytes, &stamp, &index)) {
		int number = package_index_find(&index, str_of("/usr/lib/libz.so.1"));
		if (number >= (int)index.count)
			abort();
	}
	return 0;
}
