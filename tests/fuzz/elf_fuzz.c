#include "builders/image/dlopen_note.h"
#include "builders/image/elf.h"
#include "builders/image/loader_cache.h"
#include "builders/image/loader_folders.h"

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

static void check_versions(struct str bytes, const struct elf *elf)
{
	for (size_t i = 0; i < elf->version_need_count; i++) {
		check_inside(bytes, elf->version_needs[i].file);
		check_inside(bytes, elf->version_needs[i].version);
	}
	for (size_t i = 0; i < elf->version_count; i++)
		check_inside(bytes, elf->versions[i]);
	(void)elf_defines_version(elf, str_of("GLIBC_2.34"));
}

static void read_note(struct str text)
{
	struct dlopen_note note = {0};
	struct error err = {0};

	if (!dlopen_note_parse(text, "input", &note, &err) && err.kind != ERROR_INVALID &&
		err.kind != ERROR_LIMIT)
		abort();
	dlopen_note_free(&note);
	error_free(&err);
}

/* The bytes are a program or library, a dlopen note, a loader with its default folders,
 * and the loader's cache. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct elf elf = {0};
	struct error err = {0};

	if (elf_parse(bytes, "input", &elf, &err)) {
		check_inside(bytes, elf.interpreter);
		check_inside(bytes, elf.soname);
		check_inside(bytes, elf.build_id);
		(void)elf_has_section(&elf, bytes, ".debug_info");
		check_inside(bytes, elf.rpath);
		check_inside(bytes, elf.runpath);
		for (size_t i = 0; i < elf.needed_count; i++)
			check_inside(bytes, elf.needed[i]);
		(void)elf_architecture(&elf);
		check_versions(bytes, &elf);
		for (size_t i = 0; i < elf.dlopen_note_count; i++) {
			check_inside(bytes, elf.dlopen_notes[i]);
			read_note(elf.dlopen_notes[i]);
		}
		(void)elf_static_needs(&elf, bytes);
	} else if (err.kind != ERROR_INVALID) {
		abort();
	}
	elf_free(&elf);
	error_free(&err);
	if (size > 0 && data[0] == '[')
		read_note(bytes);
	struct strings folders = {0};
	(void)loader_folders_read(bytes, &folders);
	strings_free(&folders);
	(void)loader_cache_find(bytes, str_of("libz.so.1"), look_on, &bytes);
	return 0;
}
