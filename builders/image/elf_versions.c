#include "builders/image/elf_reader.h"

#include "base/memory.h"

#include <elf.h>

/* Both tables are chains: each entry says how many bytes further the next one is, 0 ends it. The
 * offsets only go forward, and the limit ends chains of tiny steps. Their shape is the same in both
 * classes. */
enum { VERSION_LIMIT = 16384 };

static bool outside(const struct elf_reader *r, const char *table, struct error *err)
{
	scoped(text_free) char *part =
		memory_format("its table of %s versions makes no sense", table);

	return elf_nonsense(r, part, err);
}

static bool name_at(const struct elf_reader *r, const struct elf_dynamic *d, uint64_t offset,
	struct str *out)
{
	return offset <= d->strings_end - d->strings &&
	       elf_text_at(r, d->strings + offset, d->strings_end, out);
}

static bool read_needs_of_file(struct elf_reader *r, const struct elf_dynamic *d, uint64_t entry,
	struct error *err)
{
	struct elf *elf = r->elf;
	size_t count = (size_t)elf_number(r, entry + offsetof(Elf64_Verneed, vn_cnt), 2);
	uint64_t at = entry + elf_number(r, entry + offsetof(Elf64_Verneed, vn_aux), 4);
	struct elf_version_need need;

	if (!name_at(r, d, elf_number(r, entry + offsetof(Elf64_Verneed, vn_file), 4), &need.file))
		return outside(r, "needed", err);
	for (size_t i = 0; i < count; i++) {
		if (!elf_in_file(r, at, sizeof(Elf64_Vernaux)) ||
			elf->version_need_count == VERSION_LIMIT ||
			!name_at(r, d, elf_number(r, at + offsetof(Elf64_Vernaux, vna_name), 4),
				&need.version))
			return outside(r, "needed", err);
		need.weak =
			elf_number(r, at + offsetof(Elf64_Vernaux, vna_flags), 2) & VER_FLG_WEAK;
		elf->version_needs = memory_resize(elf->version_needs,
			(elf->version_need_count + 1) * sizeof(elf->version_needs[0]));
		elf->version_needs[elf->version_need_count++] = need;
		uint64_t next = elf_number(r, at + offsetof(Elf64_Vernaux, vna_next), 4);
		if (next == 0)
			break;
		at += next;
	}
	return true;
}

static bool read_needs(struct elf_reader *r, const struct elf_dynamic *d, struct error *err)
{
	uint64_t at;

	if (d->version_needs == 0)
		return true;
	if (!elf_offset_of_address(r, d->version_needs, &at))
		return outside(r, "needed", err);
	for (uint64_t i = 0; i < d->version_need_count && i < VERSION_LIMIT; i++) {
		if (!elf_in_file(r, at, sizeof(Elf64_Verneed)))
			return outside(r, "needed", err);
		if (!read_needs_of_file(r, d, at, err))
			return false;
		uint64_t next = elf_number(r, at + offsetof(Elf64_Verneed, vn_next), 4);
		if (next == 0)
			break;
		at += next;
	}
	return true;
}

static bool read_definitions(struct elf_reader *r, const struct elf_dynamic *d, struct error *err)
{
	struct elf *elf = r->elf;
	uint64_t at;

	if (d->versions == 0)
		return true;
	if (!elf_offset_of_address(r, d->versions, &at))
		return outside(r, "defined", err);
	for (uint64_t i = 0; i < d->version_count && i < VERSION_LIMIT; i++) {
		if (!elf_in_file(r, at, sizeof(Elf64_Verdef)))
			return outside(r, "defined", err);
		/* The first name is the version's own; those behind it are its parents. */
		uint64_t name = at + elf_number(r, at + offsetof(Elf64_Verdef, vd_aux), 4);
		struct str text;
		if (!elf_in_file(r, name, sizeof(Elf64_Verdaux)) ||
			!name_at(r, d, elf_number(r, name, 4), &text))
			return outside(r, "defined", err);
		elf->versions = memory_resize(elf->versions,
			(elf->version_count + 1) * sizeof(elf->versions[0]));
		elf->versions[elf->version_count++] = text;
		uint64_t next = elf_number(r, at + offsetof(Elf64_Verdef, vd_next), 4);
		if (next == 0)
			break;
		at += next;
	}
	return true;
}

bool elf_read_versions(struct elf_reader *r, const struct elf_dynamic *d, struct error *err)
{
	return read_needs(r, d, err) && read_definitions(r, d, err);
}

bool elf_defines_version(const struct elf *elf, struct str version)
{
	for (size_t i = 0; i < elf->version_count; i++)
		if (str_equal(elf->versions[i], version))
			return true;
	return false;
}
