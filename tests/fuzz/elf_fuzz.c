#include "builders/image/elf.h"
#include "builders/image/loader_cache.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str piece)
{
	if (piece.size > 0 &&
		(piece.data < whole.data || piece.data + piece.size > whole.data + whole.size))
		abort();
}

static bool look_on(void *context, struct str path)
{
	check_inside(*(struct str *)context, path);
	return false;
}

/* The bytes are a program or library, and the loader's cache. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct elf elf = {0};
	struct error err = {0};

	if (elf_parse(bytes, "input", &elf, &err)) {
		check_inside(bytes, elf.interpreter);
		check_inside(bytes, elf.soname);
		check_inside(bytes, elf.rpath);
		check_inside(bytes, elf.runpath);
		for (size_t i = 0; i < elf.needed_count; i++)
			check_inside(bytes, elf.needed[i]);
		(void)elf_architecture(&elf);
		(void)elf_is_static_with_nss(&elf, bytes);
	} else if (err.kind != ERROR_INVALID) {
		abort();
	}
	elf_free(&elf);
	error_free(&err);
	(void)loader_cache_find(bytes, str_of("libz.so.1"), look_on, &bytes);
	return 0;
}
