/*
 * elf.h - what the dynamic loader will want to know about a program or library, read from the file.
 *
 * Reads 32- and 64-bit files of either byte order. Everything is checked against the size of the
 * file before it is looked at, so any bytes may be given.
 *
 * Ownership  an elf borrows the bytes it was parsed from; elf_file owns its mapping.
 * Limits     1,024 program headers, 4,096 needed libraries, 16,384 versions needed and as many
 *            defined, 1,048,576 symbols, 256 notes, texts of 4,096 bytes.
 * Source     System V ABI, chapters 4 and 5 (elf(5)); the tags of glibc's elf.h; symbol versions: LSB
 *            core 5.0, 10.7; .note.dlopen: systemd.io/ELF_DLOPEN_METADATA.
 */
#ifndef BUILDERS_IMAGE_ELF_H
#define BUILDERS_IMAGE_ELF_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

/* A version of a library's interface that must be there: "GLIBC_2.34" of "libc.so.6". */
struct elf_version_need {
	struct str file, version;
	bool weak; /* the program runs without it */
};

/* Functions whose import says that something is opened by name at run time. */
enum {
	ELF_IMPORTS_DLOPEN = 1, /* dlopen, dlmopen */
	ELF_IMPORTS_ICONV = 2,  /* iconv_open */
	ELF_IMPORTS_LOCALE = 4, /* setlocale, newlocale */
};

struct elf {
	bool is_64, big_endian;
	int type;               /* ET_EXEC 2, ET_DYN 3 */
	int machine;            /* EM_… */
	bool has_entry;         /* an address to start at */
	struct str interpreter; /* PT_INTERP; empty for static programs and libraries */
	bool dynamic;           /* has PT_DYNAMIC */
	struct str soname;
	struct str rpath, runpath; /* as written: "$ORIGIN/../lib:/opt/x" */
	struct str *needed;        /* owned array of borrowed names, in order */
	size_t needed_count;
	bool no_default_folders;                /* DF_1_NODEFLIB */
	struct elf_version_need *version_needs; /* owned array, DT_VERNEED */
	size_t version_need_count;
	struct str *versions; /* owned array of what it defines, DT_VERDEF */
	size_t version_count;
	unsigned imports;         /* ELF_IMPORTS_… */
	struct str *dlopen_notes; /* owned array: the JSON of each .note.dlopen, not looked at */
	size_t dlopen_note_count;
	struct str build_id;    /* NT_GNU_BUILD_ID, the bytes; empty: the linker wrote none */
	uint64_t header_offset; /* where the program headers are */
	unsigned header_count;
	size_t header_size;
};

/* Can it be started as a program, in contrast to a shared library? */
bool elf_can_start(const struct elf *elf);

/* Do the bytes start as an ELF file does? */
bool elf_is(struct str bytes);

/*
 * Parses bytes, a whole file.
 *
 * what  the file's name, for errors
 * Fails with ERROR_INVALID: not an ELF file, no program or library, truncated, or nonsense inside.
 */
bool elf_parse(struct str bytes, const char *what, struct elf *out_elf, struct error *err) must_use;
void elf_free(struct elf *elf);

/* Does it define this version (by its own tables, inherited ones too, as the linker repeats them)? */
bool elf_defines_version(const struct elf *elf, struct str version);

/* What a static program made with glibc loads at run time, and then needs exactly the glibc it was
 * linked with: ELF_STATIC_… bits. Converters are only seen in programs that were not stripped. */
enum {
	ELF_STATIC_NAMES = 1, /* libnss_*: hosts, users, groups */
	ELF_STATIC_ICONV = 2, /* gconv modules */
};
unsigned elf_static_needs(const struct elf *elf, struct str bytes);

/* "x86-64"; "machine 42" is left to the caller: NULL when unknown. */
const char *elf_machine_name(int machine);
/* The name OCI images have for it ("amd64"); NULL when there is none. */
const char *elf_architecture(const struct elf *elf);
/* The machine code of an OCI architecture, 0 when unknown. */
int elf_machine_of_architecture(const char *architecture);
/* The OCI architecture this program was compiled for. */
const char *elf_native_architecture(void);

/* Has the file, which was parsed, a section of this name? */
bool elf_has_section(const struct elf *elf, struct str bytes, const char *name);

/* A file that is mapped and parsed. */
struct elf_file {
	struct elf elf;
	struct str bytes; /* the mapping */
};
bool elf_file_open(const char *path, struct elf_file *out_file, struct error *err) must_use;
void elf_file_close(struct elf_file *file);

#endif
