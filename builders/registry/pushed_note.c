#include "builders/registry/pushed_note.h"

#include "base/memory.h"

enum { NOTES_LIMIT = 4096 };

static char *note_path(const char *folder, const struct reference *target,
	const struct digest *subject, const struct artifact_list *list)
{
	scoped(strings_free) struct strings lines = {0};
	scoped(buf_free) struct buf text = {0};
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < list->count; i++) {
		digest_to_hex(&list->items[i].manifest.digest, hex);
		strings_printf(&lines, "%s %s", hex, list->items[i].tag ? list->items[i].tag : "");
	}
	strings_sort(&lines);
	digest_to_hex(subject, hex);
	buf_printf(&text, "%s/%s %s\n", target->host, target->repository, hex);
	for (size_t i = 0; i < lines.count; i++)
		buf_printf(&text, "%s\n", lines.items[i]);
	struct digest name = digest_of_str(buf_str(&text));
	digest_to_hex(&name, hex);
	return memory_format("%s/%s", folder, hex);
}

bool pushed_note_find(const char *folder, const struct reference *target,
	const struct digest *subject, const struct artifact_list *list)
{
	if (!folder)
		return false;
	scoped(text_free) char *path = note_path(folder, target, subject, list);
	return file_exists(path);
}

static bool make_room(const char *folder, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!file_exists(folder))
		return folder_make(folder, 0700, err);
	if (!folder_list(folder, &names, err))
		return false;
	return names.count < NOTES_LIMIT ||
	       (folder_remove(folder, err) && folder_make(folder, 0700, err));
}

void pushed_note_write(const char *folder, const struct reference *target,
	const struct digest *subject, const struct artifact_list *list)
{
	scoped(error_free) struct error err = {0};

	if (!folder)
		return;
	scoped(text_free) char *path = note_path(folder, target, subject, list);
	if (!make_room(folder, &err) || !file_write(path, (struct str){0}, 0600, false, &err))
		error_ignore(&err, "without the note the next push asks the registry");
}
