#include "buildspec/cache_entry.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { META_LIMIT = 64 * 1024 };
#define FILES_LIMIT ((size_t)512 * 1024 * 1024)
#define NEW_PREFIX ".new-"

void cache_files_add(struct cache_files *files, struct cache_file file)
{
	if (files->count == files->room) {
		files->room = files->room ? files->room * 2 : 64;
		files->items = memory_resize(files->items, files->room * sizeof(*files->items));
	}
	files->items[files->count++] = file;
	files->size_bytes += file.link ? 0 : file.size_bytes;
}

void cache_files_free(struct cache_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].path);
		free(files->items[i].link);
	}
	free(files->items);
	*files = (struct cache_files){0};
}

static char *entry_path(const struct cache_store *store, const char *key)
{
	struct digest digest = digest_of_str(str_of(key));
	char name[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, name);
	return memory_format("%s/%s/%s", store->folder, store->group, name);
}

static bool lock(const struct cache_store *store, bool alone, int *out_fd, struct error *err)
{
	scoped(text_free) char *path = path_join(store->folder, "lock");

	return folder_make(store->folder, 0700, err) &&
	       (alone ? file_lock(path, true, out_fd, err) : file_lock_shared(path, out_fd, err));
}

static bool read_meta(const char *entry, struct json **out_meta)
{
	scoped(text_free) char *path = path_join(entry, "meta");

	return json_read_file(path, META_LIMIT, out_meta, NULL);
}

bool cache_store_has(const struct cache_store *store, const char *key)
{
	scoped(text_free) char *entry = entry_path(store, key);

	return file_exists(entry);
}

bool cache_store_find(const struct cache_store *store, const char *prefix, char **out_key,
	struct error *err)
{
	scoped(text_free) char *group = path_join(store->folder, store->group);
	scoped(strings_free) struct strings names = {0};
	scoped(text_free) char *best = NULL;
	int64_t newest = -1;

	if (file_is_folder(group) && !folder_list(group, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *entry = path_join(group, names.items[i]);
		scoped(json_free) struct json *meta = NULL;

		if (!read_meta(entry, &meta))
			continue;
		const char *key = json_get_text(meta, "key", "");
		int64_t created_ms = json_get_int(meta, "created_ms", 0);

		if (!text_starts_with(key, prefix) || created_ms <= newest)
			continue;
		newest = created_ms;
		text_free(&best);
		best = memory_copy_text(key);
	}
	*out_key = best;
	best = NULL;
	return true;
}

/* Why the list is not the one that was written, or NULL. */
static char *read_list(const char *entry, const char *key, struct json **out_list)
{
	scoped(text_free) char *path = path_join(entry, "files");
	scoped(json_free) struct json *meta = NULL;
	scoped(buf_free) struct buf text = {0};
	const struct json_limits limits = {.size_bytes = FILES_LIMIT};
	char hex[DIGEST_HEX_SIZE];

	if (!read_meta(entry, &meta) || !text_equal(json_get_text(meta, "key", NULL), key))
		return memory_copy_text("its description cannot be read");
	if (!file_read(path, FILES_LIMIT, &text, NULL))
		return memory_copy_text("its list of files cannot be read");
	struct digest digest = digest_of_str(buf_str(&text));

	digest_to_hex(&digest, hex);
	if (!text_equal(json_get_text(meta, "files", NULL), hex) ||
		!json_parse(buf_str(&text), "files", &limits, out_list, NULL))
		return memory_copy_text("its list of files has changed");
	return NULL;
}

static char *take_content(const char *entry, size_t number, const struct json *row,
	const char *folder, struct cache_file *file, struct error *err)
{
	struct error why = {0};
	scoped(text_free) char *name = memory_format("%zu", number);
	scoped(text_free) char *from = path_join(entry, name);
	scoped(text_free) char *to = path_join(folder, name);
	char hex[DIGEST_HEX_SIZE];

	file->mode = (mode_t)json_get_int(row, "mode", 0600) & 0777;
	if (!file_copy(from, to, &why) ||
		!digest_of_file(to, &file->digest, &file->size_bytes, &why)) {
		if (error_is_full(&why))
			error_move(err, &why);
		else
			error_ignore(&why, "the entry is told to be broken");
		return memory_format("%s cannot be read", file->path);
	}
	digest_to_hex(&file->digest, hex);
	if (!text_equal(json_get_text(row, "sha256", NULL), hex))
		return memory_format("the content of %s has changed", file->path);
	return NULL;
}

static char *take_files(const char *entry, const struct json *list, const char *folder,
	struct cache_files *files, struct error *err)
{
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *row = json_at(list, i);
		struct cache_file file = {.path = memory_copy_text(json_get_text(row, "path", "")),
			.link = memory_copy_text(json_get_text(row, "link", NULL))};
		char *why = file.link ? NULL : take_content(entry, i, row, folder, &file, err);

		cache_files_add(files, file);
		if (why)
			return why;
	}
	return NULL;
}

/* It was used: it is the last to go. */
static void touch(const char *entry)
{
	scoped(text_free) char *meta = path_join(entry, "meta");

	if (utimensat(AT_FDCWD, meta, NULL, 0) < 0)
		return; /* it goes earlier than it might */
}

static char *take_entry(const char *entry, const char *key, const char *folder,
	struct cache_files *files, struct error *err)
{
	scoped(json_free) struct json *list = NULL;
	char *why = read_list(entry, key, &list);

	if (!why)
		why = take_files(entry, list, folder, files, err);
	if (!why)
		touch(entry);
	return why;
}

static bool remove_entry(const struct cache_store *store, const char *entry, struct error *err)
{
	scoped(descriptor_close) int fd = -1;

	return lock(store, true, &fd, err) && folder_remove(entry, err);
}

bool cache_store_take(const struct cache_store *store, const char *key, const char *folder,
	struct cache_files *out_files, char **out_broken, struct error *err)
{
	scoped(text_free) char *entry = entry_path(store, key);
	scoped(cache_files_free) struct cache_files files = {0};
	scoped(descriptor_close) int fd = -1;

	if (!lock(store, false, &fd, err))
		return false;
	struct error full = {0};

	*out_broken = take_entry(entry, key, folder, &files, &full);
	descriptor_close(&fd);
	fd = -1;
	if (full.kind) {
		text_free(out_broken);
		error_move(err, &full);
		return false;
	}
	if (*out_broken) {
		if (remove_entry(store, entry, err))
			return true;
		text_free(out_broken);
		return false;
	}
	*out_files = files;
	files = (struct cache_files){0};
	return true;
}

/* Under the exclusive lock nobody is making one: what there is was left behind. But one is filled
 * without the lock, so only old ones are. */
enum { LEFT_BEHIND_SECONDS = 24 * 60 * 60 };

static bool sweep(const struct cache_store *store, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(store->folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(store->folder, names.items[i]);
		struct stat status;

		if (!text_starts_with(names.items[i], NEW_PREFIX) || stat(path, &status) < 0 ||
			status.st_mtime > clock_now(&system_clock) / 1000 - LEFT_BEHIND_SECONDS)
			continue;
		if (!folder_remove(path, err))
			return false;
	}
	return true;
}

bool cache_store_begin(const struct cache_store *store, char **out_folder, struct error *err)
{
	scoped(descriptor_close) int fd = -1;

	return lock(store, true, &fd, err) && sweep(store, err) &&
	       folder_make_temporary(store->folder, NEW_PREFIX, out_folder, err);
}

static void write_file(const struct cache_file *file, struct json_writer *w)
{
	char hex[DIGEST_HEX_SIZE];

	json_object_begin(w);
	json_put_text(w, "path", file->path);
	if (file->link) {
		json_put_text(w, "link", file->link);
	} else {
		digest_to_hex(&file->digest, hex);
		json_put_int(w, "mode", file->mode);
		json_put_int(w, "size", file->size_bytes);
		json_put_text(w, "sha256", hex);
	}
	json_object_end(w);
}

static bool write_description(const char *folder, const char *key, const struct cache_files *files,
	struct error *err)
{
	scoped(buf_free) struct buf list = {0}, meta = {0};
	scoped(text_free) char *list_path = path_join(folder, "files");
	scoped(text_free) char *meta_path = path_join(folder, "meta");
	struct json_writer w = json_writer_start(&list);
	char hex[DIGEST_HEX_SIZE];

	json_array_begin(&w);
	for (size_t i = 0; i < files->count; i++)
		write_file(&files->items[i], &w);
	json_array_end(&w);
	struct digest digest = digest_of_str(buf_str(&list));

	digest_to_hex(&digest, hex);
	w = json_writer_start(&meta);
	json_object_begin(&w);
	json_put_text(&w, "key", key);
	json_put_int(&w, "created_ms", clock_now(&system_clock));
	json_put_int(&w, "size_bytes", files->size_bytes);
	json_put_text(&w, "files", hex);
	json_object_end(&w);
	return file_write(list_path, buf_str(&list), 0600, false, err) &&
	       file_write(meta_path, buf_str(&meta), 0600, false, err);
}

struct aged {
	char *path; /* owned */
	struct timespec used;
	int64_t size_bytes;
};

struct aged_list {
	struct aged *items;
	size_t count;
	int64_t size_bytes;
};

static void aged_list_free(struct aged_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].path);
	free(list->items);
}

static void add_aged(struct aged_list *list, char *path)
{
	scoped(json_free) struct json *meta = NULL;
	scoped(text_free) char *meta_path = path_join(path, "meta");
	struct stat status = {0};

	/* One without a description is of no use: it counts as the oldest. */
	if (stat(meta_path, &status) < 0 || !read_meta(path, &meta))
		status.st_mtim = (struct timespec){0};
	int64_t size_bytes = json_get_int(meta, "size_bytes", 0);

	list->items = memory_resize(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = (struct aged){path, status.st_mtim, size_bytes};
	list->size_bytes += size_bytes;
}

static bool list_entries(const struct cache_store *store, struct aged_list *list, struct error *err)
{
	scoped(strings_free) struct strings groups = {0};

	if (!folder_list(store->folder, &groups, err))
		return false;
	for (size_t g = 0; g < groups.count; g++) {
		scoped(text_free) char *group = path_join(store->folder, groups.items[g]);
		scoped(strings_free) struct strings names = {0};

		if (groups.items[g][0] == '.' || !file_is_folder(group))
			continue;
		if (!folder_list(group, &names, err))
			return false;
		for (size_t i = 0; i < names.count; i++)
			add_aged(list, path_join(group, names.items[i]));
	}
	return true;
}

static int by_use(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static bool make_room(const struct cache_store *store, const char *kept, size_t *out_removed,
	struct error *err)
{
	scoped(aged_list_free) struct aged_list list = {0};

	*out_removed = 0;
	if (!list_entries(store, &list, err))
		return false;
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_use);
	for (size_t i = 0; i < list.count && list.size_bytes > store->limit_bytes; i++) {
		if (text_equal(list.items[i].path, kept))
			continue;
		if (!folder_remove(list.items[i].path, err))
			return false;
		list.size_bytes -= list.items[i].size_bytes;
		++*out_removed;
	}
	return true;
}

bool cache_store_commit(const struct cache_store *store, const char *key, const char *folder,
	const struct cache_files *files, size_t *out_removed, struct error *err)
{
	scoped(text_free) char *entry = entry_path(store, key);
	scoped(text_free) char *group = path_join(store->folder, store->group);
	scoped(descriptor_close) int fd = -1;

	*out_removed = 0;
	if (!write_description(folder, key, files, err) || !lock(store, true, &fd, err))
		return false;
	if (file_exists(entry))
		return folder_remove(folder, err);
	if (!folder_make(group, 0700, err))
		return false;
	if (rename(folder, entry) < 0)
		return error_raise_errno(err, "rename \"%s\" to \"%s\"", folder, entry);
	return make_room(store, entry, out_removed, err);
}
