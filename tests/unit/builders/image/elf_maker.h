/*
 * elf_maker.h - writes small ELF files for tests: a header, program headers, a dynamic section and
 *               its strings, in either class and byte order. No code.
 */
#ifndef TESTS_UNIT_BUILDERS_IMAGE_ELF_MAKER_H
#define TESTS_UNIT_BUILDERS_IMAGE_ELF_MAKER_H

#include "base/buf.h"

#include <elf.h>

struct elf_recipe {
	int machine; /* 0: EM_X86_64 */
	int type;    /* 0: ET_DYN */
	bool is_32, big_endian;
	const char *interpreter, *soname, *rpath, *runpath; /* NULL: none */
	const char *needed[8];                              /* ends with NULL */
	uint64_t flags_1;
	const char *tail; /* bytes behind everything else */
};

static void elf_put(struct buf *out, const struct elf_recipe *recipe, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buf_append_char(out, (char)(value >> 8 * (recipe->big_endian ? size - 1 - i : i)));
}

static void elf_put_word(struct buf *out, const struct elf_recipe *recipe, uint64_t value)
{
	elf_put(out, recipe, value, recipe->is_32 ? 4 : 8);
}

static void elf_put_segment(struct buf *out, const struct elf_recipe *recipe, uint32_t type,
	uint64_t offset, uint64_t size)
{
	elf_put(out, recipe, type, 4);
	if (!recipe->is_32)
		elf_put(out, recipe, PF_R, 4);
	elf_put_word(out, recipe, offset);
	elf_put_word(out, recipe, offset); /* loaded at its offset */
	elf_put_word(out, recipe, offset);
	elf_put_word(out, recipe, size);
	elf_put_word(out, recipe, size);
	if (recipe->is_32)
		elf_put(out, recipe, PF_R, 4);
	elf_put_word(out, recipe, 4096);
}

static uint64_t elf_put_text(struct buf *strings, const char *text)
{
	uint64_t at = strings->size;

	buf_append(strings, text, strlen(text) + 1);
	return at;
}

static void elf_put_tag(struct buf *out, const struct elf_recipe *recipe, uint64_t tag,
	uint64_t value)
{
	elf_put_word(out, recipe, tag);
	elf_put_word(out, recipe, value);
}

/* Appends the file to out, which must be empty. */
static void elf_make(const struct elf_recipe *recipe, struct buf *out)
{
	size_t header_size = recipe->is_32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	size_t segment_size = recipe->is_32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	struct buf strings = {0}, dynamic = {0}, interpreter = {0};
	size_t needed = 0;
	bool has_dynamic;

	while (recipe->needed[needed])
		needed++;
	has_dynamic =
		needed || recipe->soname || recipe->rpath || recipe->runpath || recipe->flags_1;
	unsigned segments = 1 + has_dynamic + (recipe->interpreter != NULL);
	uint64_t strings_at = header_size + segments * segment_size;

	elf_put_text(&strings, "");
	for (size_t i = 0; i < needed; i++)
		elf_put_tag(&dynamic, recipe, DT_NEEDED, elf_put_text(&strings, recipe->needed[i]));
	if (recipe->soname)
		elf_put_tag(&dynamic, recipe, DT_SONAME, elf_put_text(&strings, recipe->soname));
	if (recipe->rpath)
		elf_put_tag(&dynamic, recipe, DT_RPATH, elf_put_text(&strings, recipe->rpath));
	if (recipe->runpath)
		elf_put_tag(&dynamic, recipe, DT_RUNPATH, elf_put_text(&strings, recipe->runpath));
	if (recipe->flags_1)
		elf_put_tag(&dynamic, recipe, DT_FLAGS_1, recipe->flags_1);
	elf_put_tag(&dynamic, recipe, DT_STRTAB, strings_at);
	elf_put_tag(&dynamic, recipe, DT_STRSZ, strings.size);
	elf_put_tag(&dynamic, recipe, DT_NULL, 0);
	if (recipe->interpreter)
		buf_append(&interpreter, recipe->interpreter, strlen(recipe->interpreter) + 1);

	uint64_t dynamic_at = strings_at + strings.size;
	uint64_t interpreter_at = dynamic_at + dynamic.size;
	uint64_t end = interpreter_at + interpreter.size;

	buf_append(out, ELFMAG, SELFMAG);
	buf_append_char(out, recipe->is_32 ? ELFCLASS32 : ELFCLASS64);
	buf_append_char(out, recipe->big_endian ? ELFDATA2MSB : ELFDATA2LSB);
	buf_append_char(out, EV_CURRENT);
	buf_append(out, "\0\0\0\0\0\0\0\0\0", 9);
	elf_put(out, recipe, recipe->type ? (uint64_t)recipe->type : ET_DYN, 2);
	elf_put(out, recipe, recipe->machine ? (uint64_t)recipe->machine : EM_X86_64, 2);
	elf_put(out, recipe, EV_CURRENT, 4);
	elf_put_word(out, recipe, 0);           /* e_entry */
	elf_put_word(out, recipe, header_size); /* e_phoff */
	elf_put_word(out, recipe, 0);           /* e_shoff */
	elf_put(out, recipe, 0, 4);             /* e_flags */
	elf_put(out, recipe, header_size, 2);
	elf_put(out, recipe, segment_size, 2);
	elf_put(out, recipe, segments, 2);
	elf_put(out, recipe, 0, 2);
	elf_put(out, recipe, 0, 2);
	elf_put(out, recipe, 0, 2);
	elf_put_segment(out, recipe, PT_LOAD, 0, end);
	if (has_dynamic)
		elf_put_segment(out, recipe, PT_DYNAMIC, dynamic_at, dynamic.size);
	if (recipe->interpreter)
		elf_put_segment(out, recipe, PT_INTERP, interpreter_at, interpreter.size);
	buf_append(out, strings.data, strings.size);
	buf_append(out, dynamic.data, dynamic.size);
	buf_append(out, interpreter.data, interpreter.size);
	if (recipe->tail)
		buf_append_text(out, recipe->tail);
	buf_free(&strings);
	buf_free(&dynamic);
	buf_free(&interpreter);
}

#endif
