/*
 * elf.h - what the dynamic loader will want to know about a program or library, read from the file.
 *
 * Reads 32- and 64-bit files of either byte order. Everything is checked against the size of the
 * file before it is looked at, so any bytes may be given.
 *
 * Ownership  an elf borrows the bytes it was parsed from; elf_file owns its mapping.
 * Limits     1,024 program headers, 4,096 needed libraries, texts of 4,096 bytes.
 * Source     System V ABI, chapters 4 and 5 (elf(5)); the tags of glibc's elf.h.
 */
#ifndef BUILDERS_IMAGE_ELF_H
#define BUILDERS_IMAGE_ELF_H

#include "base/buf.h"
#include "base/error.h"

struct elf {
	bool is_64, big_endian;
	int type;               /* ET_EXEC 2, ET_DYN 3 */
	int machine;            /* EM_… */
	struct str interpreter; /* PT_INTERP; empty for static programs and libraries */
	bool dynamic;           /* has PT_DYNAMIC */
	struct str soname;
	struct str rpath, runpath; /* as written: "$ORIGIN/../lib:/opt/x" */
	struct str *needed;        /* owned array of borrowed names, in order */
	size_t needed_count;
	bool no_default_folders; /* DF_1_NODEFLIB */
};

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

/* A static program made with glibc that looks up names, users or hosts loads libnss_* at run time
 * and then needs exactly the glibc it was linked with. */
bool elf_is_static_with_nss(const struct elf *elf, struct str bytes);

/* "x86-64"; "machine 42" is left to the caller: NULL when unknown. */
const char *elf_machine_name(int machine);
/* The name OCI images have for it ("amd64"); NULL when there is none. */
const char *elf_architecture(const struct elf *elf);
/* The machine code of an OCI architecture, 0 when unknown. */
int elf_machine_of_architecture(const char *architecture);
/* The OCI architecture this program was compiled for. */
const char *elf_native_architecture(void);

/* A file that is mapped and parsed. */
struct elf_file {
	struct elf elf;
	struct str bytes; /* the mapping */
};
bool elf_file_open(const char *path, struct elf_file *out_file, struct error *err) must_use;
void elf_file_close(struct elf_file *file);

#endif
