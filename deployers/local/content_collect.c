#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content_internal.h"
#include "deployers/local/store.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { LINK_MS = 24 * 3600 * 1000, FILE_MS = LINK_MS, UPLOAD_MS = 3600 * 1000 };

/* What some image needs, and the links that none does. */
struct collection {
	struct strings needed, links; /* keys of "ecr.blob" */
	int64_t before_ms;
};

static bool note_needed(void *context, const char *id, const struct json *image)
{
	struct collection *collection = context;
	const struct json *blobs = json_get(image, "_blobs");

	strings_add(&collection->needed, id);
	for (size_t i = 0; i < json_count(blobs); i++)
		strings_printf(&collection->needed, "%s@%s",
			json_get_text(image, "repositoryName", ""),
			json_text(json_at(blobs, i), ""));
	return true;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_listed(const struct strings *sorted, const char *text)
{
	return sorted->count &&
	       bsearch(&text, sorted->items, sorted->count, sizeof(*sorted->items), compare_text);
}

static bool note_unneeded(void *context, const char *id, const struct json *link)
{
	struct collection *collection = context;

	if (!is_listed(&collection->needed, id) &&
		json_get_int(link, "linked_ms", 0) < collection->before_ms)
		strings_add(&collection->links, id);
	return true;
}

static bool remove_links(struct content *content, struct error *err)
{
	struct store *store = content->cloud->store;
	struct collection collection = {.before_ms = clock_now(content->cloud->clock) - LINK_MS};
	bool ok = true;

	store_each(store, "ecr.image", note_needed, &collection);
	strings_sort(&collection.needed);
	store_each(store, "ecr.blob", note_unneeded, &collection);
	for (size_t i = 0; ok && i < collection.links.count; i++)
		ok = store_remove(store, "ecr.blob", collection.links.items[i], err);
	strings_free(&collection.needed);
	strings_free(&collection.links);
	return ok;
}

static bool note_name(void *context, const char *id, const struct json *value)
{
	const char *at = strrchr(id, '@');

	(void)value;
	if (at)
		strings_add(context, at + 1);
	return true;
}

/* Removes the files of a folder that are older and not among those kept ("<prefix><file>"). */
static bool remove_files(const char *folder, const char *prefix, const struct strings *kept,
	int64_t before_ms, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]),
				       *name = memory_format("%s%s", prefix, names.items[i]);
		struct stat status;

		if ((kept && is_listed(kept, name)) || stat(path, &status) < 0 ||
			status.st_ctim.tv_sec * 1000 >= before_ms)
			continue;
		log_trace("content", "removing %s: nothing needs it", path);
		if (!file_remove(path, err))
			return false;
	}
	return true;
}

/*
 * Files that no repository shows. One that was renamed here a moment ago gets its link in the same
 * turn of the loop, so age is not what makes this safe; it leaves time to a crashed push, whose
 * client comes again with what it sent already.
 */
static bool remove_unlinked(struct content *content, int64_t now, struct error *err)
{
	scoped(text_free) char *sha256 = path_join(content->blobs, "sha256"),
			       *sha512 = path_join(content->blobs, "sha512");
	scoped(strings_free) struct strings shown = {0};

	store_each(content->cloud->store, "ecr.blob", note_name, &shown);
	store_each(content->cloud->store, "ecr.image", note_name, &shown);
	strings_sort(&shown);
	return remove_files(sha256, "sha256:", &shown, now - FILE_MS, err) &&
	       remove_files(sha512, "sha512:", &shown, now - FILE_MS, err);
}

bool content_collect(struct content *content, struct error *err)
{
	int64_t now = clock_now(content->cloud->clock);

	return remove_links(content, err) && remove_unlinked(content, now, err) &&
	       remove_files(content->uploads, "", NULL, now - UPLOAD_MS, err);
}
