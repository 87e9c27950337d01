#include "builders/image/elf_reader.h"

#include <elf.h>
#include <stddef.h>

enum { SECTION_LIMIT = 100000 };

/* Where the headers of sections and the fields that we read are, for both classes. */
struct shape {
	size_t table, size, count, names;              /* in the file's header */
	size_t entry_size, entry_offset, entry_length; /* in a section's header */
	unsigned width;
};

static const struct shape shapes[] = {
	{offsetof(Elf32_Ehdr, e_shoff), offsetof(Elf32_Ehdr, e_shentsize),
		offsetof(Elf32_Ehdr, e_shnum), offsetof(Elf32_Ehdr, e_shstrndx), sizeof(Elf32_Shdr),
		offsetof(Elf32_Shdr, sh_offset), offsetof(Elf32_Shdr, sh_size), 4},
	{offsetof(Elf64_Ehdr, e_shoff), offsetof(Elf64_Ehdr, e_shentsize),
		offsetof(Elf64_Ehdr, e_shnum), offsetof(Elf64_Ehdr, e_shstrndx), sizeof(Elf64_Shdr),
		offsetof(Elf64_Shdr, sh_offset), offsetof(Elf64_Shdr, sh_size), 8},
};

bool elf_has_section(const struct elf *elf, struct str bytes, const char *name)
{
	struct elf copy = *elf;
	struct elf_reader r = {.bytes = bytes, .what = "", .elf = &copy};
	const struct shape *shape = &shapes[elf->is_64];

	if (!elf_in_file(&r, 0, elf->is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return false;
	uint64_t table = elf_number(&r, shape->table, shape->width);
	uint64_t size = elf_number(&r, shape->size, 2), count = elf_number(&r, shape->count, 2);
	uint64_t names = elf_number(&r, shape->names, 2);
	if (size < shape->entry_size || count > SECTION_LIMIT || names >= count ||
		!elf_in_file(&r, table, size * count))
		return false;
	uint64_t header = table + names * size;
	uint64_t start = elf_number(&r, header + shape->entry_offset, shape->width);
	uint64_t length = elf_number(&r, header + shape->entry_length, shape->width);
	if (!elf_in_file(&r, start, length))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = elf_number(&r, table + i * size, 4); /* sh_name */
		struct str text;

		if (at < length && elf_text_at(&r, start + at, start + length, &text) &&
			str_equal_text(text, name))
			return true;
	}
	return false;
}
