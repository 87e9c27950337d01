#include "buildspec/keyed_cache.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/cache_entry.h"
#include "buildspec/pattern.h"
#include "buildspec/steady_copy.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOME_INSIDE "/root"
#define STORE_NAME "keyed"
static const int64_t default_limit_bytes = 5ll << 30;

static void printf_like(2, 3) say(const struct keyed_cache *cache, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *line = memory_format_list(format, args);
	va_end(args);
	cache->say(cache->self, line);
}

static struct cache_store store_of(const struct keyed_cache *cache)
{
	return (struct cache_store){cache->store, cache->group, cache->limit_bytes};
}

/* The folders before the first name with a wildcard; all of it when there is none. */
static char *fixed_part(const char *pattern)
{
	size_t size = strcspn(pattern, "*?");

	if (pattern[size])
		while (size && pattern[size - 1] != '/')
			size--;
	while (size > 1 && pattern[size - 1] == '/')
		size--;
	return memory_copy(pattern, size);
}

static struct cache_root *add_root(struct keyed_cache *cache, char *folder)
{
	cache->roots = memory_resize(cache->roots, (cache->root_count + 1) * sizeof(*cache->roots));
	cache->roots[cache->root_count] = (struct cache_root){.folder = folder};
	return &cache->roots[cache->root_count++];
}

/* A folder below /root is one of ours, mounted there. */
static bool add_home_path(struct keyed_cache *cache, const struct keyed_cache_options *options,
	const char *pattern, struct sandbox_bind **binds, size_t *bind_count, struct error *err)
{
	scoped(text_free) char *place = fixed_part(pattern);
	const char *rest = pattern + strlen(place);

	while (*rest == '/')
		rest++;
	for (size_t i = 0; i < *bind_count; i++)
		if (path_is_below(place, (*binds)[i].to) || path_is_below((*binds)[i].to, place)) {
			say(cache, "Not kept in the cache: %s: another path holds it", pattern);
			return true;
		}
	char *folder = memory_format("%s/cache-%zu", options->work, cache->root_count);
	struct cache_root *root = add_root(cache, folder);

	strings_add(&root->patterns, *rest ? rest : "**/*");
	*binds = memory_resize(*binds, (*bind_count + 1) * sizeof(**binds));
	(*binds)[(*bind_count)++] =
		(struct sandbox_bind){memory_copy_text(folder), memory_copy_text(place), true};
	return folder_make(folder, 0700, err);
}

static const char *why_not(const struct keyed_cache_options *options, const char *path)
{
	if (path[0] != '/')
		return path_is_inside(path) && !text_equal(path, ".")
			       ? NULL
			       : "it is no path below the source";
	if (!options->sandbox || !options->work)
		return "only folders of the source are kept";
	scoped(text_free) char *fixed = fixed_part(path);

	return path_is_below(fixed, HOME_INSIDE) && !text_equal(fixed, HOME_INSIDE)
		       ? NULL
		       : "only folders of the source and below " HOME_INSIDE " are kept";
}

/* The same paths in the same order are the same group. */
static char *name_group(const struct texts *paths)
{
	struct hasher *hasher = hasher_new();
	char name[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < paths->count; i++)
		hasher_add(hasher, paths->items[i], strlen(paths->items[i]) + 1);
	struct digest digest = hasher_finish(hasher);

	hasher_free(&hasher);
	digest_to_hex(&digest, name);
	return memory_copy(name, 16);
}

bool keyed_cache_open(const struct cache_spec *spec, const struct keyed_cache_options *options,
	struct keyed_cache *out_cache, struct sandbox_bind **binds, size_t *bind_count,
	struct error *err)
{
	scoped(keyed_cache_free) struct keyed_cache cache = {.store = path_join(options->folder,
								     STORE_NAME),
		.group = name_group(&spec->paths),
		.limit_bytes = options->limit_bytes ? options->limit_bytes : default_limit_bytes,
		.say = options->say,
		.self = options->self};

	add_root(&cache, memory_copy_text(options->source));
	for (size_t i = 0; i < spec->paths.count; i++) {
		scoped(text_free) char *path = path_normalise(spec->paths.items[i]);
		const char *why = why_not(options, path);

		if (why)
			say(&cache, "Not kept in the cache: %s: %s", spec->paths.items[i], why);
		else if (path[0] != '/')
			strings_add(&cache.roots[0].patterns, path);
		else if (!add_home_path(&cache, options, path, binds, bind_count, err))
			return false;
	}
	*out_cache = cache;
	cache = (struct keyed_cache){0};
	return true;
}

void keyed_cache_free(struct keyed_cache *cache)
{
	for (size_t i = 0; i < cache->root_count; i++) {
		free(cache->roots[i].folder);
		strings_free(&cache->roots[i].patterns);
	}
	free(cache->roots);
	free(cache->store);
	free(cache->group);
	free(cache->key);
	*cache = (struct keyed_cache){0};
}

/* Does a link at path (below root) lead to somewhere below root? Whether it exists does not matter. */
static bool leads_inside(const char *path, const char *target)
{
	scoped(text_free) char *folder = path_parent(path);
	scoped(text_free) char *whole = path_join(folder, target);

	return target[0] != '/' && path_is_inside(whole);
}

/* Makes the folders above path, one by one. Why not, or NULL. */
static const char *make_parents(const char *root, const char *path)
{
	scoped(text_free) char *whole = path_join(root, path);
	char *end = whole + strlen(root);
	struct stat status;

	while ((end = strchr(end + 1, '/'))) {
		*end = '\0';
		if (mkdir(whole, 0755) < 0 && errno != EEXIST)
			return strerror(errno);
		if (lstat(whole, &status) < 0 || !S_ISDIR(status.st_mode))
			return "something that is no folder is in the way";
		*end = '/';
	}
	return NULL;
}

static const char *put_file(const char *root, const char *path, const struct cache_file *file,
	const char *content)
{
	scoped(text_free) char *whole = path_join(root, path);
	const char *why = path_is_inside(path) ? make_parents(root, path) : "it leads out";
	struct stat status;

	if (why)
		return why;
	if (lstat(whole, &status) == 0 && S_ISDIR(status.st_mode))
		return "a folder is in the way";
	if (!file->link)
		return chmod(content, file->mode) == 0 && rename(content, whole) == 0
			       ? NULL
			       : strerror(errno);
	if (!leads_inside(path, file->link))
		return "it leads out";
	unlink(whole);
	return symlink(file->link, whole) == 0 ? NULL : strerror(errno);
}

static void put_files(const struct keyed_cache *cache, const struct cache_files *files,
	const char *folder)
{
	for (size_t i = 0; i < files->count; i++) {
		struct str path = str_of(files->items[i].path), number = str_cut(&path, '/');
		scoped(text_free) char *content = memory_format("%s/%zu", folder, i);
		int64_t root = -1;
		const char *why = "it belongs to no path";

		if (str_to_int(number, &root) && root >= 0 && (size_t)root < cache->root_count &&
			path.data)
			why = put_file(cache->roots[root].folder, path.data, &files->items[i],
				content);
		if (why)
			say(cache, "Not restored from the cache: %s: %s",
				path.data ? path.data : "", why);
	}
}

/* Sets *out_done when the entry of that key was whole. */
static bool restore_entry(struct keyed_cache *cache, const char *key, bool *out_done,
	struct error *err)
{
	const struct cache_store store = store_of(cache);
	scoped(text_free) char *beside = path_parent(cache->roots[0].folder);
	scoped(cache_files_free) struct cache_files files = {0};
	scoped(text_free) char *folder = NULL, *broken = NULL;

	*out_done = false;
	if (!folder_make_temporary(beside, "cache-", &folder, err))
		return false;
	bool ok = cache_store_take(&store, key, folder, &files, &broken, err);

	if (ok && broken) {
		say(cache, "The cache entry %s is broken and was removed: %s", key, broken);
	} else if (ok) {
		put_files(cache, &files, folder);
		say(cache, "Restored %zu files from the cache entry %s", files.count, key);
		*out_done = true;
	}
	return (folder_remove(folder, ok ? err : NULL) && ok) ||
	       error_while(err, "restoring the cache entry %s", key);
}

static bool try_fallback(struct keyed_cache *cache, const char *prefix, bool *out_done,
	struct error *err)
{
	const struct cache_store store = store_of(cache);
	scoped(text_free) char *found = NULL;

	*out_done = false;
	return !prefix[0] || (cache_store_find(&store, prefix, &found, err) &&
				     (!found || restore_entry(cache, found, out_done, err)));
}

void keyed_cache_set_key(struct keyed_cache *cache, const char *key)
{
	text_free(&cache->key);
	if (key[0])
		cache->key = memory_copy_text(key);
	else
		say(cache, "The cache's key came out empty: nothing is restored and nothing kept");
}

bool keyed_cache_restore(struct keyed_cache *cache, const struct strings *fallback_keys,
	struct error *err)
{
	const struct cache_store store = store_of(cache);
	bool done = false;

	if (!cache->key)
		return true;
	if (cache_store_has(&store, cache->key) && !restore_entry(cache, cache->key, &done, err))
		return false;
	for (size_t i = 0; !done && i < fallback_keys->count; i++)
		if (!try_fallback(cache, fallback_keys->items[i], &done, err))
			return false;
	if (!done)
		say(cache, "There is no cache entry %s yet", cache->key);
	return true;
}

/* One walk that copies what a pattern names into an entry-to-be. */
struct gathering {
	struct keyed_cache *cache;
	size_t root;
	const char *from; /* below the root, where the walk begins */
	const char *pattern;
	size_t index; /* of the pattern in its root's list */
	const char *folder;
	struct cache_files *files;
	bool too_large;
};

static void add_link(struct gathering *g, const char *path, const char *whole)
{
	char target[PATH_MAX];
	ssize_t size = readlink(whole, target, sizeof(target) - 1);

	if (size < 0)
		return;
	target[size] = '\0';
	if (leads_inside(path, target))
		cache_files_add(g->files,
			(struct cache_file){.path = memory_format("%zu/%s", g->root, path),
				.link = memory_copy_text(target)});
	else
		say(g->cache, "Not kept in the cache: %s is a link that leads out", path);
}

static bool add_file(struct gathering *g, const char *path, struct error *err)
{
	const struct steady_source source = {g->cache->roots[g->root].folder, path, NULL, NULL};
	scoped(text_free) char *to = memory_format("%s/%zu", g->folder, g->files->count);
	struct cache_file file = {0};
	struct stat status;
	enum steady result;

	if (!steady_copy(&source, to, &result, &status, err))
		return false;
	if (result != STEADY_COPIED) {
		say(g->cache, "Not kept in the cache: %s changes all the time", path);
		return true;
	}
	if (!digest_of_file(to, &file.digest, &file.size_bytes, err))
		return false;
	file.mode = status.st_mode & 0777;
	file.path = memory_format("%zu/%s", g->root, path);
	cache_files_add(g->files, file);
	return true;
}

static bool is_named(const char *pattern, const char *path)
{
	return pattern_has_wildcard(pattern) ? pattern_matches(pattern, path)
					     : path_is_below(path, pattern);
}

/* An earlier pattern of the same root has named it. */
static bool is_there(const struct gathering *g, const char *path)
{
	const struct strings *patterns = &g->cache->roots[g->root].patterns;

	for (size_t i = 0; i < g->index; i++)
		if (is_named(patterns->items[i], path))
			return true;
	return false;
}

static bool gather(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct gathering *g = context;
	scoped(text_free) char *path = path_join(g->from, relative);
	scoped(text_free) char *normal = path_normalise(path);
	scoped(text_free) char *whole = path_join(g->cache->roots[g->root].folder, normal);

	if (S_ISDIR(status->st_mode) || g->too_large || !is_named(g->pattern, normal) ||
		is_there(g, normal))
		return true;
	if (S_ISLNK(status->st_mode))
		add_link(g, normal, whole);
	else if (S_ISREG(status->st_mode) &&
		 g->files->size_bytes + status->st_size > g->cache->limit_bytes)
		g->too_large = true;
	else if (S_ISREG(status->st_mode))
		return add_file(g, normal, err);
	return true;
}

/* Does path lie below root without a link on the way? */
static bool is_plain(const char *root, const char *path)
{
	scoped(text_free) char *whole = path_join(root, path);
	char real_root[PATH_MAX], real[PATH_MAX];

	return realpath(root, real_root) && realpath(whole, real) && path_is_below(real, real_root);
}

static bool gather_pattern(struct gathering *g, const char *pattern, struct error *err)
{
	const char *root = g->cache->roots[g->root].folder;
	scoped(text_free) char *part = fixed_part(pattern);
	const char *fixed = part[0] ? part : ".";
	scoped(text_free) char *start = path_join(root, fixed);
	struct stat status;

	g->from = fixed;
	g->pattern = pattern;
	if (lstat(start, &status) < 0 || !is_plain(root, fixed))
		return true;
	return S_ISDIR(status.st_mode) ? folder_walk(start, gather, g, err)
				       : gather(g, "", &status, err);
}

static bool gather_all(struct keyed_cache *cache, const char *folder, struct cache_files *files,
	bool *out_too_large, struct error *err)
{
	struct gathering g = {.cache = cache, .folder = folder, .files = files};

	for (g.root = 0; g.root < cache->root_count; g.root++)
		for (g.index = 0; g.index < cache->roots[g.root].patterns.count; g.index++)
			if (!gather_pattern(&g, cache->roots[g.root].patterns.items[g.index], err))
				return false;
	*out_too_large = g.too_large;
	return true;
}

static bool save_in(struct keyed_cache *cache, const char *folder, struct error *err)
{
	const struct cache_store store = store_of(cache);
	scoped(cache_files_free) struct cache_files files = {0};
	size_t removed;
	bool too_large;

	if (!gather_all(cache, folder, &files, &too_large, err))
		return false;
	if (too_large || !files.count) {
		say(cache, "Nothing is kept in the cache: %s",
			too_large ? "it is larger than the cache may be"
				  : "its paths name no files");
		return folder_remove(folder, err);
	}
	if (!cache_store_commit(&store, cache->key, folder, &files, &removed, err))
		return false;
	say(cache, "Kept %zu files as the cache entry %s", files.count, cache->key);
	if (removed)
		say(cache, "%zu cache entries that were not used for longest made room", removed);
	return true;
}

bool keyed_cache_save(struct keyed_cache *cache, struct error *err)
{
	const struct cache_store store = store_of(cache);
	scoped(text_free) char *folder = NULL;
	struct error ignored = {0};

	if (!cache->key || cache_store_has(&store, cache->key))
		return true;
	if (!cache_store_begin(&store, &folder, err))
		return error_while(err, "keeping the cache entry %s", cache->key);
	if (save_in(cache, folder, err))
		return true;
	if (!folder_remove(folder, &ignored))
		error_ignore(&ignored, "a later build removes it");
	return error_while(err, "keeping the cache entry %s", cache->key);
}
