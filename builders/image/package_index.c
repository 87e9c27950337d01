#include "builders/image/package_index.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char magic[8] = "dgspkg1";

struct header {
	char magic[8];
	struct package_stamp stamp;
	uint64_t count, slot_count;
};

struct package_index_maker {
	struct package_stamp stamp;
	struct package_place *places; /* owned */
	uint64_t *slots;              /* owned */
	size_t count, capacity, used, slot_count;
};

void package_index_free(struct package_index *index)
{
	free(index->built_places);
	free(index->built_slots);
	if (index->map)
		munmap(index->map, index->map_size);
	*index = (struct package_index){0};
}

struct package_index_maker *package_index_maker_new(const struct package_stamp *stamp)
{
	struct package_index_maker *maker = memory_new(sizeof(*maker));

	maker->stamp = *stamp;
	maker->slot_count = 1 << 14;
	maker->slots = memory_new_array(maker->slot_count, sizeof(maker->slots[0]));
	return maker;
}

void package_index_maker_free(struct package_index_maker **maker)
{
	if (!*maker)
		return;
	free((*maker)->places);
	free((*maker)->slots);
	free(*maker);
	*maker = NULL;
}

bool package_index_add_package(struct package_index_maker *maker, struct package_place place)
{
	if (maker->count == PACKAGE_LIMIT)
		return false;
	if (maker->count == maker->capacity) {
		maker->capacity = maker->capacity ? maker->capacity * 2 : 256;
		maker->places =
			memory_resize(maker->places, maker->capacity * sizeof(maker->places[0]));
	}
	maker->places[maker->count++] = place;
	return true;
}

static uint64_t word_at(const char *bytes, size_t size)
{
	uint64_t word = 0;

	memcpy(&word, bytes, size);
	return word;
}

/* The part of "/usr/lib/x" that "/lib/x" has too. */
static struct str spelled(struct str path)
{
	static const char *const folders[] = {"lib/", "bin/", "sbin/", "lib64/", "lib32/",
		"libx32/", "libo32/"};

	if (path.size < 9 || memcmp(path.data, "/usr/", 5) != 0 || !strchr("lbs", path.data[5]))
		return path;
	struct str rest = {path.data + 5, path.size - 5};
	for (size_t i = 0; i < countof(folders); i++)
		if (str_starts_with(rest, folders[i]))
			return (struct str){path.data + 4, path.size - 4};
	return path;
}

/* Eight bytes at a time: the lists of a full machine are ten megabytes. */
uint64_t package_index_hash(struct str path, bool merged)
{
	const uint64_t factor = 0x9e3779b97f4a7c15; /* 2^64 divided by the golden ratio */

	if (merged)
		path = spelled(path);
	uint64_t hash = path.size * factor;
	const char *at = path.data, *end = path.data + path.size;

	for (; end - at >= 8; at += 8) {
		hash = (hash ^ word_at(at, 8)) * factor;
		hash ^= hash >> 29;
	}
	if (at < end) {
		hash = (hash ^ word_at(at, (size_t)(end - at))) * factor;
		hash ^= hash >> 29;
	}
	return hash * factor;
}

/* The slot that holds hash, or the free one where it belongs. There always is a free one. */
static size_t slot_of(const uint64_t *slots, size_t slot_count, uint64_t hash)
{
	size_t at = (size_t)(hash >> 20) & (slot_count - 1);

	while (slots[at] && (slots[at] ^ hash) >> 16 != 0)
		at = (at + 1) & (slot_count - 1);
	return at;
}

/* At most three quarters: half the table is half the page faults and half the file. */
static bool is_full(size_t slot_count, size_t used)
{
	return 4 * used > 3 * slot_count;
}

static void grow(struct package_index_maker *maker)
{
	uint64_t *old = maker->slots;
	size_t old_count = maker->slot_count;

	maker->slot_count = 2 * old_count;
	maker->slots = memory_new_array(maker->slot_count, sizeof(maker->slots[0]));
	for (size_t i = 0; i < old_count; i++)
		if (old[i])
			maker->slots[slot_of(maker->slots, maker->slot_count, old[i])] = old[i];
	free(old);
}

void package_index_reserve(struct package_index_maker *maker, size_t path_count)
{
	while (is_full(maker->slot_count, path_count))
		maker->slot_count *= 2;
	free(maker->slots);
	maker->slots = memory_new_array(maker->slot_count, sizeof(maker->slots[0]));
}

void package_index_add_path(struct package_index_maker *maker, uint64_t hash)
{
	if (is_full(maker->slot_count, maker->used + 1))
		grow(maker);
	uint64_t *slot = &maker->slots[slot_of(maker->slots, maker->slot_count, hash)];
	if (*slot)
		return;
	*slot = (hash & ~(uint64_t)0xffff) | maker->count;
	maker->used++;
}

void package_index_finish(struct package_index_maker *maker, struct package_index *out_index)
{
	*out_index = (struct package_index){.stamp = maker->stamp,
		.places = maker->places,
		.count = maker->count,
		.slots = maker->slots,
		.slot_count = maker->slot_count,
		.built_places = maker->places,
		.built_slots = maker->slots};
	*maker = (struct package_index_maker){0};
}

int package_index_find(const struct package_index *index, struct str path)
{
	if (index->slot_count == 0)
		return -1;
	uint64_t hash = package_index_hash(path, index->stamp.merged);
	size_t first = (size_t)(hash >> 20) & (index->slot_count - 1), at = first;

	/* A damaged file may have no free slot. */
	do {
		uint64_t slot = index->slots[at];
		size_t number = slot & 0xffff;

		if (!slot)
			return -1;
		if ((slot ^ hash) >> 16 == 0)
			return number > 0 && number <= index->count ? (int)number - 1 : -1;
		at = (at + 1) & (index->slot_count - 1);
	} while (at != first);
	return -1;
}

bool package_index_write(const struct package_index *index, const char *path, struct error *err)
{
	struct header header = {.stamp = index->stamp,
		.count = index->count,
		.slot_count = index->slot_count};
	scoped(new_file_discard) struct new_file file = {0};

	memcpy(header.magic, magic, sizeof(magic));
	return new_file_create(&file, path, 0600, err) &&
	       descriptor_write_all(file.fd, &header, sizeof(header), path, err) &&
	       descriptor_write_all(file.fd, index->places, index->count * sizeof(index->places[0]),
		       path, err) &&
	       descriptor_write_all(file.fd, index->slots,
		       index->slot_count * sizeof(index->slots[0]), path, err) &&
	       new_file_commit(&file, false, err);
}

bool package_index_parse(struct str bytes, const struct package_stamp *stamp,
	struct package_index *out_index)
{
	struct header header;

	if (bytes.size < sizeof(header))
		return false;
	memcpy(&header, bytes.data, sizeof(header));
	if (memcmp(header.magic, magic, sizeof(magic)) != 0 ||
		memcmp(&header.stamp, stamp, sizeof(*stamp)) != 0 || header.count > PACKAGE_LIMIT ||
		header.slot_count > bytes.size || header.slot_count == 0 ||
		(header.slot_count & (header.slot_count - 1)) != 0)
		return false;
	size_t places = header.count * sizeof(struct package_place);
	if (bytes.size != sizeof(header) + places + header.slot_count * sizeof(uint64_t))
		return false;
	const char *at = bytes.data + sizeof(header);
	*out_index = (struct package_index){.stamp = header.stamp,
		.places = (const void *)at,
		.count = header.count,
		.slots = (const void *)(at + places),
		.slot_count = header.slot_count};
	return true;
}

bool package_index_read(const char *path, const struct package_stamp *stamp,
	struct package_index *out_index)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
		return false;
	size_t size = (size_t)status.st_size;
	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return false;
	if (!package_index_parse((struct str){map, size}, stamp, out_index)) {
		munmap(map, size);
		return false;
	}
	out_index->map = map;
	out_index->map_size = size;
	return true;
}
