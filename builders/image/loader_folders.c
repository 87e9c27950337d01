#include "builders/image/loader_folders.h"

enum {
	FOLDER_LIMIT = 16,
	TEXT_LIMIT = 256,
};

/* A text "/…/" that starts at from; its size, 0 when there is none. */
static size_t folder_at(struct str bytes, size_t from)
{
	size_t room = bytes.size - from < TEXT_LIMIT ? bytes.size - from : TEXT_LIMIT;
	size_t size = strnlen(bytes.data + from, room);

	if (size == room || size < 3 || bytes.data[from] != '/' ||
		bytes.data[from + size - 1] != '/')
		return 0;
	for (size_t i = from; i < from + size; i++)
		if (bytes.data[i] <= ' ' || bytes.data[i] > '~')
			return 0;
	return size;
}

/* The row around "/usr/lib/x/" at from: in front of it stands the same without "/usr". What stands in
 * front of that need not end with a NUL. */
static bool read_row(struct str bytes, size_t from, struct strings *out)
{
	size_t size = folder_at(bytes, from), count = out->count;

	if (size == 0)
		return false;
	size_t other = size - strlen("/usr") + 1;
	if (from < other || memcmp(bytes.data + from - other, bytes.data + from + 4, other) != 0)
		return false;
	from -= other;
	while (from < bytes.size && out->count - count < FOLDER_LIMIT &&
		(size = folder_at(bytes, from))) {
		strings_add_owned(out, str_copy((struct str){bytes.data + from, size - 1}));
		from += size + 1;
	}
	return true;
}

bool loader_folders_read(struct str bytes, struct strings *out_folders)
{
	static const char mark[] = "\0/usr/lib";
	const size_t size = sizeof(mark) - 1;
	size_t from = 0;

	while (from < bytes.size) {
		const char *at = memmem(bytes.data + from, bytes.size - from, mark, size);
		if (!at)
			return false;
		from = (size_t)(at - bytes.data) + 1;
		if (read_row(bytes, from, out_folders))
			return true;
	}
	return false;
}
