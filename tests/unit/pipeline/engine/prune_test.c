#include "tests/unit/pipeline/engine/engine_fixture.h"

#include "builders/image/layout.h"

/* The limits of the manual: docs/configuration.md, "Places". */
enum { FOLDERS = 200, IMAGES = 20 };

/* A commit of its own, with an image of its own, brought to its end. */
static int64_t bring(struct world *world, int number, struct error *err)
{
	scoped(text_free) char *text = memory_format("int number = %d;\n", number);
	scoped(text_free) char *digest = memory_format("%d", number);

	git_put(&world->git, "one/main.c", text);
	put_beside(world, "digest-one", digest);
	if (!git_commit_all(&world->git, "another"))
		return 0;
	int64_t run = submit(world, "HEAD", NULL, err);

	wait_for_end(world, err);
	/* what a run leaves is cleared once it is freed */
	if (!loop_turn(world->loop, 0, err))
		return 0;
	return run;
}

static size_t tag_count(struct world *world, const char *service)
{
	scoped(text_free) char *path = memory_format("%s/images/test/%s", world->state, service);
	scoped(layout_free) struct layout layout = {0};
	scoped(json_free) struct json *index = NULL;
	scoped(error_free) struct error err = {0};

	if (!layout_open(path, &layout, &err) || !layout_read_index(&layout, &index, &err)) {
		TEST_FAIL("%s", err.message);
		return 0;
	}
	return json_count(json_get(index, "manifests"));
}

static size_t blob_count(struct world *world)
{
	scoped(text_free) char *path =
		memory_format("%s/images/test/one/blobs/sha256", world->state);
	scoped(strings_free) struct strings names = {0};
	scoped(error_free) struct error err = {0};

	if (!folder_list(path, &names, &err))
		TEST_FAIL("%s", err.message);
	return names.count;
}

static void check_steps(struct world *world, int64_t run, const char *expected)
{
	scoped(text_free) char *got = outcome(world, run);

	CHECK_TEXT(got, expected);
}

#define BUILT "passed one/build=passed one/image=passed one/push=passed one/deploy=passed"
#define REUSED "passed one/build=skipped one/image=skipped one/push=skipped one/deploy=passed"

/* Brings the repository back to how it was that many commits ago. */
static int64_t bring_back(struct world *world, int commits, struct error *err)
{
	scoped(text_free) char *rev = memory_format("HEAD~%d", commits);
	int64_t run = submit(world, rev, NULL, err);

	wait_for_end(world, err);
	if (!loop_turn(world->loop, 0, err))
		return 0;
	return run;
}

TEST(images_that_were_used_longest_ago_go)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	/* the first commit makes an image of each service, these make 19 more of one: 20 in all, of
	 * which one is deployed and does not count */
	bring(&world, 0, &err);
	for (int i = 1; i < IMAGES; i++)
		bring(&world, i, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES);
	/* the first is used again, so that the second is the one used longest ago */
	check_steps(&world, bring_back(&world, IMAGES - 1, &err), REUSED);
	bring(&world, IMAGES, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES + 1);
	bring(&world, IMAGES + 1, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES + 1);
	CHECK_INT(blob_count(&world), IMAGES + 1);
	CHECK_INT(tag_count(&world, "two"), 1);
	/* the second was pruned and is built again, the first is still there */
	check_steps(&world, bring_back(&world, IMAGES + 1, &err), REUSED);
	scoped(text_free) char *second = memory_format("%d", 1);

	put_beside(&world, "digest-one", second);
	check_steps(&world, bring_back(&world, IMAGES, &err),
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=passed");
}

TEST(what_is_deployed_stays_however_old_it_is)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	int64_t first = bring(&world, 0, &err);

	check_steps(&world, first, ALL_PASSED);
	/* from now on nothing is deployed, so the first image stays where it is */
	put_beside(&world, "fail-one-deploy", "4");
	for (int i = 1; i <= IMAGES + 2; i++)
		bring(&world, i, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES + 1);
	scoped(text_free) char *fail = path_join(world.git.folder, "fail-one-deploy");

	REQUIRE_OK(file_remove(fail, &err));
	int64_t run = submit(&world, "HEAD~22", "one/deploy", &err);

	wait_for_end(&world, &err);
	check_steps(&world, run, REUSED);
}

TEST(nothing_is_pruned_while_another_run_works_with_images)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(descriptor_close) int other = -1;

	REQUIRE_OK(world_start(&world, &err));
	bring(&world, 0, &err);
	/* as another engine of this state folder does */
	scoped(text_free) char *lock = path_join(world.state, "locks/images.lock");

	REQUIRE_OK(file_lock_shared(lock, &other, &err));
	for (int i = 1; i <= IMAGES + 3; i++)
		bring(&world, i, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES + 4);
	descriptor_close(&other);
	other = -1;
	/* it is made up for by the next */
	bring(&world, IMAGES + 4, &err);
	CHECK_INT(tag_count(&world, "one"), IMAGES + 1);
}

TEST(an_image_that_lost_its_tag_or_its_manifest_is_built_again)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	bring(&world, 0, &err);
	bring(&world, 1, &err);
	scoped(text_free) char *index = memory_format("%s/images/test/one/index.json", world.state);

	/* somebody took all tags away */
	REQUIRE_OK(file_write(index, str_of("{\"schemaVersion\":2,\"manifests\":[]}"), 0644, false,
		&err));
	put_beside(&world, "digest-one", "0");
	check_steps(&world, bring_back(&world, 1, &err),
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=passed");
	/* or the blobs */
	scoped(text_free) char *blobs = memory_format("%s/images/test/one/blobs", world.state);

	put_beside(&world, "digest-one", "1");
	REQUIRE_OK(folder_remove(blobs, &err));
	check_steps(&world, bring_back(&world, 0, &err),
		"passed one/build=passed one/image=passed one/push=skipped one/deploy=passed");
}

TEST(folders_of_old_runs_go_also_when_the_engine_ends_with_its_run)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings names = {0};

	REQUIRE_OK(world_start(&world, &err));
	for (int i = 0; i < FOLDERS + 3; i++) {
		submit(&world, "HEAD", NULL, &err);
		wait_for_end(&world, &err);
		/* as `dogshore run` does it */
		engine_free(&world.engine);
		open_engine(&world);
	}
	scoped(text_free) char *runs = path_join(world.state, "runs");
	/* what is not ours stays, and is not in the way */
	scoped(text_free) char *other = path_join(runs, "1-else");

	REQUIRE_OK(folder_list(runs, &names, &err));
	CHECK_INT(names.count, FOLDERS);
	REQUIRE_OK(folder_make(other, 0700, &err));
	submit(&world, "HEAD", NULL, &err);
	wait_for_end(&world, &err);
	engine_free(&world.engine);
	strings_free(&names);
	REQUIRE_OK(folder_list(runs, &names, &err));
	CHECK_INT(names.count, FOLDERS + 1);
	CHECK(file_exists(other));
}

TEST_MAIN()
