#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/artifacts.h"

#include <unistd.h>

/* A folder with src/ and out/, and what a collection gave. */
struct scene {
	char *root, *source, *output;
	struct buf said;
	struct artifact artifact;
	char *missing;
};

static void scene_free(struct scene *scene)
{
	struct error err = {0};

	if (scene->root && !folder_remove(scene->root, &err))
		TEST_FAIL("%s", err.message);
	error_free(&err);
	text_free(&scene->root);
	text_free(&scene->source);
	text_free(&scene->output);
	buf_free(&scene->said);
	artifact_free(&scene->artifact);
	text_free(&scene->missing);
}

static void put(const struct scene *scene, const char *path, const char *content)
{
	struct error err = {0};
	scoped(text_free) char *whole = path_join(scene->source, path);
	scoped(text_free) char *parent = path_parent(whole);

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(whole, str_of(content), 0755, false, &err));
	error_free(&err);
}

static struct scene scene_new(void)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "artifacts-test-", &scene.root, &err));
	scene.source = path_join(scene.root, "src");
	scene.output = path_join(scene.root, "out");
	CHECK_OK(folder_make(scene.output, 0755, &err));
	put(&scene, "dist/rooms", "one");
	put(&scene, "dist/lib/a.so", "two");
	put(&scene, "other/rooms", "three");
	error_free(&err);
	return scene;
}

static void hear(void *self, const char *line)
{
	buf_printf(&((struct scene *)self)->said, "%s\n", line);
}

#define texts_of(...)                                                                              \
	((struct texts){(const char *[]){__VA_ARGS__},                                             \
		sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)})

static bool collect(struct scene *scene, const struct artifact_spec *spec, struct error *err)
{
	const struct artifact_place place = {scene->source, "/codebuild/src", scene->output,
		"primary"};

	return artifact_collect(spec, &place, hear, scene, &scene->artifact, &scene->missing, err);
}

static void check_content(const struct scene *scene, const char *path, const char *expected)
{
	struct error err = {0};
	scoped(buf_free) struct buf content = {0};
	scoped(text_free) char *whole = path_join(scene->output, path);

	CHECK_OK(file_read(whole, 100, &content, &err));
	CHECK_TEXT(buf_text(&content), expected);
	error_free(&err);
}

TEST(files_keep_their_paths_below_the_base)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	const struct artifact_spec spec = {.files = texts_of("**/*", "nothing.txt"),
		.exclude_paths = texts_of("lib/*.o"),
		.base_directory = "dist"};

	CHECK_OK(collect(&scene, &spec, &err));
	REQUIRE(scene.artifact.files.count == 2);
	CHECK_TEXT(scene.artifact.files.items[0], "lib/a.so");
	check_content(&scene, "primary/rooms", "one");
	CHECK_TEXT(buf_text(&scene.said), "Skipping invalid file path nothing.txt\n");
}

TEST(absolute_patterns_mean_the_builds_own_folder)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	const struct artifact_spec spec = {.files = texts_of("/codebuild/src/dist/rooms")};

	CHECK_OK(collect(&scene, &spec, &err));
	check_content(&scene, "primary/dist/rooms", "one");
	const struct artifact_spec by_name = {
		.files = texts_of("$CODEBUILD_SRC_DIR/other/rooms", "./other/rooms")};

	artifact_free(&scene.artifact);
	CHECK_OK(collect(&scene, &by_name, &err));
	CHECK_INT(scene.artifact.files.count, 1);
	check_content(&scene, "primary/other/rooms", "three");
	const struct artifact_spec below_base = {.files = texts_of("/codebuild/src/dist/lib/a.so"),
		.base_directory = "dist"};

	artifact_free(&scene.artifact);
	CHECK_OK(collect(&scene, &below_base, &err));
	check_content(&scene, "primary/lib/a.so", "two");
}

/* The sample with several sources in CodeBuild's guide has both: the variable alone and with "_ID". */
TEST(a_base_directory_may_be_a_source)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *other = path_join(scene.source, "other");
	char id[] = "lib", inside[] = "/codebuild/secondary/lib";
	struct secondary_source source = {id, other, inside};
	const struct secondary_sources secondary = {&source, 1};
	const struct artifact_place place = {.source = scene.source,
		.inside = "/codebuild/src",
		.output = scene.output,
		.folder = "primary",
		.secondary = &secondary};
	const struct {
		const char *base, *file, *expected; /* path of the artifact, NULL: there is none */
	} cases[] = {
		{"$CODEBUILD_SRC_DIR", "dist/rooms", "dist/rooms"},
		{"${CODEBUILD_SRC_DIR}", "dist/rooms", "dist/rooms"},
		{"/codebuild/src", "dist/rooms", "dist/rooms"},
		{"$CODEBUILD_SRC_DIR_lib", "rooms", "rooms"},
		{"${CODEBUILD_SRC_DIR_lib}/", "rooms", "rooms"},
		{"/codebuild/secondary/lib", "rooms", "rooms"},
		{"$CODEBUILD_SRC_DIR_lib", "$CODEBUILD_SRC_DIR_lib/rooms", "rooms"},
		{"$CODEBUILD_SRC_DIR_lib", "dist/rooms", NULL},
		{"$CODEBUILD_SRC_DIR_lib/..", "dist/rooms", NULL},
		{"$CODEBUILD_SRC_DIR_libs", "rooms", NULL},
		{"$CODEBUILD_SRC_DIR_li", "rooms", NULL},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		const struct artifact_spec spec = {.files = texts_of(cases[i].file),
			.base_directory = cases[i].base};

		CHECK_OK(artifact_collect(&spec, &place, hear, &scene, &scene.artifact,
			&scene.missing, &err));
		CHECK_INT(scene.missing == NULL, cases[i].expected != NULL);
		CHECK_TEXT(scene.artifact.files.count ? scene.artifact.files.items[0] : NULL,
			cases[i].expected);
		artifact_free(&scene.artifact);
		text_free(&scene.missing);
	}
}

TEST(links_are_followed_as_far_as_the_source_goes)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *inside = path_join(scene.source, "dist/inside");
	scoped(text_free) char *outside = path_join(scene.source, "dist/outside");
	scoped(text_free) char *broken = path_join(scene.source, "dist/broken");
	const struct artifact_spec spec = {.files = texts_of("*"),
		.exclude_paths = texts_of("br*"),
		.base_directory = "dist"};

	/* Out of the base directory, but not of the source. */
	CHECK(symlink("../other/rooms", inside) == 0 && symlink("/etc/passwd", outside) == 0 &&
		symlink("nowhere", broken) == 0);
	CHECK_OK(collect(&scene, &spec, &err));
	REQUIRE(scene.artifact.files.count == 2);
	CHECK_TEXT(scene.artifact.files.items[0], "inside");
	check_content(&scene, "primary/inside", "three");
	CHECK_TEXT(buf_text(&scene.said),
		"Skipping outside: the link leads out of the source or nowhere\n");
}

TEST(of_two_files_with_one_name_the_last_counts_and_is_told)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	const struct artifact_spec spec = {.files = texts_of("dist/rooms", "other/rooms"),
		.discard_paths = true};

	CHECK_OK(collect(&scene, &spec, &err));
	CHECK_INT(scene.artifact.files.count, 1);
	check_content(&scene, "primary/rooms", "three");
	CHECK_CONTAINS(buf_text(&scene.said), "Two artifacts are called rooms");
}

TEST(nothing_found_is_an_outcome_and_leaves_nothing)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *folder = path_join(scene.output, "primary");
	const struct artifact_spec none = {.files = texts_of("*.zip")};
	const struct artifact_spec no_base = {.files = texts_of("*"),
		.base_directory = "my-build*"};

	CHECK_OK(collect(&scene, &none, &err));
	CHECK_TEXT(scene.missing, "no matching artifact paths found");
	text_free(&scene.missing);
	CHECK_OK(collect(&scene, &no_base, &err));
	CHECK_TEXT(scene.missing, "no matching base directory path found for my-build*");
	CHECK(!file_exists(folder));
}

TEST(what_cannot_be_copied_takes_the_rest_with_it)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new();
	scoped(text_free) char *folder = path_join(scene.output, "primary");
	const struct artifact_spec spec = {.files = texts_of("dist/rooms", "x/rooms/y"),
		.discard_paths = false};
	scoped(text_free) char *in_the_way = path_join(scene.output, "primary/x");

	/* A file stands where a folder has to be. */
	put(&scene, "x/rooms/y", "four");
	CHECK_OK(folder_make(folder, 0755, &err));
	CHECK_OK(file_write(in_the_way, str_of(""), 0644, false, &err));
	CHECK(!collect(&scene, &spec, &err));
	CHECK_CONTAINS(err.contexts[0], "collecting the artifacts");
	CHECK(!file_exists(folder));
}

TEST_MAIN()
