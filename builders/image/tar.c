#include "builders/image/tar.h"

#include "base/memory.h"

#include <stdio.h>

/* The ustar header, POSIX.1-2017. */
struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char typeflag;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char padding[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a ustar header is one block");

/* The largest number of 11 octal digits. */
static const int64_t octal_limit = 077777777777;
/* And of 7. */
static const int64_t owner_limit = 07777777;

/* width - 1 octal digits and a NUL. */
static void put_octal(char *field, size_t width, int64_t value)
{
	field[width - 1] = 0;
	for (size_t i = width - 1; i > 0; i--, value >>= 3)
		field[i - 1] = (char)('0' + (value & 7));
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Splits path at a slash into prefix and name; false when no slash makes both fit. */
static bool put_path(struct ustar *block, const char *path)
{
	size_t size = strlen(path);

	if (size <= sizeof(block->name)) {
		memcpy(block->name, path, size);
		return true;
	}
	for (size_t at = size - sizeof(block->name) - 1; at <= sizeof(block->prefix) && at < size;
		at++) {
		if (path[at] != '/' || at == 0 || at + 1 == size)
			continue;
		memcpy(block->prefix, path, at);
		memcpy(block->name, path + at + 1, size - at - 1);
		return true;
	}
	memcpy(block->name, path, sizeof(block->name));
	return false;
}

static void finish(struct ustar *block, struct buf *out)
{
	unsigned sum = 0;

	memcpy(block->magic, "ustar", 6);
	memcpy(block->version, "00", 2);
	put_octal(block->devmajor, sizeof(block->devmajor), 0);
	put_octal(block->devminor, sizeof(block->devminor), 0);
	memset(block->checksum, ' ', sizeof(block->checksum));
	for (size_t i = 0; i < sizeof(*block); i++)
		sum += ((const unsigned char *)block)[i];
	/* Six digits, NUL, space: as every tar writes it. */
	put_octal(block->checksum, 7, sum);
	buf_append(out, block, sizeof(*block));
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void put_record(struct buf *records, const char *key, struct str value)
{
	size_t rest = strlen(key) + value.size + 3, size = rest, digits;

	do {
		char text[24];
		digits = (size_t)snprintf(text, sizeof(text), "%zu", size);
		if (size == rest + digits)
			break;
		size = rest + digits;
	} while (true);
	buf_printf(records, "%zu %s=", size, key);
	buf_append_str(records, value);
	buf_append_char(records, '\n');
}

static void put_number_record(struct buf *records, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	put_record(records, key, str_of(text));
}

/* Seven octal digits, or a record where they are too few. */
static void put_owner(char *field, struct buf *records, const char *key, int64_t id)
{
	bool fits = id <= owner_limit;

	put_octal(field, 8, fits ? id : 0);
	if (!fits)
		put_number_record(records, key, id);
}

static void put_pax(struct buf *out, const struct buf *records, int64_t modified_s)
{
	static const char zeros[TAR_BLOCK];
	struct ustar block = {.typeflag = 'x'};

	put_path(&block, "PaxHeaders/entry");
	put_octal(block.uid, sizeof(block.uid), 0);
	put_octal(block.gid, sizeof(block.gid), 0);
	put_octal(block.mode, sizeof(block.mode), 0644);
	put_octal(block.size, sizeof(block.size), (int64_t)records->size);
	put_octal(block.mtime, sizeof(block.mtime), modified_s);
	finish(&block, out);
	buf_append(out, records->data, records->size);
	buf_append(out, zeros, tar_padding((int64_t)records->size));
}

void tar_append_header(struct buf *out, const struct tar_header *header)
{
	scoped(buf_free) struct buf records = {0}, path = {0};
	bool is_link = header->kind == TAR_LINK || header->kind == TAR_HARD_LINK;
	const char *target = is_link ? header->target : "";
	size_t target_size = strlen(target);
	int64_t size = header->kind == TAR_FILE ? header->size_bytes : 0;
	struct ustar block = {.typeflag = (char)header->kind};

	buf_append_text(&path, header->path);
	if (header->kind == TAR_FOLDER)
		buf_append_char(&path, '/');
	if (!put_path(&block, buf_text(&path)) || !is_ascii(header->path))
		put_record(&records, "path", buf_str(&path));
	memcpy(block.linkname, target,
		target_size < sizeof(block.linkname) ? target_size : sizeof(block.linkname));
	if (target_size > sizeof(block.linkname) || !is_ascii(target))
		put_record(&records, "linkpath", str_of(target));
	if (size > octal_limit)
		put_number_record(&records, "size", size);
	put_owner(block.uid, &records, "uid", header->user);
	put_owner(block.gid, &records, "gid", header->group);
	if (header->capability.size > 0)
		put_record(&records, "SCHILY.xattr.security.capability", header->capability);
	put_octal(block.mode, sizeof(block.mode), header->mode);
	put_octal(block.size, sizeof(block.size), size > octal_limit ? 0 : size);
	put_octal(block.mtime, sizeof(block.mtime), header->modified_s);

	if (records.size > 0)
		put_pax(out, &records, header->modified_s);
	finish(&block, out);
}

size_t tar_padding(int64_t size_bytes)
{
	return (size_t)((TAR_BLOCK - size_bytes % TAR_BLOCK) % TAR_BLOCK);
}
