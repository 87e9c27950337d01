/*
 * elf_reader.h - the file while it is being parsed; for the elf_*.c alone.
 *
 * Numbers are read at byte offsets, in the file's byte order. Every offset comes from outside: it is
 * checked with elf_in_file() before it is read.
 */
#ifndef BUILDERS_IMAGE_ELF_READER_H
#define BUILDERS_IMAGE_ELF_READER_H

#include "builders/image/elf.h"

#include <stdint.h>

struct elf_reader {
	struct str bytes;
	const char *what;
	struct elf *elf;
	uint64_t header_offset; /* of the program headers */
	unsigned header_count;
	size_t header_size;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, address, size, alignment;
};

/* What the dynamic section says about tables; addresses, 0 when there is none. */
struct elf_dynamic {
	uint64_t offset;
	size_t count;
	unsigned width;                /* bytes of a tag, and of a value */
	uint64_t strings, strings_end; /* offsets in the file */
	uint64_t symbols, hash, gnu_hash;
	uint64_t version_needs, version_need_count;
	uint64_t versions, version_count;
};

bool elf_in_file(const struct elf_reader *r, uint64_t offset, uint64_t size);
/* The caller has checked that offset + size lies in the file. */
uint64_t elf_number(const struct elf_reader *r, uint64_t offset, unsigned size);
struct elf_segment elf_segment_at(const struct elf_reader *r, unsigned index);
/* Where in the file a virtual address is; false when no segment of the file holds it. */
bool elf_offset_of_address(const struct elf_reader *r, uint64_t address, uint64_t *out_offset);
/* A NUL-terminated text at offset that ends before limit. */
bool elf_text_at(const struct elf_reader *r, uint64_t offset, uint64_t limit, struct str *out);

/* Both return false. */
bool elf_truncated(const struct elf_reader *r, const char *part, uint64_t end, struct error *err);
bool elf_nonsense(const struct elf_reader *r, const char *part, struct error *err);

/* elf_dynamic.c: needed libraries, paths, flags, and then the two below. */
bool elf_read_dynamic(struct elf_reader *r, struct elf_segment s, struct error *err) must_use;
/* elf_versions.c: DT_VERNEED and DT_VERDEF. */
bool elf_read_versions(struct elf_reader *r, const struct elf_dynamic *d, struct error *err)
	must_use;
/* elf_symbols.c: which functions of interest are imported. A table that makes no sense tells
 * nothing; the loader will say what is wrong with it. */
void elf_read_imports(struct elf_reader *r, const struct elf_dynamic *d);
/* elf_notes.c: what .note.dlopen says. */
void elf_read_notes(struct elf_reader *r, struct elf_segment s);

#endif
