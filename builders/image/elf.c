#include "builders/image/elf_reader.h"

#include "base/file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_LIMIT = 1024 };

bool elf_is(struct str bytes)
{
	return bytes.size >= SELFMAG && memcmp(bytes.data, ELFMAG, SELFMAG) == 0;
}

static bool parse_file_header(struct elf_reader *r, struct error *err)
{
	if (!elf_is(r->bytes)) {
		error_raise(err, ERROR_INVALID, "\"%s\" is not an ELF program or library", r->what);
		return error_next(err,
			str_starts_with(r->bytes, "#!")
				? "it is a script: an image is made from a compiled program"
				: "name the program that the linker wrote");
	}
	if (r->bytes.size < EI_NIDENT)
		return elf_truncated(r, "the ELF header", EI_NIDENT, err);

	unsigned char class = (unsigned char)r->bytes.data[EI_CLASS];
	unsigned char order = (unsigned char)r->bytes.data[EI_DATA];
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return elf_nonsense(r, "it is neither 32-bit nor 64-bit", err);
	if (order != ELFDATA2LSB && order != ELFDATA2MSB)
		return elf_nonsense(r, "its byte order is unknown", err);
	r->elf->is_64 = class == ELFCLASS64;
	r->elf->big_endian = order == ELFDATA2MSB;

	size_t size = r->elf->is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	if (r->bytes.size < size)
		return elf_truncated(r, "the ELF header", size, err);
	r->elf->type = (int)elf_number(r, offsetof(Elf64_Ehdr, e_type), 2);
	r->elf->machine = (int)elf_number(r, offsetof(Elf64_Ehdr, e_machine), 2);
	r->elf->has_entry =
		elf_number(r, offsetof(Elf64_Ehdr, e_entry), r->elf->is_64 ? 8 : 4) != 0;
	if (r->elf->type == ET_REL) {
		error_raise(err, ERROR_INVALID, "\"%s\" is an object file, not yet linked",
			r->what);
		return error_next(err, "name the program that the linker wrote");
	}
	if (r->elf->type != ET_EXEC && r->elf->type != ET_DYN)
		return elf_nonsense(r, "it is neither a program nor a shared library", err);
	return true;
}

static bool find_program_headers(struct elf_reader *r, struct error *err)
{
	bool wide = r->elf->is_64;
	size_t least = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	r->header_offset = wide ? elf_number(r, offsetof(Elf64_Ehdr, e_phoff), 8)
				: elf_number(r, offsetof(Elf32_Ehdr, e_phoff), 4);
	r->header_size = elf_number(r,
		wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize), 2);
	r->header_count = (unsigned)elf_number(r,
		wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum), 2);
	if (r->header_count == 0)
		return elf_nonsense(r, "it has no program headers, so it cannot be loaded", err);
	if (r->header_count > HEADER_LIMIT || r->header_size < least)
		return elf_nonsense(r, "its program headers make no sense", err);
	uint64_t size = (uint64_t)r->header_count * r->header_size;
	if (!elf_in_file(r, r->header_offset, size))
		return elf_truncated(r, "the program header table", r->header_offset + size, err);
	return true;
}

static bool parse_interpreter(struct elf_reader *r, struct elf_segment s, struct error *err)
{
	struct str path;

	if (!elf_text_at(r, s.offset, s.offset + s.size, &path) || path.size == 0 ||
		path.data[0] != '/')
		return elf_nonsense(r, "the path of its loader (PT_INTERP) makes no sense", err);
	r->elf->interpreter = path;
	return true;
}

static bool parse_segments(struct elf_reader *r, struct error *err)
{
	for (unsigned i = 0; i < r->header_count; i++) {
		struct elf_segment s = elf_segment_at(r, i);

		if (s.type != PT_LOAD && s.type != PT_INTERP && s.type != PT_DYNAMIC &&
			s.type != PT_NOTE)
			continue;
		if (!elf_in_file(r, s.offset, s.size))
			return elf_truncated(r, "a loadable part", s.offset + s.size, err);
		if (s.type == PT_NOTE)
			elf_read_notes(r, s);
		if (s.type == PT_INTERP && !parse_interpreter(r, s, err))
			return false;
		/* One dynamic section is all a loader looks at. */
		if (s.type == PT_DYNAMIC && !r->elf->dynamic && !elf_read_dynamic(r, s, err))
			return false;
	}
	return true;
}

bool elf_parse(struct str bytes, const char *what, struct elf *out_elf, struct error *err)
{
	scoped(elf_free) struct elf elf = {0};
	struct elf_reader r = {.bytes = bytes, .what = what, .elf = &elf};

	if (!parse_file_header(&r, err) || !find_program_headers(&r, err) ||
		!parse_segments(&r, err))
		return false;
	elf.header_offset = r.header_offset;
	elf.header_count = r.header_count;
	elf.header_size = r.header_size;
	*out_elf = elf;
	elf = (struct elf){0};
	return true;
}

/* A static program that may lie anywhere is a shared library to look at, but for its start. */
bool elf_can_start(const struct elf *elf)
{
	return elf->interpreter.size > 0 || elf->type == ET_EXEC ||
	       (elf->needed_count == 0 && elf->has_entry);
}

void elf_free(struct elf *elf)
{
	free(elf->needed);
	free(elf->version_needs);
	free(elf->versions);
	free(elf->dlopen_notes);
	*elf = (struct elf){0};
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
