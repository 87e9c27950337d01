#include "builders/registry/blob_memory.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

enum { FILE_LIMIT = 256 << 10, HEX = DIGEST_HEX_SIZE - 1 };

void blob_memory_open(struct blob_memory *memory, const char *folder, const char *host)
{
	struct error ignored = {0};
	struct digest name = digest_of_str(str_of(host));
	char hex[DIGEST_HEX_SIZE];

	*memory = (struct blob_memory){0};
	if (!folder)
		return;
	digest_to_hex(&name, hex);
	memory->path = memory_format("%s/%.32s.blobs", folder, hex);
	if (file_exists(memory->path) &&
		!file_read(memory->path, 2 * FILE_LIMIT, &memory->text, &ignored)) {
		error_ignore(&ignored, "then nothing is known");
		buf_clear(&memory->text);
	}
}

void blob_memory_free(struct blob_memory *memory)
{
	buf_free(&memory->text);
	text_free(&memory->path);
	memory->changed = false;
}

/* The repository of a line that is about this blob; data NULL when it is about another. */
static struct str repository_of(struct str line, const char hex[DIGEST_HEX_SIZE])
{
	if (line.size <= HEX + 1 || memcmp(line.data, hex, HEX) != 0 || line.data[HEX] != ' ')
		return (struct str){0};
	return (struct str){line.data + HEX + 1, line.size - HEX - 1};
}

bool blob_memory_has(const struct blob_memory *memory, const struct digest *digest,
	const char *repository)
{
	struct str rest = buf_str(&memory->text);
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	while (rest.size > 0)
		if (str_equal_text(repository_of(str_cut(&rest, '\n'), hex), repository))
			return true;
	return false;
}

/* It goes into a URL: only what a repository may be called. */
static bool is_repository(struct str name)
{
	for (size_t i = 0; i < name.size; i++)
		if (!memchr("abcdefghijklmnopqrstuvwxyz0123456789._-/", name.data[i], 40))
			return false;
	return name.size > 0 && name.size <= 255;
}

char *blob_memory_find(const struct blob_memory *memory, const struct digest *digest,
	const char *but_not)
{
	struct str rest = buf_str(&memory->text), found = {0};
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	while (rest.size > 0) {
		struct str repository = repository_of(str_cut(&rest, '\n'), hex);

		if (repository.data && !str_equal_text(repository, but_not) &&
			is_repository(repository))
			found = repository;
	}
	return found.data ? str_copy(found) : NULL;
}

void blob_memory_add(struct blob_memory *memory, const struct digest *digest,
	const char *repository)
{
	char hex[DIGEST_HEX_SIZE];

	if (!memory->path || blob_memory_has(memory, digest, repository))
		return;
	digest_to_hex(digest, hex);
	buf_printf(&memory->text, "%s %s\n", hex, repository);
	memory->changed = true;
}

void blob_memory_save(struct blob_memory *memory)
{
	scoped(text_free) char *folder = NULL;
	struct error ignored = {0};

	if (!memory->path || !memory->changed)
		return;
	/* The older half is forgotten first. */
	if (memory->text.size > FILE_LIMIT) {
		const char *cut = memchr(memory->text.data + memory->text.size - FILE_LIMIT / 2,
			'\n', FILE_LIMIT / 2);
		buf_remove_front(&memory->text,
			cut ? (size_t)(cut - memory->text.data) + 1 : memory->text.size);
	}
	folder = path_parent(memory->path);
	if (!folder_make(folder, 0700, &ignored) ||
		!file_write(memory->path, buf_str(&memory->text), 0600, false, &ignored))
		error_ignore(&ignored, "it is only a hint");
	memory->changed = false;
}
