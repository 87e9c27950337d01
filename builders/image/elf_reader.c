#include "builders/image/elf_reader.h"

#include <elf.h>

enum { TEXT_LIMIT = 4096 };

bool elf_in_file(const struct elf_reader *r, uint64_t offset, uint64_t size)
{
	return offset <= r->bytes.size && size <= r->bytes.size - offset;
}

uint64_t elf_number(const struct elf_reader *r, uint64_t offset, unsigned size)
{
	const unsigned char *at = (const unsigned char *)r->bytes.data + offset;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[r->elf->big_endian ? i : size - 1 - i];
	return value;
}

bool elf_truncated(const struct elf_reader *r, const char *part, uint64_t end, struct error *err)
{
	error_raise(err, ERROR_INVALID,
		"\"%s\" is truncated: %s ends at byte %llu, the file has %zu", r->what, part,
		(unsigned long long)end, r->bytes.size);
	return error_next(err, "build it again; was the disk full?");
}

bool elf_nonsense(const struct elf_reader *r, const char *part, struct error *err)
{
	error_raise(err, ERROR_INVALID, "\"%s\" is no valid ELF file: %s", r->what, part);
	return error_next(err, "it is damaged, or was changed by hand: build it again");
}

struct elf_segment elf_segment_at(const struct elf_reader *r, unsigned index)
{
	uint64_t at = r->header_offset + (uint64_t)index * r->header_size;

	if (r->elf->is_64)
		return (struct elf_segment){
			.type = (uint32_t)elf_number(r, at + offsetof(Elf64_Phdr, p_type), 4),
			.flags = (uint32_t)elf_number(r, at + offsetof(Elf64_Phdr, p_flags), 4),
			.offset = elf_number(r, at + offsetof(Elf64_Phdr, p_offset), 8),
			.address = elf_number(r, at + offsetof(Elf64_Phdr, p_vaddr), 8),
			.size = elf_number(r, at + offsetof(Elf64_Phdr, p_filesz), 8),
			.alignment = elf_number(r, at + offsetof(Elf64_Phdr, p_align), 8),
		};
	return (struct elf_segment){
		.type = (uint32_t)elf_number(r, at + offsetof(Elf32_Phdr, p_type), 4),
		.flags = (uint32_t)elf_number(r, at + offsetof(Elf32_Phdr, p_flags), 4),
		.offset = elf_number(r, at + offsetof(Elf32_Phdr, p_offset), 4),
		.address = elf_number(r, at + offsetof(Elf32_Phdr, p_vaddr), 4),
		.size = elf_number(r, at + offsetof(Elf32_Phdr, p_filesz), 4),
		.alignment = elf_number(r, at + offsetof(Elf32_Phdr, p_align), 4),
	};
}

bool elf_offset_of_address(const struct elf_reader *r, uint64_t address, uint64_t *out_offset)
{
	for (unsigned i = 0; i < r->header_count; i++) {
		struct elf_segment s = elf_segment_at(r, i);
		if (s.type == PT_LOAD && address >= s.address && address - s.address < s.size) {
			*out_offset = s.offset + (address - s.address);
			return *out_offset >= s.offset && *out_offset < r->bytes.size;
		}
	}
	return false;
}

bool elf_text_at(const struct elf_reader *r, uint64_t offset, uint64_t limit, struct str *out)
{
	if (limit > r->bytes.size)
		limit = r->bytes.size;
	if (offset >= limit)
		return false;
	size_t room = (size_t)(limit - offset);
	const char *start = r->bytes.data + offset;
	const char *end = memchr(start, 0, room < TEXT_LIMIT ? room : TEXT_LIMIT);
	if (!end)
		return false;
	*out = (struct str){start, (size_t)(end - start)};
	return true;
}
