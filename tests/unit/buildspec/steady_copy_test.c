#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/steady_copy.h"

#include <unistd.h>

/* root/ with files, outside/ beside it, and the place of the copy. */
struct scene {
	char *top, *root, *to;
	int copies, changes; /* made, to be made */
	struct error err;
};

static void scene_free(struct scene *scene)
{
	if (scene->top && !folder_remove(scene->top, &scene->err))
		TEST_FAIL("%s", scene->err.message);
	text_free(&scene->top);
	text_free(&scene->root);
	text_free(&scene->to);
	error_free(&scene->err);
}

static void put(const struct scene *scene, const char *path, const char *content)
{
	struct error err = {0};
	scoped(text_free) char *whole = path_join(scene->top, path);
	scoped(text_free) char *parent = path_parent(whole);

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(whole, str_of(content), 0640, false, &err));
	error_free(&err);
}

static struct scene scene_new(void)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "steady-test-", &scene.top, &err));
	scene.root = path_join(scene.top, "root");
	scene.to = path_join(scene.top, "copy");
	put(&scene, "root/a/file", "first");
	put(&scene, "outside/secret", "of the machine");
	error_free(&err);
	return scene;
}

/* A command that goes on writing, as long as the scene says. */
static void change(void *self)
{
	struct scene *scene = self;
	scoped(text_free) char *path = path_join(scene->root, "a/file");
	FILE *file = scene->copies++ < scene->changes ? fopen(path, "a") : NULL;

	if (!file)
		return;
	fputs(" more", file);
	fclose(file);
}

static enum steady copy(struct scene *scene, const char *path)
{
	const struct steady_source source = {scene->root, path, change, scene};
	enum steady result = STEADY_GONE;

	CHECK(steady_copy(&source, scene->to, &result, NULL, &scene->err));
	return result;
}

static void check_copy(const struct scene *scene, const char *expected)
{
	scoped(buf_free) struct buf content = {0};
	struct error err = {0};

	CHECK_OK(file_read(scene->to, 100, &content, &err));
	CHECK_TEXT(buf_text(&content), expected);
	error_free(&err);
}

TEST(a_file_that_rests_is_copied_once)
{
	scoped(scene_free) struct scene scene = scene_new();

	CHECK_INT(copy(&scene, "a/file"), STEADY_COPIED);
	check_copy(&scene, "first");
	CHECK_INT(scene.copies, 1);
}

TEST(one_that_changes_is_copied_again)
{
	scoped(scene_free) struct scene scene = scene_new();

	scene.changes = 2;
	CHECK_INT(copy(&scene, "a/file"), STEADY_COPIED);
	check_copy(&scene, "first more more");
	CHECK_INT(scene.copies, 3);
}

TEST(one_that_never_rests_is_not_taken)
{
	scoped(scene_free) struct scene scene = scene_new();

	scene.changes = 1000;
	CHECK_INT(copy(&scene, "a/file"), STEADY_CHANGED);
	CHECK(!file_exists(scene.to));
	CHECK_INT(scene.copies, 5);
}

TEST(links_lead_no_further_than_the_folder)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *inside = path_join(scene.root, "inside");
	scoped(text_free) char *absolute = path_join(scene.root, "absolute");
	scoped(text_free) char *target = path_join(scene.root, "a/file");
	scoped(text_free) char *out = path_join(scene.root, "out");
	scoped(text_free) char *folder = path_join(scene.root, "folder");
	scoped(text_free) char *circle = path_join(scene.root, "circle");

	CHECK(symlink("a/../a/file", inside) == 0 && symlink(target, absolute) == 0);
	CHECK(symlink("../outside/secret", out) == 0 && symlink("../outside", folder) == 0);
	CHECK(symlink("circle", circle) == 0);
	CHECK_INT(copy(&scene, "inside"), STEADY_COPIED);
	CHECK_INT(copy(&scene, "absolute"), STEADY_COPIED);
	check_copy(&scene, "first");
	CHECK_INT(copy(&scene, "out"), STEADY_GONE);
	CHECK_INT(copy(&scene, "folder/secret"), STEADY_GONE);
	CHECK_INT(copy(&scene, "circle"), STEADY_GONE);
	CHECK_INT(copy(&scene, "missing"), STEADY_GONE);
	CHECK_INT(copy(&scene, "a"), STEADY_GONE);
}

TEST(a_pipe_does_not_make_us_wait)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *pipe_path = path_join(scene.root, "pipe");

	CHECK(mkfifo(pipe_path, 0644) == 0);
	CHECK_INT(copy(&scene, "pipe"), STEADY_GONE);
}

TEST_MAIN()
