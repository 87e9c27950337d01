#include "tests/unit/pipeline/git_fixture.h"

#include "pipeline/source/follow.h"

struct world {
	struct git_fixture git;
	struct repository *repository;
	struct loop *loop;
	struct follow *follow;
	int moves;
};

static void world_free(struct world *world)
{
	follow_free(&world->follow);
	loop_free(&world->loop);
	repository_free(&world->repository);
	git_fixture_free(&world->git);
}

static void moved(void *context)
{
	struct world *world = context;

	world->moves++;
	loop_stop(world->loop);
}

/* A bare repository with one commit, followed; work pushes to it. */
static bool world_start(struct world *world, struct error *err)
{
	if (!git_fixture_init(&world->git))
		return false;
	scoped(text_free) char *bare = path_join(world->git.folder, "bare.git");

	git_put(&world->git, "a", "1");
	return git_commit_all(&world->git, "first") &&
	       git_run(&world->git, "clone", "-q", "--bare", ".", bare, NULL) &&
	       git_run(&world->git, "remote", "add", "origin", bare, NULL) &&
	       repository_open(bare, &world->repository, err) && loop_new(&world->loop, err) &&
	       follow_start(world->loop, world->repository, moved, world, &world->follow, err);
}

/* Something must be seen, and then main must stand where work's HEAD is. */
static void check_seen(struct world *world, const char *branch)
{
	scoped(error_free) struct error err = {0};
	scoped(commit_free) struct commit there = {0}, here = {0};
	scoped(repository_free) struct repository *work = NULL;

	REQUIRE_OK(repository_open(world->git.work, &work, &err));
	REQUIRE_OK(repository_resolve(work, "HEAD", &here, &err));
	for (;;) {
		REQUIRE_OK(loop_run(world->loop, &err));
		commit_free(&there);
		if (repository_resolve(world->repository, branch, &there, &err) &&
			text_equal(there.id, here.id))
			break;
		error_free(&err);
	}
	CHECK(world->moves > 0);
	world->moves = 0;
}

TEST(a_push_into_a_bare_repository_is_seen)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	git_put(&world.git, "a", "2");
	REQUIRE(git_commit_all(&world.git, "second"));
	REQUIRE(git_run(&world.git, "push", "-q", "origin", "main", NULL));
	check_seen(&world, "main");
}

TEST(a_new_branch_in_a_new_folder_is_seen_and_followed)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	REQUIRE(git_run(&world.git, "push", "-q", "origin", "main:release/1/2", NULL));
	check_seen(&world, "release/1/2");
	git_put(&world.git, "a", "3");
	REQUIRE(git_commit_all(&world.git, "third"));
	REQUIRE(git_run(&world.git, "push", "-q", "origin", "main:release/1/2", NULL));
	check_seen(&world, "release/1/2");
}

TEST(a_commit_after_packing_is_seen)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(world_start(&world, &err));
	scoped(text_free) char *bare = path_join(world.git.folder, "bare.git");

	REQUIRE(git_run(&world.git, "-C", bare, "pack-refs", "--all", "--prune", NULL));
	git_put(&world.git, "a", "4");
	REQUIRE(git_commit_all(&world.git, "fourth"));
	REQUIRE(git_run(&world.git, "push", "-q", "origin", "main", NULL));
	check_seen(&world, "main");
}

TEST_MAIN()
