#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/cache.h"

#include <sys/stat.h>
#include <unistd.h>

/* kept/ stays from build to build, src/ and work/ are new for each. */
struct scene {
	char *root, *source, *work, *kept;
	struct buf said;
	struct cache cache;
	int64_t limit_bytes;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	if (scene->root && !folder_remove(scene->root, &scene->err))
		TEST_FAIL("%s", scene->err.message);
	text_free(&scene->root);
	text_free(&scene->source);
	text_free(&scene->work);
	text_free(&scene->kept);
	buf_free(&scene->said);
	cache_free(&scene->cache);
	error_free(&scene->err);
}

static struct scene scene_new(void)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "keyed-test-", &scene.root, &err));
	scene.source = path_join(scene.root, "build/src");
	scene.work = path_join(scene.root, "build");
	scene.kept = path_join(scene.root, "kept");
	error_free(&err);
	return scene;
}

static void hear(void *self, const char *line)
{
	buf_printf(self, "%s\n", line);
}

#define texts_of(...)                                                                              \
	((struct texts){(const char *[]){__VA_ARGS__},                                             \
		sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)})

/* A new checkout. */
static void begin(struct scene *scene, struct texts paths)
{
	const struct cache_spec spec = {.paths = paths, .key = "k"};
	const struct keyed_cache_options options = {scene->kept, scene->source, scene->work, true,
		scene->limit_bytes, hear, &scene->said};

	cache_free(&scene->cache);
	buf_clear(&scene->said);
	CHECK(folder_remove(scene->work, &scene->err) &&
		folder_make(scene->source, 0755, &scene->err));
	CHECK(cache_open(&spec, &options, &scene->cache, &scene->err));
}

static void put(struct scene *scene, const char *path, const char *content)
{
	scoped(text_free) char *whole = path_join(scene->source, path);
	scoped(text_free) char *parent = path_parent(whole);

	CHECK(folder_make(parent, 0755, &scene->err) &&
		file_write(whole, str_of(content), 0644, false, &scene->err));
}

static bool has(const struct scene *scene, const char *path, const char *content)
{
	scoped(text_free) char *whole = path_join(scene->source, path);
	scoped(buf_free) struct buf found = {0};

	return file_read(whole, 1000, &found, NULL) && text_equal(buf_text(&found), content);
}

static void save(struct scene *scene, const char *key)
{
	keyed_cache_set_key(&scene->cache.keyed, key);
	CHECK(keyed_cache_save(&scene->cache.keyed, &scene->err));
}

static void restore(struct scene *scene, const char *key, const char *fallback)
{
	scoped(strings_free) struct strings fallbacks = {0};

	if (fallback)
		strings_add(&fallbacks, fallback);
	keyed_cache_set_key(&scene->cache.keyed, key);
	CHECK(keyed_cache_restore(&scene->cache.keyed, &fallbacks, &scene->err));
}

/* One build that leaves content in .cache/f under key. */
static void keep(struct scene *scene, const char *key, const char *content)
{
	begin(scene, texts_of(".cache/**/*"));
	put(scene, ".cache/f", content);
	save(scene, key);
}

/* Until files made now are younger than those made before. */
static void let_time_pass(struct scene *scene)
{
	scoped(text_free) char *path = path_join(scene->root, "time");
	struct stat first, now;

	do {
		CHECK(file_write(path, str_of(""), 0644, false, &scene->err));
	} while (stat(path, &first) < 0);
	do {
		CHECK(file_write(path, str_of(""), 0644, false, &scene->err));
	} while (stat(path, &now) == 0 && now.st_mtim.tv_sec == first.st_mtim.tv_sec &&
		 now.st_mtim.tv_nsec / 1000000 == first.st_mtim.tv_nsec / 1000000);
}

TEST(what_was_kept_under_a_key_comes_back)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *tool = path_join(scene.source, "node_modules/a/tool");
	struct stat status;

	begin(&scene, texts_of("node_modules", "*.lock"));
	put(&scene, "node_modules/a/tool", "#!");
	put(&scene, "x.lock", "l");
	put(&scene, "sub/y.lock", "not named");
	CHECK(chmod(tool, 0751) == 0);
	save(&scene, "k1");
	begin(&scene, texts_of("node_modules", "*.lock"));
	restore(&scene, "k1", NULL);
	CHECK(has(&scene, "node_modules/a/tool", "#!") && has(&scene, "x.lock", "l"));
	CHECK(!has(&scene, "sub/y.lock", "not named"));
	CHECK(stat(tool, &status) == 0 && (status.st_mode & 0777) == 0751);
	CHECK_CONTAINS(buf_text(&scene.said), "Restored 2 files from the cache entry k1");
	begin(&scene, texts_of("node_modules", "*.lock"));
	restore(&scene, "k", NULL);
	CHECK(!has(&scene, "x.lock", "l"));
}

TEST(a_key_is_written_once)
{
	scoped(scene_free) struct scene scene = scene_new();

	keep(&scene, "k", "first");
	keep(&scene, "k", "second");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "k", NULL);
	CHECK(has(&scene, ".cache/f", "first"));
}

TEST(other_paths_are_another_cache)
{
	scoped(scene_free) struct scene scene = scene_new();

	keep(&scene, "k", "first");
	begin(&scene, texts_of(".cache/**/*", "more"));
	restore(&scene, "k", "k");
	CHECK(!has(&scene, ".cache/f", "first"));
	CHECK_CONTAINS(buf_text(&scene.said), "no cache entry k yet");
}

TEST(of_fallback_keys_the_newest_with_that_beginning_counts)
{
	scoped(scene_free) struct scene scene = scene_new();

	keep(&scene, "linux-1", "old");
	let_time_pass(&scene);
	keep(&scene, "linux-2", "new");
	let_time_pass(&scene);
	keep(&scene, "mac-3", "other");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "linux-9", "linux-");
	CHECK(has(&scene, ".cache/f", "new"));
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "linux-1", "linux-");
	CHECK(has(&scene, ".cache/f", "old"));
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "bsd", "");
	CHECK(!has(&scene, ".cache/f", "other"));
}

TEST(links_are_kept_as_long_as_they_stay_inside)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *good = path_join(scene.source, ".cache/bin/good");
	scoped(text_free) char *bad = path_join(scene.source, ".cache/bin/bad");
	scoped(text_free) char *secret = path_join(scene.root, "secret");
	char target[100] = "";

	CHECK(file_write(secret, str_of("of the machine"), 0644, false, &scene.err));
	begin(&scene, texts_of(".cache/**/*"));
	put(&scene, ".cache/lib/tool", "x");
	put(&scene, ".cache/bin/y", "y");
	CHECK(symlink("../lib/tool", good) == 0 && symlink("../../../../secret", bad) == 0);
	CHECK(has(&scene, ".cache/bin/bad", "of the machine"));
	save(&scene, "k");
	CHECK_CONTAINS(buf_text(&scene.said), ".cache/bin/bad is a link that leads out");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "k", NULL);
	CHECK(readlink(good, target, sizeof(target) - 1) > 0);
	CHECK_TEXT(target, "../lib/tool");
	CHECK(has(&scene, ".cache/bin/good", "x"));
	CHECK(!file_exists(bad));
}

TEST(nothing_is_saved_through_a_link_that_leads_out)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *outside = path_join(scene.root, "outside");
	scoped(text_free) char *file = path_join(outside, "secret");
	scoped(text_free) char *link = path_join(scene.source, ".cache");

	CHECK(folder_make(outside, 0755, &scene.err) &&
		file_write(file, str_of("s"), 0644, false, &scene.err));
	begin(&scene, texts_of(".cache/**/*"));
	CHECK(symlink(outside, link) == 0);
	save(&scene, "k");
	CHECK_CONTAINS(buf_text(&scene.said), "its paths name no files");
}

TEST(nothing_is_restored_through_a_link_of_the_checkout)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *outside = path_join(scene.root, "outside");
	scoped(text_free) char *made = path_join(outside, "f");
	scoped(text_free) char *link = path_join(scene.source, ".cache");

	keep(&scene, "k", "content");
	begin(&scene, texts_of(".cache/**/*"));
	CHECK(folder_make(outside, 0755, &scene.err) && symlink(outside, link) == 0);
	restore(&scene, "k", NULL);
	CHECK(!file_exists(made));
	CHECK_CONTAINS(buf_text(&scene.said), "no folder is in the way");
}

/* The only entry's folder; owned. */
static char *find_entry(struct scene *scene)
{
	scoped(strings_free) struct strings groups = {0}, entries = {0};
	scoped(text_free) char *store = path_join(scene->kept, "keyed");

	CHECK(folder_list(store, &groups, &scene->err));
	for (size_t i = 0; i < groups.count; i++) {
		scoped(text_free) char *group = path_join(store, groups.items[i]);

		if (!file_is_folder(group))
			continue;
		CHECK(folder_list(group, &entries, &scene->err));
		if (entries.count)
			return path_join(group, entries.items[0]);
	}
	return memory_copy_text("/nonexistent");
}

static void check_broken(const char *name, const char *content)
{
	scoped(scene_free) struct scene scene = scene_new();

	keep(&scene, "k", "content");
	scoped(text_free) char *entry = find_entry(&scene);
	scoped(text_free) char *path = path_join(entry, name);

	CHECK(file_exists(path));
	CHECK(content ? file_write(path, str_of(content), 0600, false, &scene.err)
		      : file_remove(path, &scene.err));
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "k", NULL);
	CHECK(!has(&scene, ".cache/f", "content") && !has(&scene, ".cache/f", content));
	CHECK_CONTAINS(buf_text(&scene.said), "is broken and was removed");
	CHECK(!file_exists(entry));
	/* The next build makes it again. */
	keep(&scene, "k", "again");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "k", NULL);
	CHECK(has(&scene, ".cache/f", "again"));
}

TEST(a_broken_entry_is_removed_and_nothing_of_it_restored)
{
	check_broken("0", "c0ntent");
	check_broken("0", "cont");
	check_broken("0", NULL);
	check_broken("files", "[{\"path\":\"0/x\",\"link\":\"y\"}]");
	check_broken("files", NULL);
	check_broken("meta", "{");
	check_broken("meta", NULL);
}

TEST(what_was_not_used_for_longest_goes)
{
	scoped(scene_free) struct scene scene = scene_new();

	scene.limit_bytes = 25; /* two entries of ten bytes, not three */
	keep(&scene, "a", "0123456789");
	let_time_pass(&scene);
	keep(&scene, "b", "0123456789");
	let_time_pass(&scene);
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "a", NULL);
	let_time_pass(&scene);
	keep(&scene, "c", "0123456789");
	CHECK_CONTAINS(buf_text(&scene.said), "1 cache entries");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "b", NULL);
	CHECK(!has(&scene, ".cache/f", "0123456789"));
	restore(&scene, "a", NULL);
	CHECK(has(&scene, ".cache/f", "0123456789"));
}

TEST(what_is_too_large_is_not_kept)
{
	scoped(scene_free) struct scene scene = scene_new();

	scene.limit_bytes = 5;
	keep(&scene, "a", "0123456789");
	CHECK_CONTAINS(buf_text(&scene.said), "larger than the cache may be");
	begin(&scene, texts_of(".cache/**/*"));
	restore(&scene, "a", NULL);
	CHECK(!has(&scene, ".cache/f", "0123456789"));
}

TEST(an_empty_key_keeps_nothing)
{
	scoped(scene_free) struct scene scene = scene_new();

	keep(&scene, "", "content");
	CHECK_CONTAINS(buf_text(&scene.said), "key came out empty");
	CHECK(!file_exists(scene.kept));
}

TEST(folders_below_root_are_mounted)
{
	scoped(scene_free) struct scene scene = scene_new();

	begin(&scene, texts_of("/root/.m2/**/*", "/usr/lib/*", "/root/.m2/x"));
	REQUIRE(scene.cache.count == 1);
	CHECK_TEXT(scene.cache.binds[0].to, "/root/.m2");
	scoped(text_free) char *file = path_join(scene.cache.binds[0].from, "a/b.jar");
	scoped(text_free) char *parent = path_parent(file);

	CHECK_CONTAINS(buf_text(&scene.said), "/usr/lib/*: only folders");
	CHECK_CONTAINS(buf_text(&scene.said), "/root/.m2/x: another path holds it");
	CHECK(folder_make(parent, 0755, &scene.err) &&
		file_write(file, str_of("jar"), 0644, false, &scene.err));
	save(&scene, "k");
	begin(&scene, texts_of("/root/.m2/**/*", "/usr/lib/*", "/root/.m2/x"));
	restore(&scene, "k", NULL);
	CHECK(file_exists(file));
}

TEST_MAIN()
