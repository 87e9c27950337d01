#include "builders/image/elf_reader.h"

#include "base/memory.h"

#include <elf.h>

enum {
	NOTE_LIMIT = 256,
	BUILD_ID_LIMIT = 64,
	NOTE_DLOPEN = 0x407c0c0a,
};

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) / alignment * alignment;
}

/* A note: the sizes of its owner's name and of its content, its type; then name and content, each
 * filled up to the segment's alignment (4, or 8 where it says 8). */
void elf_read_notes(struct elf_reader *r, struct elf_segment s)
{
	struct elf *elf = r->elf;
	uint64_t alignment = s.alignment == 8 ? 8 : 4;
	uint64_t end = s.offset + s.size;

	for (uint64_t at = s.offset; at <= end && end - at >= 12;) {
		uint64_t name_size = elf_number(r, at, 4), size = elf_number(r, at + 4, 4);
		uint64_t type = elf_number(r, at + 8, 4);
		uint64_t content = at + align_up(12 + name_size, alignment);

		if (content > end || size > end - content)
			return;
		if (type == NOTE_DLOPEN && name_size == 4 &&
			memcmp(r->bytes.data + at + 12, "FDO", 4) == 0 &&
			elf->dlopen_note_count < NOTE_LIMIT) {
			const char *start = r->bytes.data + content;
			elf->dlopen_notes = memory_resize(elf->dlopen_notes,
				(elf->dlopen_note_count + 1) * sizeof(elf->dlopen_notes[0]));
			elf->dlopen_notes[elf->dlopen_note_count++] =
				(struct str){start, strnlen(start, (size_t)size)};
		}
		if (type == NT_GNU_BUILD_ID && name_size == 4 && size <= BUILD_ID_LIMIT &&
			memcmp(r->bytes.data + at + 12, "GNU", 4) == 0)
			elf->build_id = (struct str){r->bytes.data + content, (size_t)size};
		at = content + align_up(size, alignment);
	}
}
