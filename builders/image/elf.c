#include "builders/image/elf.h"

#include "base/file.h"
#include "base/memory.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEADER_LIMIT = 1024,
	NEEDED_LIMIT = 4096,
	TEXT_LIMIT = 4096,
};

struct machine_row {
	int machine;
	bool is_64, big_endian;
	const char *name;
	const char *architecture; /* the GOARCH that OCI uses; NULL: none */
};

static const struct machine_row machines[] = {
	{EM_X86_64, true, false, "x86-64", "amd64"},
	{EM_AARCH64, true, false, "AArch64", "arm64"},
	{EM_386, false, false, "Intel 80386", "386"},
	{EM_ARM, false, false, "ARM", "arm"},
	{EM_RISCV, true, false, "RISC-V", "riscv64"},
	{EM_PPC64, true, false, "PowerPC 64", "ppc64le"},
	{EM_S390, true, true, "IBM S/390", "s390x"},
	{EM_LOONGARCH, true, false, "LoongArch", "loong64"},
	{EM_MIPS, false, false, "MIPS", NULL},
	{EM_SPARCV9, true, true, "SPARC v9", NULL},
};

const char *elf_machine_name(int machine)
{
	for (size_t i = 0; i < countof(machines); i++)
		if (machines[i].machine == machine)
			return machines[i].name;
	return NULL;
}

const char *elf_architecture(const struct elf *elf)
{
	for (size_t i = 0; i < countof(machines); i++) {
		const struct machine_row *row = &machines[i];
		if (row->machine == elf->machine && row->is_64 == elf->is_64 &&
			row->big_endian == elf->big_endian)
			return row->architecture;
	}
	return NULL;
}

int elf_machine_of_architecture(const char *architecture)
{
	for (size_t i = 0; i < countof(machines); i++)
		if (text_equal(machines[i].architecture, architecture))
			return machines[i].machine;
	return 0;
}

const char *elf_native_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__i386__)
	return "386";
#elif defined(__arm__)
	return "arm";
#elif defined(__riscv)
	return "riscv64";
#elif defined(__powerpc64__)
	return "ppc64le";
#elif defined(__s390x__)
	return "s390x";
#else
#error "which OCI architecture is this?"
#endif
}

bool elf_is(struct str bytes)
{
	return bytes.size >= SELFMAG && memcmp(bytes.data, ELFMAG, SELFMAG) == 0;
}

/* The file while it is being parsed: numbers are read at byte offsets, in the file's byte order. */
struct reader {
	struct str bytes;
	const char *what;
	struct elf *elf;
	uint64_t header_offset; /* of the program headers */
	unsigned header_count;
	size_t header_size;
};

static bool in_file(const struct reader *r, uint64_t offset, uint64_t size)
{
	return offset <= r->bytes.size && size <= r->bytes.size - offset;
}

/* The caller has checked that offset + size lies in the file. */
static uint64_t number(const struct reader *r, uint64_t offset, unsigned size)
{
	const unsigned char *at = (const unsigned char *)r->bytes.data + offset;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[r->elf->big_endian ? i : size - 1 - i];
	return value;
}

static bool truncated(const struct reader *r, const char *part, uint64_t end, struct error *err)
{
	error_raise(err, ERROR_INVALID,
		"\"%s\" is truncated: %s ends at byte %llu, the file has %zu", r->what, part,
		(unsigned long long)end, r->bytes.size);
	return error_next(err, "build it again; was the disk full?");
}

static bool nonsense(const struct reader *r, const char *part, struct error *err)
{
	return error_raise(err, ERROR_INVALID, "\"%s\" is no valid ELF file: %s", r->what, part);
}

static bool parse_file_header(struct reader *r, struct error *err)
{
	if (!elf_is(r->bytes)) {
		error_raise(err, ERROR_INVALID, "\"%s\" is not an ELF program or library", r->what);
		return error_next(err,
			str_starts_with(r->bytes, "#!")
				? "it is a script: an image is made from a compiled program"
				: "name the program that the linker wrote");
	}
	if (r->bytes.size < EI_NIDENT)
		return truncated(r, "the ELF header", EI_NIDENT, err);

	unsigned char class = (unsigned char)r->bytes.data[EI_CLASS];
	unsigned char order = (unsigned char)r->bytes.data[EI_DATA];
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return nonsense(r, "it is neither 32-bit nor 64-bit", err);
	if (order != ELFDATA2LSB && order != ELFDATA2MSB)
		return nonsense(r, "its byte order is unknown", err);
	r->elf->is_64 = class == ELFCLASS64;
	r->elf->big_endian = order == ELFDATA2MSB;

	size_t size = r->elf->is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	if (r->bytes.size < size)
		return truncated(r, "the ELF header", size, err);
	r->elf->type = (int)number(r, offsetof(Elf64_Ehdr, e_type), 2);
	r->elf->machine = (int)number(r, offsetof(Elf64_Ehdr, e_machine), 2);
	if (r->elf->type == ET_REL)
		return nonsense(r, "it is an object file, not yet linked", err);
	if (r->elf->type != ET_EXEC && r->elf->type != ET_DYN)
		return nonsense(r, "it is neither a program nor a shared library", err);
	return true;
}

static bool find_program_headers(struct reader *r, struct error *err)
{
	bool wide = r->elf->is_64;
	size_t least = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	r->header_offset = wide ? number(r, offsetof(Elf64_Ehdr, e_phoff), 8)
				: number(r, offsetof(Elf32_Ehdr, e_phoff), 4);
	r->header_size = number(r,
		wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize), 2);
	r->header_count = (unsigned)number(r,
		wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum), 2);
	if (r->header_count == 0)
		return nonsense(r, "it has no program headers, so it cannot be loaded", err);
	if (r->header_count > HEADER_LIMIT || r->header_size < least)
		return nonsense(r, "its program headers make no sense", err);
	uint64_t size = (uint64_t)r->header_count * r->header_size;
	if (!in_file(r, r->header_offset, size))
		return truncated(r, "the program header table", r->header_offset + size, err);
	return true;
}

struct segment {
	uint32_t type;
	uint64_t offset, address, size;
};

static struct segment segment_at(const struct reader *r, unsigned index)
{
	uint64_t at = r->header_offset + (uint64_t)index * r->header_size;

	if (r->elf->is_64)
		return (struct segment){
			.type = (uint32_t)number(r, at + offsetof(Elf64_Phdr, p_type), 4),
			.offset = number(r, at + offsetof(Elf64_Phdr, p_offset), 8),
			.address = number(r, at + offsetof(Elf64_Phdr, p_vaddr), 8),
			.size = number(r, at + offsetof(Elf64_Phdr, p_filesz), 8),
		};
	return (struct segment){
		.type = (uint32_t)number(r, at + offsetof(Elf32_Phdr, p_type), 4),
		.offset = number(r, at + offsetof(Elf32_Phdr, p_offset), 4),
		.address = number(r, at + offsetof(Elf32_Phdr, p_vaddr), 4),
		.size = number(r, at + offsetof(Elf32_Phdr, p_filesz), 4),
	};
}

/* Where in the file a virtual address is; false when no segment of the file holds it. */
static bool offset_of_address(const struct reader *r, uint64_t address, uint64_t *out_offset)
{
	for (unsigned i = 0; i < r->header_count; i++) {
		struct segment s = segment_at(r, i);
		if (s.type == PT_LOAD && address >= s.address && address - s.address < s.size) {
			*out_offset = s.offset + (address - s.address);
			return *out_offset >= s.offset && *out_offset < r->bytes.size;
		}
	}
	return false;
}

/* A NUL-terminated text at offset that ends before limit. */
static bool text_at(const struct reader *r, uint64_t offset, uint64_t limit, struct str *out)
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

static bool parse_interpreter(struct reader *r, struct segment s, struct error *err)
{
	struct str path;

	if (!text_at(r, s.offset, s.offset + s.size, &path) || path.size == 0 ||
		path.data[0] != '/')
		return nonsense(r, "the path of its loader (PT_INTERP) makes no sense", err);
	r->elf->interpreter = path;
	return true;
}

/* The dynamic section: pairs of tag and value, ended by DT_NULL. */
struct dynamic {
	uint64_t offset;
	size_t count;
	unsigned width; /* bytes of a tag, and of a value */
};

static uint64_t tag_at(const struct reader *r, const struct dynamic *d, size_t i)
{
	return number(r, d->offset + i * 2 * d->width, d->width);
}

static uint64_t value_at(const struct reader *r, const struct dynamic *d, size_t i)
{
	return number(r, d->offset + i * 2 * d->width + d->width, d->width);
}

static bool find_strings(const struct reader *r, const struct dynamic *d, uint64_t *out_start,
	uint64_t *out_end, struct error *err)
{
	uint64_t address = 0, size = 0;

	for (size_t i = 0; i < d->count && tag_at(r, d, i) != DT_NULL; i++) {
		if (tag_at(r, d, i) == DT_STRTAB)
			address = value_at(r, d, i);
		if (tag_at(r, d, i) == DT_STRSZ)
			size = value_at(r, d, i);
	}
	if (address == 0 && size == 0) {
		*out_start = *out_end = 0;
		return true;
	}
	if (!offset_of_address(r, address, out_start))
		return nonsense(r, "its dynamic string table lies outside the file", err);
	if (!in_file(r, *out_start, size))
		return truncated(r, "the dynamic string table", *out_start + size, err);
	*out_end = *out_start + size;
	return true;
}

static bool parse_dynamic(struct reader *r, struct segment s, struct error *err)
{
	struct elf *elf = r->elf;
	struct dynamic d = {.offset = s.offset, .width = elf->is_64 ? 8 : 4};
	uint64_t strings = 0, strings_end = 0;

	d.count = (size_t)(s.size / (2 * d.width));
	elf->dynamic = true;
	if (!find_strings(r, &d, &strings, &strings_end, err))
		return false;

	for (size_t i = 0; i < d.count && tag_at(r, &d, i) != DT_NULL; i++) {
		uint64_t tag = tag_at(r, &d, i), value = value_at(r, &d, i);
		struct str text;

		if (tag == DT_FLAGS_1)
			elf->no_default_folders = value & DF_1_NODEFLIB;
		if (tag != DT_NEEDED && tag != DT_SONAME && tag != DT_RPATH && tag != DT_RUNPATH)
			continue;
		if (value > strings_end - strings ||
			!text_at(r, strings + value, strings_end, &text))
			return nonsense(r, "a name in its dynamic section lies outside the file",
				err);
		if (tag == DT_SONAME)
			elf->soname = text;
		else if (tag == DT_RPATH)
			elf->rpath = text;
		else if (tag == DT_RUNPATH)
			elf->runpath = text;
		else if (elf->needed_count == NEEDED_LIMIT || text.size == 0)
			return nonsense(r, "its list of needed libraries makes no sense", err);
		else {
			elf->needed = memory_resize(elf->needed,
				(elf->needed_count + 1) * sizeof(elf->needed[0]));
			elf->needed[elf->needed_count++] = text;
		}
	}
	return true;
}

static bool parse_segments(struct reader *r, struct error *err)
{
	for (unsigned i = 0; i < r->header_count; i++) {
		struct segment s = segment_at(r, i);

		if (s.type != PT_LOAD && s.type != PT_INTERP && s.type != PT_DYNAMIC)
			continue;
		if (!in_file(r, s.offset, s.size))
			return truncated(r, "a loadable part", s.offset + s.size, err);
		if (s.type == PT_INTERP && !parse_interpreter(r, s, err))
			return false;
		/* One dynamic section is all a loader looks at. */
		if (s.type == PT_DYNAMIC && !r->elf->dynamic && !parse_dynamic(r, s, err))
			return false;
	}
	return true;
}

bool elf_parse(struct str bytes, const char *what, struct elf *out_elf, struct error *err)
{
	scoped(elf_free) struct elf elf = {0};
	struct reader r = {.bytes = bytes, .what = what, .elf = &elf};

	if (!parse_file_header(&r, err) || !find_program_headers(&r, err) ||
		!parse_segments(&r, err))
		return false;
	*out_elf = elf;
	elf = (struct elf){0};
	return true;
}

void elf_free(struct elf *elf)
{
	free(elf->needed);
	*elf = (struct elf){0};
}

bool elf_is_static_with_nss(const struct elf *elf, struct str bytes)
{
	static const char pattern[] = "libnss_%s.so";

	if (elf->interpreter.size > 0 || elf->needed_count > 0)
		return false;
	return memmem(bytes.data, bytes.size, pattern, sizeof(pattern) - 1) != NULL;
}

bool elf_file_open(const char *path, struct elf_file *out_file, struct error *err)
{
	scoped(elf_file_close) struct elf_file file = {0};
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	if (!S_ISREG(status.st_mode))
		return error_raise(err, ERROR_INVALID, "\"%s\" is not a regular file", path);
	if (status.st_size > 0) {
		void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes == MAP_FAILED)
			return error_raise_errno(err, "map \"%s\"", path);
		file.bytes = (struct str){bytes, (size_t)status.st_size};
	}
	if (!elf_parse(file.bytes, path, &file.elf, err))
		return false;
	*out_file = file;
	file = (struct elf_file){0};
	return true;
}

void elf_file_close(struct elf_file *file)
{
	elf_free(&file->elf);
	if (file->bytes.size > 0) {
		union {
			const char *read;
			void *unmap;
		} address = {.read = file->bytes.data};
		munmap(address.unmap, file->bytes.size);
	}
	*file = (struct elf_file){0};
}
