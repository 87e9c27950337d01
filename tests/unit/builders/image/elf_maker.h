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
	const char *interpreter, *soname, *rpath, *runpath, *filter; /* NULL: none */
	const char *needed[8];                                       /* ends with NULL */
	uint64_t flags_1;
	const char *version_file;     /* versions are needed of this library */
	const char *version_needs[4]; /* end with NULL */
	bool weak_needs;
	const char *versions[4]; /* defined; the first is the file itself, as linkers write it */
	const char *imports[4];  /* undefined symbols */
	const char *dlopen_notes[3]; /* each the JSON of a .note.dlopen */
	const char *tail;            /* bytes behind everything else */
	bool tail_is_loaded;         /* they are part of the program's constants */
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

/* Elf_Verneed for one library with an Elf_Vernaux for each version. */
static void elf_put_version_needs(struct buf *out, const struct elf_recipe *recipe,
	struct buf *strings)
{
	unsigned count = 0;

	while (recipe->version_needs[count])
		count++;
	elf_put(out, recipe, 1, 2);
	elf_put(out, recipe, count, 2);
	elf_put(out, recipe, elf_put_text(strings, recipe->version_file), 4);
	elf_put(out, recipe, 16, 4);
	elf_put(out, recipe, 0, 4);
	for (unsigned i = 0; i < count; i++) {
		elf_put(out, recipe, 0, 4); /* hash: ours compares names */
		elf_put(out, recipe, recipe->weak_needs ? VER_FLG_WEAK : 0, 2);
		elf_put(out, recipe, i + 2, 2);
		elf_put(out, recipe, elf_put_text(strings, recipe->version_needs[i]), 4);
		elf_put(out, recipe, i + 1 < count ? 16 : 0, 4);
	}
}

/* Elf_Verdef and its Elf_Verdaux for each version. */
static void elf_put_versions(struct buf *out, const struct elf_recipe *recipe, unsigned count,
	struct buf *strings)
{
	for (unsigned i = 0; i < count; i++) {
		elf_put(out, recipe, 1, 2);
		elf_put(out, recipe, i == 0 ? VER_FLG_BASE : 0, 2);
		elf_put(out, recipe, i + 1, 2);
		elf_put(out, recipe, 1, 2);
		elf_put(out, recipe, 0, 4);
		elf_put(out, recipe, 20, 4);
		elf_put(out, recipe, i + 1 < count ? 28 : 0, 4);
		elf_put(out, recipe, elf_put_text(strings, recipe->versions[i]), 4);
		elf_put(out, recipe, 0, 4);
	}
}

/* A symbol table of imports, and behind it the DT_GNU_HASH that GNU ld writes when it hashes none: one
 * empty bucket, and the first symbol is 1. */
static void elf_put_imports(struct buf *out, const struct elf_recipe *recipe, unsigned count,
	struct buf *strings)
{
	size_t size = recipe->is_32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);

	for (unsigned i = 0; i <= count; i++) {
		size_t start = out->size;
		elf_put(out, recipe, i ? elf_put_text(strings, recipe->imports[i - 1]) : 0, 4);
		while (out->size < start + size)
			buf_append_char(out, 0);
	}
	elf_put(out, recipe, 1, 4);
	elf_put(out, recipe, 1, 4);
	elf_put(out, recipe, 1, 4);
	elf_put(out, recipe, 0, 4);
	elf_put_word(out, recipe, 0);
	elf_put(out, recipe, 0, 4);
}

static void elf_put_note(struct buf *out, const struct elf_recipe *recipe, const char *json)
{
	elf_put(out, recipe, 4, 4);
	elf_put(out, recipe, strlen(json) + 1, 4);
	elf_put(out, recipe, 0x407c0c0a, 4);
	buf_append(out, "FDO", 4);
	buf_append(out, json, strlen(json) + 1);
	while (out->size % 4)
		buf_append_char(out, 0);
}

static unsigned elf_count(const char *const *list, unsigned room)
{
	unsigned count = 0;

	while (count < room && list[count])
		count++;
	return count;
}

/* Appends the file to out, which must be empty. */
static void elf_make(const struct elf_recipe *recipe, struct buf *out)
{
	size_t header_size = recipe->is_32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	size_t segment_size = recipe->is_32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	struct buf strings = {0}, dynamic = {0}, interpreter = {0}, tables = {0}, notes = {0};
	unsigned needed = elf_count(recipe->needed, 8), versions = elf_count(recipe->versions, 4);
	unsigned imports = elf_count(recipe->imports, 4);
	unsigned note_count = elf_count(recipe->dlopen_notes, 3);
	bool has_dynamic = needed || recipe->soname || recipe->rpath || recipe->runpath ||
			   recipe->filter || recipe->flags_1 || recipe->version_file || versions ||
			   imports;
	unsigned segments = 1 + has_dynamic + (recipe->interpreter != NULL) + (note_count > 0);
	uint64_t tables_at = header_size + segments * segment_size;

	elf_put_text(&strings, "");
	for (size_t i = 0; i < needed; i++)
		elf_put_tag(&dynamic, recipe, DT_NEEDED, elf_put_text(&strings, recipe->needed[i]));
	if (recipe->soname)
		elf_put_tag(&dynamic, recipe, DT_SONAME, elf_put_text(&strings, recipe->soname));
	if (recipe->rpath)
		elf_put_tag(&dynamic, recipe, DT_RPATH, elf_put_text(&strings, recipe->rpath));
	if (recipe->runpath)
		elf_put_tag(&dynamic, recipe, DT_RUNPATH, elf_put_text(&strings, recipe->runpath));
	if (recipe->filter)
		elf_put_tag(&dynamic, recipe, DT_FILTER, elf_put_text(&strings, recipe->filter));
	if (recipe->flags_1)
		elf_put_tag(&dynamic, recipe, DT_FLAGS_1, recipe->flags_1);
	if (recipe->version_file) {
		elf_put_tag(&dynamic, recipe, DT_VERNEED, tables_at + tables.size);
		elf_put_tag(&dynamic, recipe, DT_VERNEEDNUM, 1);
		elf_put_version_needs(&tables, recipe, &strings);
	}
	if (versions) {
		elf_put_tag(&dynamic, recipe, DT_VERDEF, tables_at + tables.size);
		elf_put_tag(&dynamic, recipe, DT_VERDEFNUM, versions);
		elf_put_versions(&tables, recipe, versions, &strings);
	}
	if (imports) {
		elf_put_tag(&dynamic, recipe, DT_SYMTAB, tables_at + tables.size);
		elf_put_imports(&tables, recipe, imports, &strings);
		elf_put_tag(&dynamic, recipe, DT_GNU_HASH,
			tables_at + tables.size - (recipe->is_32 ? 24 : 28));
	}
	for (unsigned i = 0; i < note_count; i++)
		elf_put_note(&notes, recipe, recipe->dlopen_notes[i]);
	uint64_t notes_at = tables_at + tables.size, strings_at = notes_at + notes.size;
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
	elf_put_segment(out, recipe, PT_LOAD, 0,
		end + (recipe->tail_is_loaded ? strlen(recipe->tail) : 0));
	if (has_dynamic)
		elf_put_segment(out, recipe, PT_DYNAMIC, dynamic_at, dynamic.size);
	if (recipe->interpreter)
		elf_put_segment(out, recipe, PT_INTERP, interpreter_at, interpreter.size);
	if (note_count)
		elf_put_segment(out, recipe, PT_NOTE, notes_at, notes.size);
	buf_append(out, tables.data, tables.size);
	buf_append(out, notes.data, notes.size);
	buf_append(out, strings.data, strings.size);
	buf_append(out, dynamic.data, dynamic.size);
	buf_append(out, interpreter.data, interpreter.size);
	if (recipe->tail)
		buf_append_text(out, recipe->tail);
	buf_free(&strings);
	buf_free(&dynamic);
	buf_free(&interpreter);
	buf_free(&tables);
	buf_free(&notes);
}

#endif
