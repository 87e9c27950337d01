#include "builders/evidence/linker_map.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	MAP_LIMIT = 256 << 20,
	FILE_LIMIT = 100000,
	PATH_LIMIT = 4096,
};

void linker_map_free(struct linker_map *map)
{
	strings_free(&map->archives);
	strings_free(&map->objects);
}

/* Paths seen, each once, as a hash table over the names as they stand in the map. */
struct seen {
	struct str *slots; /* owned; data NULL: free */
	size_t slot_count, count;
};

static void seen_free(struct seen *seen)
{
	free(seen->slots);
}

static struct str *slot_of(const struct seen *seen, struct str path)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < path.size; i++)
		hash = (hash ^ (unsigned char)path.data[i]) * 0x100000001b3;
	size_t at = (size_t)hash & (seen->slot_count - 1);
	while (seen->slots[at].data && !str_equal(seen->slots[at], path))
		at = (at + 1) & (seen->slot_count - 1);
	return &seen->slots[at];
}

static void grow(struct seen *seen)
{
	struct seen larger = {.slot_count = seen->slot_count ? 2 * seen->slot_count : 256,
		.count = seen->count};

	larger.slots = memory_new_array(larger.slot_count, sizeof(larger.slots[0]));
	for (size_t i = 0; i < seen->slot_count; i++)
		if (seen->slots[i].data)
			*slot_of(&larger, seen->slots[i]) = seen->slots[i];
	free(seen->slots);
	*seen = larger;
}

/* False when it was there already. */
static bool see(struct seen *seen, struct str path)
{
	if (2 * (seen->count + 1) > seen->slot_count)
		grow(seen);
	struct str *slot = slot_of(seen, path);
	if (slot->data)
		return false;
	*slot = path;
	seen->count++;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The word that ends at end. A line that starts with a path may have blanks in it; in the tables the
 * path stands last, behind numbers, and one with blanks is cut. */
static struct str path_before(struct str line, size_t end)
{
	size_t start = end;

	if (line.size > 0 && (line.data[0] == '/' || line.data[0] == '.') && end < PATH_LIMIT)
		start = 0;
	else if (str_starts_with(line, "LOAD "))
		start = strlen("LOAD ");
	else
		while (start > 0 && !is_blank(line.data[start - 1]))
			start--;
	return (struct str){line.data + start, end - start};
}

/* "PATH.a(MEMBER)": the path, empty when the line has none. */
static struct str archive_in(struct str line)
{
	const char *at = memmem(line.data, line.size, ".a(", 3);

	if (!at || !memchr(at, ')', line.size - (size_t)(at - line.data)))
		return (struct str){0};
	return path_before(line, (size_t)(at - line.data) + 2);
}

/* A line that ends in "PATH.o", or has "PATH.o:(" in it (lld, mold). */
static struct str object_in(struct str line)
{
	const char *at = memmem(line.data, line.size, ".o:(", 4);

	if (at)
		return path_before(line, (size_t)(at - line.data) + 2);
	if (!str_ends_with(line, ".o"))
		return (struct str){0};
	return path_before(line, line.size);
}

/* GNU ld and gold begin a part of the map with one of these lines; lld and mold have one table, whose
 * head line this is. */
enum part {
	PART_NONE,
	PART_USED,
	PART_DISCARDED,
};

static bool begins_part(struct str line, enum part *part)
{
	static const struct {
		const char *start;
		enum part part;
	} heads[] = {
		{"Archive member included ", PART_USED},
		{"As-needed library included ", PART_NONE},
		{"Discarded input sections", PART_DISCARDED},
		{"Allocating common symbols", PART_NONE},
		{"Merging program properties", PART_NONE},
		{"Memory Configuration", PART_NONE},
		{"Memory map", PART_USED},
		{"Linker script and memory map", PART_USED},
		{"Cross Reference Table", PART_NONE},
		{"Local symbols removed", PART_NONE},
	};

	for (size_t i = 0; i < countof(heads); i++)
		if (str_starts_with(line, heads[i].start)) {
			*part = heads[i].part;
			return true;
		}
	if (!memmem(line.data, line.size, "VMA", 3) || !str_ends_with(line, "Symbol"))
		return false;
	*part = PART_USED;
	return true;
}

static bool note(struct seen *seen, struct str path, struct strings *list, const char *what,
	struct error *err)
{
	if (path.size == 0 || path.size >= PATH_LIMIT || !str_is_utf8(path) ||
		memchr(path.data, 0, path.size) || !see(seen, path))
		return true;
	if (seen->count > FILE_LIMIT)
		return error_raise(err, ERROR_LIMIT, "\"%s\" names more than %d files", what,
			FILE_LIMIT);
	scoped(text_free) char *text = str_copy(path);
	strings_add_owned(list, path_normalise(text));
	return true;
}

/* Two spellings of one path are one file. */
static void sort_once(struct strings *list)
{
	size_t kept = 0;

	strings_sort(list);
	for (size_t i = 0; i < list->count; i++) {
		if (kept > 0 && text_equal(list->items[kept - 1], list->items[i]))
			free(list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	if (list->items)
		list->items[kept] = NULL;
	list->count = kept;
}

bool linker_map_parse(struct str text, const char *what, struct linker_map *out_map,
	struct error *err)
{
	scoped(linker_map_free) struct linker_map map = {0};
	scoped(seen_free) struct seen archives = {0}, objects = {0};
	enum part part = PART_NONE;
	bool is_map = false;

	if (text.size > MAP_LIMIT)
		return error_raise(err, ERROR_LIMIT, "\"%s\" is larger than %d MiB", what,
			MAP_LIMIT >> 20);
	while (text.size > 0) {
		struct str line = str_cut(&text, '\n');

		while (line.size > 0 && is_blank(line.data[line.size - 1]))
			line.size--;
		if (begins_part(line, &part)) {
			is_map = true;
			continue;
		}
		if (part != PART_USED)
			continue;
		if (!note(&archives, archive_in(line), &map.archives, what, err) ||
			!note(&objects, object_in(line), &map.objects, what, err))
			return false;
	}
	if (!is_map) {
		error_raise(err, ERROR_INVALID, "\"%s\" is no map of a linker", what);
		return error_next(err, "have the linker write it: -Wl,-Map=FILE");
	}
	sort_once(&map.archives);
	sort_once(&map.objects);
	*out_map = map;
	map = (struct linker_map){0};
	return true;
}

bool linker_map_read(const char *path, struct linker_map *out_map, struct error *err)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_raise_errno(err, "open the linker's map \"%s\"", path);
	if (!S_ISREG(status.st_mode))
		return error_raise(err, ERROR_INVALID, "the linker's map \"%s\" is not a file",
			path);
	if (status.st_size > MAP_LIMIT)
		return error_raise(err, ERROR_LIMIT, "\"%s\" is larger than %d MiB", path,
			MAP_LIMIT >> 20);
	if (status.st_size == 0)
		return linker_map_parse((struct str){0}, path, out_map, err);
	size_t size = (size_t)status.st_size;
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_raise_errno(err, "map \"%s\"", path);
	bool ok = linker_map_parse((struct str){bytes, size}, path, out_map, err);
	munmap(bytes, size);
	return ok;
}
