#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/cache.h"

#include <sys/stat.h>
#include <unistd.h>

/* src/ and kept/ in a folder that is gone afterwards. */
struct scene {
	char *root, *source, *kept;
	struct buf said;
	struct cache cache;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	if (scene->root && !folder_remove(scene->root, &scene->err))
		TEST_FAIL("%s", scene->err.message);
	text_free(&scene->root);
	text_free(&scene->source);
	text_free(&scene->kept);
	buf_free(&scene->said);
	cache_free(&scene->cache);
	error_free(&scene->err);
}

static struct scene scene_new(void)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "cache-test-", &scene.root, &err));
	scene.source = path_join(scene.root, "src");
	scene.kept = path_join(scene.root, "kept");
	CHECK_OK(folder_make(scene.source, 0755, &err));
	error_free(&err);
	return scene;
}

static void hear(void *self, const char *line)
{
	buf_printf(self, "%s\n", line);
}

static bool open_cache(struct scene *scene, const char *path, bool sandbox)
{
	const char *paths[] = {path};
	const struct cache_spec spec = {.paths = {paths, 1}, .restores = true, .saves = true};
	const struct keyed_cache_options options = {.folder = scene->kept,
		.source = scene->source,
		.sandbox = sandbox,
		.say = hear,
		.self = &scene->said};

	cache_free(&scene->cache);
	buf_clear(&scene->said);
	return cache_open(&spec, &options, &scene->cache, &scene->err);
}

TEST(a_folder_of_the_source_is_mounted)
{
	scoped(scene_free) struct scene scene = scene_new();

	REQUIRE(open_cache(&scene, "./.cache/ccache/**/*", true));
	REQUIRE(scene.cache.count == 1);
	CHECK_TEXT(scene.cache.binds[0].to, "/codebuild/src/.cache/ccache");
	CHECK(scene.cache.binds[0].writable && file_is_folder(scene.cache.binds[0].from));
	CHECK(path_is_below(scene.cache.binds[0].from, scene.kept));
	CHECK_INT(scene.said.size, 0);
}

TEST(without_a_sandbox_a_link_leads_there)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *link = path_join(scene.source, "deep/er/cache");
	scoped(text_free) char *file = path_join(link, "kept");

	REQUIRE(open_cache(&scene, "deep/er/cache", false));
	CHECK_INT(scene.cache.count, 0);
	CHECK(file_write(file, str_of("x"), 0644, false, &scene.err));
	/* The next build has a new checkout. */
	CHECK(folder_remove(scene.source, &scene.err) &&
		folder_make(scene.source, 0755, &scene.err));
	REQUIRE(open_cache(&scene, "deep/er/cache", false));
	CHECK(file_exists(file));
}

TEST(two_paths_do_not_meet)
{
	scoped(scene_free) struct scene scene = scene_new();
	const char *paths[] = {"a/b/*", "a%2Fb/*"};
	const struct cache_spec spec = {.paths = {paths, 2}, .restores = true, .saves = true};
	const struct keyed_cache_options options = {scene.kept, scene.source, NULL, true, 0, hear,
		&scene.said};

	REQUIRE(cache_open(&spec, &options, &scene.cache, &scene.err));
	REQUIRE(scene.cache.count == 2);
	CHECK(strcmp(scene.cache.binds[0].from, scene.cache.binds[1].from) != 0);
}

static void check_refused(struct scene *scene, const char *path, const char *why)
{
	REQUIRE(open_cache(scene, path, true));
	CHECK_INT(scene->cache.count, 0);
	CHECK_CONTAINS(buf_text(&scene->said), why);
}

TEST(what_is_not_kept_is_told)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *part = path_join(scene.source, "lib/a.c");
	scoped(text_free) char *parent = path_parent(part);

	CHECK(folder_make(parent, 0755, &scene.err) &&
		file_write(part, str_of("x"), 0644, false, &scene.err));
	check_refused(&scene, "lib/**/*", "it is part of the source");
	check_refused(&scene, "lib/a.c", "it is no folder");
	check_refused(&scene, "**/*", "no folder below the source");
	check_refused(&scene, "../x/*", "no folder below the source");
	check_refused(&scene, "/usr/lib/*", "below /root");
	CHECK(file_exists(part));
	REQUIRE(open_cache(&scene, "/root/.m2/**/*", true));
	CHECK_INT(scene.cache.count, 1);
	REQUIRE(open_cache(&scene, "/root/.m2/**/*", false));
	CHECK_CONTAINS(buf_text(&scene.said), "only folders of the source");
}

TEST(a_link_in_the_checkout_leads_nowhere)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *outside = path_join(scene.root, "outside");
	scoped(text_free) char *made = path_join(outside, "ccache");
	scoped(text_free) char *link = path_join(scene.source, ".cache");

	CHECK(folder_make(outside, 0755, &scene.err));
	CHECK(symlink(outside, link) == 0);
	check_refused(&scene, ".cache/ccache/**/*", "it is no folder");
	CHECK(!file_exists(made));
}

TEST_MAIN()
