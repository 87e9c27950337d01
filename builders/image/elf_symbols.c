#include "builders/image/elf_reader.h"

#include <elf.h>

enum { SYMBOL_LIMIT = 1 << 20 };

struct symbol_row {
	const char *name;
	unsigned import;
};

static const struct symbol_row symbols[] = {
	{"dlopen", ELF_IMPORTS_DLOPEN},
	{"dlmopen", ELF_IMPORTS_DLOPEN},
	{"iconv_open", ELF_IMPORTS_ICONV},
	{"setlocale", ELF_IMPORTS_LOCALE},
	{"newlocale", ELF_IMPORTS_LOCALE},
};

static unsigned import_of(struct str name)
{
	for (size_t i = 0; i < countof(symbols); i++)
		if (str_equal_text(name, symbols[i].name))
			return symbols[i].import;
	return 0;
}

/* One table of symbols and the names they have. */
struct table {
	uint64_t offset, count, names, names_end;
};

static size_t symbol_size(const struct elf_reader *r)
{
	return r->elf->is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

static bool symbol_is_defined(const struct elf_reader *r, uint64_t at)
{
	size_t section =
		r->elf->is_64 ? offsetof(Elf64_Sym, st_shndx) : offsetof(Elf32_Sym, st_shndx);

	return elf_number(r, at + section, 2) != SHN_UNDEF;
}

static bool symbol_name(const struct elf_reader *r, const struct table *t, uint64_t at,
	struct str *out)
{
	uint64_t name = elf_number(r, at, 4);

	return name != 0 && name < t->names_end - t->names &&
	       elf_text_at(r, t->names + name, t->names_end, out);
}

/* How many symbols DT_GNU_HASH says there are. Undefined ones are not hashed and stand in front,
 * except in programs with fixed addresses, where the address of a function of a library may count as
 * the program's own. 0 where none is hashed: then the table's first symbol is a mere 1. */
static uint64_t count_of_gnu_hash(const struct elf_reader *r, uint64_t at)
{
	if (!elf_in_file(r, at, 16))
		return 0;
	uint64_t buckets = elf_number(r, at, 4), first = elf_number(r, at + 4, 4);
	uint64_t bloom = elf_number(r, at + 8, 4);
	uint64_t bucket_at = at + 16 + bloom * (r->elf->is_64 ? 8 : 4);
	uint64_t last = 0;

	if (buckets > SYMBOL_LIMIT || !elf_in_file(r, bucket_at, buckets * 4))
		return 0;
	for (uint64_t i = 0; i < buckets; i++) {
		uint64_t value = elf_number(r, bucket_at + i * 4, 4);
		last = value > last ? value : last;
	}
	if (last < first)
		return 0;
	if (r->elf->type != ET_EXEC)
		return first;
	/* A chain ends with a value whose lowest bit is set. */
	uint64_t chain = bucket_at + buckets * 4;
	while (last < SYMBOL_LIMIT && elf_in_file(r, chain + (last - first) * 4, 4) &&
		!(elf_number(r, chain + (last - first) * 4, 4) & 1))
		last++;
	return last + 1;
}

/* Where no hash tells, symbols end before their names at the latest: linkers put those behind. */
static uint64_t count_symbols(const struct elf_reader *r, const struct elf_dynamic *d,
	uint64_t table)
{
	uint64_t at, count = 0;

	if (d->gnu_hash && elf_offset_of_address(r, d->gnu_hash, &at))
		count = count_of_gnu_hash(r, at);
	/* DT_HASH: the number of buckets, then that of symbols. */
	if (count == 0 && d->hash && elf_offset_of_address(r, d->hash, &at) &&
		elf_in_file(r, at, 8))
		count = elf_number(r, at + 4, 4);
	if (count == 0 && d->strings > table)
		count = (d->strings - table) / symbol_size(r);
	return count;
}

void elf_read_imports(struct elf_reader *r, const struct elf_dynamic *d)
{
	struct table t = {.names = d->strings, .names_end = d->strings_end};

	if (d->symbols == 0 || !elf_offset_of_address(r, d->symbols, &t.offset))
		return;
	t.count = count_symbols(r, d, t.offset);
	for (uint64_t i = 1; i < t.count && i < SYMBOL_LIMIT; i++) {
		uint64_t at = t.offset + i * symbol_size(r);
		struct str name;

		if (!elf_in_file(r, at, symbol_size(r)))
			return;
		if (!symbol_is_defined(r, at) && symbol_name(r, &t, at, &name))
			r->elf->imports |= import_of(name);
	}
}

/* The symbol table for debuggers, which strip(1) removes. */
static bool find_full_table(const struct elf_reader *r, struct table *out)
{
	bool wide = r->elf->is_64;
	uint64_t start = elf_number(r,
		wide ? offsetof(Elf64_Ehdr, e_shoff) : offsetof(Elf32_Ehdr, e_shoff), wide ? 8 : 4);
	uint64_t size = elf_number(r,
		wide ? offsetof(Elf64_Ehdr, e_shentsize) : offsetof(Elf32_Ehdr, e_shentsize), 2);
	uint64_t count = elf_number(r,
		wide ? offsetof(Elf64_Ehdr, e_shnum) : offsetof(Elf32_Ehdr, e_shnum), 2);
	unsigned width = wide ? 8 : 4;

	if (start == 0 || size < (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) ||
		!elf_in_file(r, start, count * size))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = start + i * size;
		size_t offset =
			wide ? offsetof(Elf64_Shdr, sh_offset) : offsetof(Elf32_Shdr, sh_offset);
		size_t length =
			wide ? offsetof(Elf64_Shdr, sh_size) : offsetof(Elf32_Shdr, sh_size);
		size_t link = wide ? offsetof(Elf64_Shdr, sh_link) : offsetof(Elf32_Shdr, sh_link);
		if (elf_number(r, at + offsetof(Elf64_Shdr, sh_type), 4) != SHT_SYMTAB)
			continue;
		uint64_t names = elf_number(r, at + link, 4);
		if (names >= count)
			return false;
		out->offset = elf_number(r, at + offset, width);
		out->count = elf_number(r, at + length, width) / symbol_size(r);
		out->names = elf_number(r, start + names * size + offset, width);
		uint64_t names_size = elf_number(r, start + names * size + length, width);
		out->names_end = out->names + names_size;
		return elf_in_file(r, out->names, names_size);
	}
	return false;
}

/* glibc's iconv loads converters from files; musl's has them built in, and no __gconv_… at all. */
static bool has_glibc_iconv(const struct elf_reader *r)
{
	struct table t = {0};
	bool iconv = false, glibc = false;

	if (!find_full_table(r, &t))
		return false;
	for (uint64_t i = 1; i < t.count && i < SYMBOL_LIMIT; i++) {
		uint64_t at = t.offset + i * symbol_size(r);
		struct str name;

		if (!elf_in_file(r, at, symbol_size(r)))
			return false;
		if (!symbol_is_defined(r, at) || !symbol_name(r, &t, at, &name))
			continue;
		iconv = iconv || str_equal_text(name, "iconv_open");
		glibc = glibc || str_starts_with(name, "__gconv_");
	}
	return iconv && glibc;
}

/* Looks for text in what the program can only read: its constants. */
static bool has_constant(const struct elf_reader *r, const char *text)
{
	for (unsigned i = 0; i < r->header_count; i++) {
		struct elf_segment s = elf_segment_at(r, i);
		if (s.type == PT_LOAD && !(s.flags & PF_W) && elf_in_file(r, s.offset, s.size) &&
			memmem(r->bytes.data + s.offset, (size_t)s.size, text, strlen(text)))
			return true;
	}
	return false;
}

unsigned elf_static_needs(const struct elf *elf, struct str bytes)
{
	struct elf copy = *elf;
	struct elf_reader r = {.bytes = bytes,
		.elf = &copy,
		.header_offset = elf->header_offset,
		.header_count = elf->header_count,
		.header_size = elf->header_size};
	unsigned needs = 0;

	if (elf->interpreter.size > 0 || elf->needed_count > 0)
		return 0;
	if (has_constant(&r, "libnss_%s.so"))
		needs |= ELF_STATIC_NAMES;
	if (has_glibc_iconv(&r))
		needs |= ELF_STATIC_ICONV;
	return needs;
}
