/*
 * Counts the bytes that a program gives to SHA-256 and to a compressor, whoever in it does that: an
 * auditor of the dynamic linker (rtld-audit(7)) that stands in for EVP_DigestUpdate(), ZSTD_compress2()
 * and libdeflate_gzip_compress(), looked up by dlsym() or linked.
 *
 *     LD_AUDIT=./byte_counter.so BYTE_COUNT=FILE program     FILE holds both sums as 64-bit numbers
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HASHED, COMPRESSED, SUMS };

typedef void any_function(void);

static uint64_t *sums;
static int (*real_update)(void *, const void *, size_t);
static size_t (*real_zstd)(void *, void *, size_t, const void *, size_t);
static size_t (*real_gzip)(void *, const void *, size_t, void *, size_t);

static void count(int which, size_t size)
{
	if (sums)
		__atomic_add_fetch(&sums[which], size, __ATOMIC_RELAXED);
}

static int counting_update(void *context, const void *bytes, size_t size)
{
	count(HASHED, size);
	return real_update(context, bytes, size);
}

static size_t counting_zstd(void *context, void *out, size_t room, const void *in, size_t size)
{
	count(COMPRESSED, size);
	return real_zstd(context, out, room, in, size);
}

static size_t counting_gzip(void *context, const void *in, size_t size, void *out, size_t room)
{
	count(COMPRESSED, size);
	return real_gzip(context, in, size, out, room);
}

static const struct stand_in {
	const char *name;
	any_function *mine;
	void *real; /* the address of the pointer to what it stands in for */
} stand_ins[] = {
	{"EVP_DigestUpdate", (any_function *)counting_update, &real_update},
	{"ZSTD_compress2", (any_function *)counting_zstd, &real_zstd},
	{"libdeflate_gzip_compress", (any_function *)counting_gzip, &real_gzip},
};

unsigned int la_version(unsigned int version)
{
	const char *path = getenv("BYTE_COUNT");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && ftruncate(fd, SUMS * sizeof(*sums)) == 0) {
		void *page =
			mmap(NULL, SUMS * sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		sums = page == MAP_FAILED ? NULL : page;
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
	(void)index, (void)from, (void)to, (void)flags;
	for (size_t i = 0; i < sizeof(stand_ins) / sizeof(*stand_ins); i++) {
		uintptr_t mine;

		if (strcmp(name, stand_ins[i].name) != 0)
			continue;
		memcpy(stand_ins[i].real, &symbol->st_value, sizeof(symbol->st_value));
		memcpy(&mine, &stand_ins[i].mine, sizeof(mine));
		return mine;
	}
	return symbol->st_value;
}
