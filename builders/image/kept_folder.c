#include "builders/image/kept_folder.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

char *kept_folder_id(const char *kind, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return memory_format("%s-%.32s", kind, hex);
}

static char *note_path(const char *folder, const struct digest *key)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(key, hex);
	return memory_format("%s/%s", folder, hex);
}

bool kept_folder_has(const char *folder, const char *id, char **out_path)
{
	char *path = path_join(folder, id);

	if (!file_is_folder(path)) {
		free(path);
		return false;
	}
	utimensat(AT_FDCWD, path, NULL, 0); /* used now */
	*out_path = path;
	return true;
}

bool kept_folder_find(const char *folder, const struct digest *key, const char *kind,
	char **out_path)
{
	scoped(text_free) char *note = note_path(folder, key), *id = NULL;
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	if (!file_read(note, 256, &text, &err)) {
		error_ignore(&err, "it was never made");
		return false;
	}
	id = str_copy(str_trim(buf_str(&text)));
	return text_starts_with(id, kind) && !strchr(id, '/') &&
	       kept_folder_has(folder, id, out_path);
}

bool kept_folder_note(const char *folder, const struct digest *key, const char *id,
	struct error *err)
{
	scoped(text_free) char *note = note_path(folder, key);
	scoped(text_free) char *content = memory_format("%s\n", id);

	return file_write(note, str_of(content), 0600, false, err);
}

struct aged {
	char *path;
	int64_t used_s;
};

static int youngest_first(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return (x->used_s < y->used_s) - (x->used_s > y->used_s);
}

/* Removes what was unused for longest. Notes that lead nowhere are harmless and small. */
static void prune(const char *folder, const char *kind, size_t limit)
{
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};
	size_t count = 0;

	if (!folder_list(folder, &names, &err)) {
		error_ignore(&err, "nothing to remove");
		return;
	}
	struct aged *all = memory_new_array(names.count, sizeof(*all));
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]);
		struct stat status = {0};

		if (!text_starts_with(names.items[i], kind) || stat(path, &status) != 0)
			continue;
		all[count++] = (struct aged){path, status.st_mtime};
		path = NULL;
	}
	if (count > 0)
		qsort(all, count, sizeof(*all), youngest_first);
	for (size_t i = 0; i < count; i++) {
		if (i >= limit && !folder_remove(all[i].path, &err))
			error_ignore(&err, "tried again next time");
		free(all[i].path);
	}
	free(all);
}

bool kept_folder_keep(const char *made, const char *folder, const struct digest *key,
	const char *id, size_t limit, char **out_path, struct error *err)
{
	scoped(text_free) char *path = path_join(folder, id);
	struct str rest = str_of(id);
	scoped(text_free) char *kind = str_copy(str_cut(&rest, '-'));

	/* Another process may have been faster: what it made is the same. */
	if (rename(made, path) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		return error_raise_errno(err, "rename \"%s\"", made);
	utimensat(AT_FDCWD, path, NULL, 0);
	if (!kept_folder_note(folder, key, id, err))
		return false;
	prune(folder, kind, limit);
	*out_path = path;
	path = NULL;
	return true;
}
