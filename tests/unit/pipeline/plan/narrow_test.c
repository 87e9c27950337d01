#include "tests/unit/pipeline/git_fixture.h"

#include "pipeline/plan/narrow.h"
#include "pipeline/plan/plan.h"

#include <sys/stat.h>

static const char file[] = "app: a\n"
			   "services:\n"
			   "  rooms:\n"
			   "    path: services/rooms\n"
			   "    uses: [base, one.h]\n"
			   "    image: {binary: out, files: {../../base/shipped.h: /shipped.h}}\n";

/* A service whose build at the first commit has read base/read.h and nothing else of base. */
struct world {
	struct git_fixture git;
	struct repository *repository;
	struct snapshot *snapshot;
	struct project *project;
	struct narrow_record record;
	struct key now;
	struct strings unread;
};

static void world_close(struct world *world)
{
	key_free(&world->now);
	strings_free(&world->unread);
	project_free(&world->project);
	snapshot_free(&world->snapshot);
	repository_free(&world->repository);
}

static void world_free(struct world *world)
{
	world_close(world);
	key_free(&world->record.key);
	strings_free(&world->record.files);
	git_fixture_free(&world->git);
}

static bool world_open(struct world *world, const char *toolchain, struct error *err)
{
	scoped(commit_free) struct commit head = {0};

	world_close(world);
	return repository_open(world->git.work, &world->repository, err) &&
	       repository_resolve(world->repository, "HEAD", &head, err) &&
	       snapshot_open(world->repository, head.id, &world->snapshot, err) &&
	       plan_read_project(world->snapshot, &world->project, err) &&
	       key_of_service(&world->project->services.items[0], world->snapshot, toolchain,
		       &world->now, err);
}

static bool world_start(struct world *world)
{
	struct error err = {0};

	if (!git_fixture_init(&world->git))
		return false;
	git_put(&world->git, PROJECT_FILE, file);
	git_put(&world->git, "services/rooms/main.c", "int rooms;\n");
	git_put(&world->git, "base/read.h", "1\n");
	git_put(&world->git, "base/unread.h", "1\n");
	git_put(&world->git, "base/deep/unread.c", "1\n");
	git_put(&world->git, "base/shipped.h", "1\n");
	git_put(&world->git, "base/data.json", "1\n");
	git_put(&world->git, "one.h", "1\n");
	if (!git_commit_all(&world->git, "first") || !world_open(world, "cc 1", &err))
		return false;
	world->record.key = world->now;
	world->now = (struct key){0};
	strings_add(&world->record.files, "base/read.h");
	return true;
}

/* The unread files joined with "|", or "affected". */
static void check_now(struct world *world, const char *toolchain, const char *expected)
{
	scoped(buf_free) struct buf joined = {0};
	struct error err = {0};

	REQUIRE(git_commit_all(&world->git, "next"));
	REQUIRE_OK(world_open(world, toolchain, &err));
	if (!narrow_same(world->repository, &world->project->services.items[0], &world->record,
		    &world->now, &world->unread))
		buf_append_text(&joined, "affected");
	for (size_t i = 0; i < world->unread.count; i++)
		buf_printf(&joined, "%s%s", i ? "|" : "", world->unread.items[i]);
	CHECK_TEXT(buf_text(&joined), expected);
}

static void check_edit(const char *path, const char *expected)
{
	scoped(world_free) struct world world = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, path, "2\n");
	check_now(&world, "cc 1", expected);
}

TEST(an_edit_of_what_was_not_read_is_no_change)
{
	check_edit("base/unread.h", "base/unread.h");
	check_edit("base/deep/unread.c", "base/deep/unread.c");
	check_edit("one.h", "one.h");
}

TEST(an_edit_of_what_was_read_is_one)
{
	check_edit("base/read.h", "affected");
	check_edit("services/rooms/main.c", "affected");
}

TEST(what_a_compiler_does_not_tell_of_is_one)
{
	check_edit("base/data.json", "affected");
	check_edit("base/shipped.h", "affected");
}

TEST(what_is_added_may_come_first_in_the_search_order)
{
	check_edit("base/new.h", "affected");
	check_edit("base/deep/read.h", "affected");
	check_edit("base/new.c", "affected");
	check_edit("base/folder/new.h", "affected");
}

TEST(what_is_removed_may_let_another_one_come_forward)
{
	scoped(world_free) struct world world = {0};

	REQUIRE(world_start(&world));
	REQUIRE(git_run(&world.git, "rm", "-q", "base/unread.h", NULL));
	check_now(&world, "cc 1", "affected");
}

TEST(another_kind_of_file_is_a_change)
{
	scoped(world_free) struct world world = {0}, linked = {0};

	REQUIRE(world_start(&world));
	REQUIRE(git_run(&world.git, "update-index", "--chmod=+x", "base/unread.h", NULL));
	scoped(text_free) char *path = path_join(world.git.work, "base/unread.h");

	CHECK(chmod(path, 0755) == 0);
	check_now(&world, "cc 1", "affected");
	REQUIRE(world_start(&linked));
	scoped(text_free) char *link = path_join(linked.git.work, "base/unread.h");

	CHECK(unlink(link) == 0 && symlink("read.h", link) == 0);
	check_now(&linked, "cc 1", "affected");
}

TEST(several_edits_add_up)
{
	scoped(world_free) struct world world = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "one.h", "2\n");
	check_now(&world, "cc 1", "one.h");
	git_put(&world.git, "base/unread.h", "2\n");
	git_put(&world.git, "base/deep/unread.c", "2\n");
	check_now(&world, "cc 1", "base/deep/unread.c|base/unread.h|one.h");
	git_put(&world.git, "base/read.h", "2\n");
	check_now(&world, "cc 1", "affected");
}

TEST(everything_else_of_the_key_must_be_the_same)
{
	scoped(world_free) struct world world = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "base/unread.h", "2\n");
	check_now(&world, "cc 2", "affected");
}

TEST(what_cannot_be_compared_any_more_is_a_change)
{
	scoped(world_free) struct world world = {0};
	struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "base/unread.h", "2\n");
	REQUIRE(git_commit_all(&world.git, "next"));
	REQUIRE_OK(world_open(&world, "cc 1", &err));
	scoped(json_free) struct json *parts = key_to_json(&world.record.key);
	struct json *part = json_at(parts, 1);

	CHECK_TEXT(json_get_text(part, "name", ""), "uses base");
	json_set_text(part, "value", "0123456789012345678901234567890123456789");
	key_free(&world.record.key);
	REQUIRE_OK(key_of_json(parts, &world.record.key, &err));
	CHECK(!narrow_same(world.repository, &world.project->services.items[0], &world.record,
		&world.now, &world.unread));
}

TEST(the_text_names_one_and_counts_the_others)
{
	scoped(strings_free) struct strings unread = {0};

	strings_add(&unread, "base/x.h");
	scoped(text_free) char *one = narrow_text(&unread);

	CHECK_TEXT(one, "narrowed: base/x.h changed, the last build did not read it");
	strings_add(&unread, "base/y.h");
	scoped(text_free) char *two = narrow_text(&unread);

	CHECK_TEXT(two, "narrowed: base/x.h and 1 more changed, the last build did not read them");
}

TEST_MAIN()
