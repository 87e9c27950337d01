#include "builders/image/loader_cache.h"

#include <string.h>

static const char magic[] = "glibc-ld.so.cache1.1";

enum {
	MAGIC_SIZE = sizeof(magic) - 1,
	HEADER_SIZE = 48,
	ENTRY_SIZE = 24,
	/* offsets in the header and in an entry */
	AT_COUNT = 20,
	AT_KEY = 4,
	AT_VALUE = 8,
	AT_HWCAP = 16,
};

static uint32_t number(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool text_at(struct str cache, uint32_t offset, struct str *out)
{
	if (offset >= cache.size)
		return false;
	const char *end = memchr(cache.data + offset, 0, cache.size - offset);
	if (!end)
		return false;
	*out = (struct str){cache.data + offset, (size_t)(end - (cache.data + offset))};
	return true;
}

bool loader_cache_find(struct str cache, struct str name,
	bool (*found)(void *context, struct str path), void *context)
{
	/* Older systems put the new format behind the old one; offsets count from the new header. */
	const char *start = cache.size ? memmem(cache.data, cache.size, magic, MAGIC_SIZE) : NULL;

	if (!start)
		return false;
	cache = (struct str){start, cache.size - (size_t)(start - cache.data)};
	if (cache.size < HEADER_SIZE)
		return false;
	size_t count = number(cache.data + AT_COUNT);
	if (count > (cache.size - HEADER_SIZE) / ENTRY_SIZE)
		return false;
	for (size_t i = 0; i < count; i++) {
		const char *entry = cache.data + HEADER_SIZE + i * ENTRY_SIZE;
		struct str key, path;

		if (number(entry + AT_HWCAP) != 0 || number(entry + AT_HWCAP + 4) != 0)
			continue;
		if (text_at(cache, number(entry + AT_KEY), &key) && str_equal(key, name) &&
			text_at(cache, number(entry + AT_VALUE), &path) && path.size > 0 &&
			path.data[0] == '/' && found(context, path))
			return true;
	}
	return false;
}
