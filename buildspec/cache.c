#include "buildspec/cache.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"
#include "buildspec/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOME_INSIDE "/root"

/* The part before the first name with a wildcard, normalised: "a/b" of "./a/b/" and stars. */
static char *fixed_part(const char *pattern)
{
	size_t size = strcspn(pattern, "*?");

	if (pattern[size])
		while (size && pattern[size - 1] != '/')
			size--;
	scoped(text_free) char *part = memory_copy(pattern, size);

	return path_normalise(part);
}

/* Makes the folders on the way, one by one: a checkout may hold a link that leads out of it.
 * Why not, or NULL. */
static const char *make_inside(const char *source, const char *path)
{
	scoped(text_free) char *whole = path_join(source, path);
	struct stat status;

	char *end = whole + strlen(source);

	do {
		end = strchrnul(end + 1, '/');
		char kept = *end;

		*end = '\0';
		if (mkdir(whole, 0755) < 0 && errno != EEXIST)
			return strerror(errno);
		if (lstat(whole, &status) < 0 || !S_ISDIR(status.st_mode))
			return "it is no folder";
		*end = kept;
	} while (*end);
	/* Empty folders are not part of a commit. */
	return rmdir(whole) == 0 ? NULL : "it is part of the source";
}

/* Where the folder goes: on this machine for a link, or inside the sandbox. NULL: *out_why not. */
static char *find_place(const char *path, const char *source, bool sandbox, const char **out_why)
{
	*out_why = NULL;
	if (path[0] == '/') {
		if (sandbox && path_is_below(path, HOME_INSIDE) && !text_equal(path, HOME_INSIDE))
			return memory_copy_text(path);
		*out_why = sandbox ? "only folders of the source and below " HOME_INSIDE " are kept"
				   : "only folders of the source are kept";
		return NULL;
	}
	if (!path_is_inside(path) || text_equal(path, "."))
		*out_why = "it is no folder below the source";
	else
		*out_why = make_inside(source, path);
	if (*out_why)
		return NULL;
	return path_join(sandbox ? SHELL_SOURCE_INSIDE : source, path);
}

static bool keep(struct cache *cache, const char *folder, const char *path, const char *place,
	bool sandbox, struct error *err)
{
	scoped(buf_free) struct buf name = {0};

	percent_append(&name, str_of(path), false);
	scoped(text_free) char *kept = path_join(folder, buf_text(&name));

	if (!folder_make(kept, 0700, err))
		return error_while(err, "keeping the build's cache of %s", path);
	if (!sandbox) {
		if (symlink(kept, place) < 0)
			return error_raise_errno(err, "link \"%s\" to \"%s\"", place, kept);
		return true;
	}
	cache->binds = memory_resize(cache->binds, (cache->count + 1) * sizeof(*cache->binds));
	cache->binds[cache->count++] =
		(struct sandbox_bind){memory_copy_text(kept), memory_copy_text(place), true};
	return true;
}

static void say_why(const struct keyed_cache_options *options, const char *what, const char *why)
{
	scoped(text_free) char *line = memory_format("Not kept in the cache: %s: %s", what, why);

	options->say(options->self, line);
}

static bool keep_paths(const struct cache_spec *spec, const struct keyed_cache_options *options,
	struct cache *cache, struct error *err)
{
	if (spec->paths.count && (!spec->restores || !spec->saves))
		options->say(options->self, "Without a key the cache's action has no effect here");
	for (size_t i = 0; i < spec->paths.count; i++) {
		const char *why;
		scoped(text_free) char *path = fixed_part(spec->paths.items[i]);
		scoped(text_free) char *place =
			find_place(path, options->source, options->sandbox, &why);

		if (!place)
			say_why(options, spec->paths.items[i], why);
		else if (!keep(cache, options->folder, path, place, options->sandbox, err))
			return false;
	}
	return true;
}

bool cache_open(const struct cache_spec *spec, const struct keyed_cache_options *options,
	struct cache *out_cache, struct error *err)
{
	scoped(cache_free) struct cache cache = {.has_key = spec->key && spec->paths.count};

	if (cache.has_key ? !keyed_cache_open(spec, options, &cache.keyed, &cache.binds,
				    &cache.count, err)
			  : !keep_paths(spec, options, &cache, err))
		return false;
	*out_cache = cache;
	cache = (struct cache){0};
	return true;
}

static void free_text(const char *text)
{
	free((void *)(uintptr_t)text);
}

void cache_free(struct cache *cache)
{
	for (size_t i = 0; i < cache->count; i++) {
		free_text(cache->binds[i].from);
		free_text(cache->binds[i].to);
	}
	free(cache->binds);
	keyed_cache_free(&cache->keyed);
	*cache = (struct cache){0};
}
