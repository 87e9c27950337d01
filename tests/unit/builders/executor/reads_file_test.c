#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/reads_file.h"

struct scene {
	char *folder;
	struct strings files;
	char *unknown;
};

static struct scene scene_new(void)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "reads-file-test-", &scene.folder, &err));
	return scene;
}

static void scene_free(struct scene *scene)
{
	struct error err = {0};

	CHECK_OK(folder_remove(scene->folder, &err));
	text_free(&scene->folder);
	strings_free(&scene->files);
	text_free(&scene->unknown);
}

TEST(what_was_written_is_read)
{
	scoped(scene_free) struct scene scene = scene_new();
	scoped(strings_free) struct strings wrote = {0};
	scoped(error_free) struct error err = {0};

	strings_add(&wrote, "base/x.h");
	strings_add(&wrote, "base/odd \"name\"\n.h");
	CHECK_OK(reads_file_write(scene.folder, &wrote, NULL, &err));
	reads_file_read(scene.folder, &scene.files, &scene.unknown);
	CHECK_TEXT(scene.unknown, NULL);
	REQUIRE(scene.files.count == 2);
	CHECK_TEXT(scene.files.items[1], "base/odd \"name\"\n.h");
}

/* It read nothing of what is used: that is known, and another thing than not knowing. */
TEST(nothing_read_is_known)
{
	scoped(scene_free) struct scene scene = scene_new();
	const struct strings none = {0};
	scoped(error_free) struct error err = {0};

	CHECK_OK(reads_file_write(scene.folder, &none, NULL, &err));
	reads_file_read(scene.folder, &scene.files, &scene.unknown);
	CHECK_TEXT(scene.unknown, NULL);
	CHECK_INT(scene.files.count, 0);
}

TEST(why_it_is_unknown)
{
	scoped(scene_free) struct scene scene = scene_new();
	const struct strings none = {0};
	scoped(error_free) struct error err = {0};

	CHECK_OK(reads_file_write(scene.folder, &none, "there are symbolic links", &err));
	reads_file_read(scene.folder, &scene.files, &scene.unknown);
	CHECK_TEXT(scene.unknown, "there are symbolic links");
}

TEST(what_cannot_be_understood_is_unknown)
{
	static const char *const texts[] = {"", "{}", "[]", "{\"files\":", "{\"files\":{}}",
		"{\"files\":null}", "{\"files\":[\"a\",1]}", "{\"files\":[\"a\",[\"b\"]]}",
		"{\"files\":[\"a\"],\"unknown\":\"why\"}"};

	for (size_t i = 0; i <= countof(texts); i++) {
		scoped(scene_free) struct scene scene = scene_new();
		scoped(text_free) char *path = path_join(scene.folder, "reads.json");
		scoped(error_free) struct error err = {0};

		/* The last time there is no file. */
		if (i < countof(texts))
			CHECK_OK(file_write(path, str_of(texts[i]), 0600, false, &err));
		reads_file_read(scene.folder, &scene.files, &scene.unknown);
		CHECK(scene.unknown && *scene.unknown);
		CHECK_INT(scene.files.count, 0);
	}
}

TEST_MAIN()
