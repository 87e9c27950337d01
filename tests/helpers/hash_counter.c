/*
 * Counts the bytes that a program gives to SHA-256, whoever in it does that: an auditor of the dynamic
 * linker (rtld-audit(7)) that stands in for EVP_DigestUpdate(), looked up by dlsym() or linked.
 *
 *     LD_AUDIT=./hash_counter.so HASH_COUNT=FILE program     FILE holds the sum as a 64-bit number
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int (*real_update)(void *, const void *, size_t);
static uint64_t *sum;

static int counting_update(void *context, const void *bytes, size_t size)
{
	if (sum)
		__atomic_add_fetch(sum, size, __ATOMIC_RELAXED);
	return real_update(context, bytes, size);
}

unsigned int la_version(unsigned int version)
{
	const char *path = getenv("HASH_COUNT");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && ftruncate(fd, sizeof(*sum)) == 0) {
		void *page = mmap(NULL, sizeof(*sum), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		sum = page == MAP_FAILED ? NULL : page;
	}
	if (fd >= 0)
		close(fd);
	return version < LAV_CURRENT ? version : LAV_CURRENT;
}

unsigned int la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
	(void)map, (void)space, (void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int index, uintptr_t *from, uintptr_t *to,
	unsigned int *flags, const char *name)
{
	uintptr_t stand_in;

	(void)index, (void)from, (void)to, (void)flags;
	if (strcmp(name, "EVP_DigestUpdate") != 0)
		return symbol->st_value;
	memcpy(&real_update, &symbol->st_value, sizeof(real_update));
	int (*mine)(void *, const void *, size_t) = counting_update;
	memcpy(&stand_in, &mine, sizeof(stand_in));
	return stand_in;
}
