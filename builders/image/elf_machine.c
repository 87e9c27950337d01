#include "builders/image/elf.h"

#include "base/memory.h"

#include <elf.h>

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
