#include "builders/image/elf_reader.h"

#include "base/memory.h"

#include <elf.h>

enum { NEEDED_LIMIT = 4096 };

/* The dynamic section: pairs of tag and value, ended by DT_NULL. */
static uint64_t tag_at(const struct elf_reader *r, const struct elf_dynamic *d, size_t i)
{
	return elf_number(r, d->offset + i * 2 * d->width, d->width);
}

static uint64_t value_at(const struct elf_reader *r, const struct elf_dynamic *d, size_t i)
{
	return elf_number(r, d->offset + i * 2 * d->width + d->width, d->width);
}

static bool find_strings(const struct elf_reader *r, struct elf_dynamic *d, uint64_t address,
	uint64_t size, struct error *err)
{
	if (address == 0 && size == 0)
		return true;
	if (!elf_offset_of_address(r, address, &d->strings))
		return elf_nonsense(r, "its dynamic string table lies outside the file", err);
	if (!elf_in_file(r, d->strings, size))
		return elf_truncated(r, "the dynamic string table", d->strings + size, err);
	d->strings_end = d->strings + size;
	return true;
}

/* Notes where the tables are; the names are read once their table is known. */
static bool find_tables(const struct elf_reader *r, struct elf_dynamic *d, struct error *err)
{
	uint64_t strings = 0, strings_size = 0;

	for (size_t i = 0; i < d->count && tag_at(r, d, i) != DT_NULL; i++) {
		const struct {
			uint64_t tag, *place;
		} rows[] = {{DT_STRTAB, &strings}, {DT_STRSZ, &strings_size},
			{DT_SYMTAB, &d->symbols}, {DT_HASH, &d->hash}, {DT_GNU_HASH, &d->gnu_hash},
			{DT_VERNEED, &d->version_needs}, {DT_VERNEEDNUM, &d->version_need_count},
			{DT_VERDEF, &d->versions}, {DT_VERDEFNUM, &d->version_count}};
		for (size_t row = 0; row < countof(rows); row++)
			if (rows[row].tag == tag_at(r, d, i))
				*rows[row].place = value_at(r, d, i);
	}
	return find_strings(r, d, strings, strings_size, err);
}

static bool add_needed(struct elf_reader *r, struct str name, struct error *err)
{
	struct elf *elf = r->elf;

	if (elf->needed_count == NEEDED_LIMIT || name.size == 0)
		return elf_nonsense(r, "its list of needed libraries makes no sense", err);
	elf->needed = memory_resize(elf->needed, (elf->needed_count + 1) * sizeof(elf->needed[0]));
	elf->needed[elf->needed_count++] = name;
	return true;
}

/* DT_FILTER and DT_AUXILIARY name libraries that stand in for this one: the loader maps the first
 * and fails without; the second is a matter of choice, so only the first counts as needed. */
static bool read_names(struct elf_reader *r, const struct elf_dynamic *d, struct error *err)
{
	struct elf *elf = r->elf;

	for (size_t i = 0; i < d->count && tag_at(r, d, i) != DT_NULL; i++) {
		uint64_t tag = tag_at(r, d, i), value = value_at(r, d, i);
		struct str text;

		if (tag == DT_FLAGS_1)
			elf->no_default_folders = value & DF_1_NODEFLIB;
		if (tag != DT_NEEDED && tag != DT_SONAME && tag != DT_RPATH && tag != DT_RUNPATH &&
			tag != DT_FILTER)
			continue;
		if (value > d->strings_end - d->strings ||
			!elf_text_at(r, d->strings + value, d->strings_end, &text))
			return elf_nonsense(r,
				"a name in its dynamic section lies outside the file", err);
		if (tag == DT_SONAME)
			elf->soname = text;
		else if (tag == DT_RPATH)
			elf->rpath = text;
		else if (tag == DT_RUNPATH)
			elf->runpath = text;
		else if (!add_needed(r, text, err))
			return false;
	}
	return true;
}

bool elf_read_dynamic(struct elf_reader *r, struct elf_segment s, struct error *err)
{
	struct elf_dynamic d = {.offset = s.offset, .width = r->elf->is_64 ? 8 : 4};

	d.count = (size_t)(s.size / (2 * d.width));
	r->elf->dynamic = true;
	if (!find_tables(r, &d, err) || !read_names(r, &d, err) || !elf_read_versions(r, &d, err))
		return false;
	elf_read_imports(r, &d);
	return true;
}
