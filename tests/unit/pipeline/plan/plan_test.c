#include "tests/unit/pipeline/git_fixture.h"

#include "pipeline/plan/plan.h"

static const char file[] = "app: a\n"
			   "services:\n"
			   "  rooms: {path: services/rooms, uses: [services/kit]}\n"
			   "  users: {path: services/users, uses: [services/kit, base.h]}\n";

struct world {
	struct git_fixture git;
	struct repository *repository;
	struct snapshot *snapshot;
	struct project *project;
	struct plan_commit before;
	struct plan plan;
};

static void world_close(struct world *world)
{
	plan_free(&world->plan);
	plan_commit_free(&world->before);
	project_free(&world->project);
	snapshot_free(&world->snapshot);
	repository_free(&world->repository);
}

static void world_free(struct world *world)
{
	world_close(world);
	git_fixture_free(&world->git);
}

static bool world_start(struct world *world)
{
	if (!git_fixture_init(&world->git))
		return false;
	git_put(&world->git, PROJECT_FILE, file);
	git_put(&world->git, "services/rooms/main.c", "int rooms;\n");
	git_put(&world->git, "services/users/main.c", "int users;\n");
	git_put(&world->git, "services/kit/kit.c", "int kit;\n");
	git_put(&world->git, "base.h", "#define BASE\n");
	git_put(&world->git, "readme", "text\n");
	return git_commit_all(&world->git, "first");
}

static bool built_nothing(void *self, const char *service, const char *key, char **out_image,
	struct error *err)
{
	(void)self, (void)service, (void)key, (void)out_image, (void)err;
	return true;
}

static bool built_everything(void *self, const char *service, const char *key, char **out_image,
	struct error *err)
{
	(void)self, (void)service, (void)key, (void)err;
	*out_image = memory_copy_text("sha256:1234");
	return true;
}

/* Plans HEAD against since (NULL: nothing is known). */
static bool plan_head(struct world *world, const char *since, bool built, struct error *err)
{
	scoped(commit_free) struct commit head = {0}, then = {0};
	struct plan_known known = {.built = built ? built_everything : built_nothing};

	world_close(world);
	if (!repository_open(world->git.work, &world->repository, err) ||
		!repository_resolve(world->repository, "HEAD", &head, err) ||
		!snapshot_open(world->repository, head.id, &world->snapshot, err) ||
		!plan_read_project(world->snapshot, &world->project, err))
		return false;
	if (since) {
		if (!repository_resolve(world->repository, since, &then, err) ||
			!plan_commit_read(world->repository, then.id, world->snapshot,
				world->project, "cc 1", &world->before, err))
			return false;
		known.currents = world->before.items;
		known.count = world->before.count;
		known.from_commit = true;
	}
	return plan_make(world->repository, world->snapshot, world->project, &known, "cc 1",
		&world->plan, err);
}

TEST(what_was_never_built_is_built)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	REQUIRE_OK(plan_head(&world, NULL, false, &err));
	CHECK_INT(world.plan.count, 2);
	CHECK_INT(world.plan.services[0].action, PLAN_BUILD);
	CHECK_TEXT(world.plan.services[0].reason, "it was never built here");
	CHECK_TEXT(world.plan.base, "");
	CHECK_INT(strlen(world.plan.services[0].key.text), 64);
}

TEST(a_change_in_one_service_touches_that_one)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "services/rooms/main.c", "int rooms = 1;\n");
	REQUIRE(git_commit_all(&world.git, "rooms"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", false, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_BUILD);
	CHECK_CONTAINS(world.plan.services[0].reason, "services/rooms/main.c changed since ");
	CHECK_INT(world.plan.services[0].changed.count, 1);
	CHECK_INT(world.plan.services[1].action, PLAN_SKIP);
	CHECK_CONTAINS(world.plan.services[1].reason, "nothing it reads changed since ");
	CHECK_INT(world.plan.services[1].changed.count, 0);
}

TEST(a_change_of_what_both_use_touches_both)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "services/kit/kit.c", "int kit = 1;\n");
	git_put(&world.git, "base.h", "#define BASE 1\n");
	REQUIRE(git_commit_all(&world.git, "kit"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", false, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_BUILD);
	CHECK_INT(world.plan.services[0].changed.count, 1);
	CHECK_INT(world.plan.services[1].action, PLAN_BUILD);
	CHECK_INT(world.plan.services[1].changed.count, 2);
	CHECK_CONTAINS(world.plan.services[1].reason, "base.h and 1 more changed since ");
}

TEST(a_change_that_no_service_reads_touches_none)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "readme", "other\n");
	/* a comment in the project file is no change of any service */
	git_put(&world.git, PROJECT_FILE,
		"# comment\napp: a\nservices:\n"
		"  rooms: {path: services/rooms, uses: [services/kit]}\n"
		"  users: {path: services/users, uses: [services/kit, "
		"base.h]}\n");
	REQUIRE(git_commit_all(&world.git, "readme"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", false, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_SKIP);
	CHECK_INT(world.plan.services[1].action, PLAN_SKIP);
}

TEST(settings_are_inputs_too)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, PROJECT_FILE,
		"app: a\nservices:\n"
		"  rooms: {path: services/rooms, uses: [services/kit], env: {A: 1}}\n"
		"  users: {path: services/users, uses: [services/kit, base.h]}\n"
		"  fresh: {path: services/users}\n");
	REQUIRE(git_commit_all(&world.git, "settings"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", false, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_BUILD);
	CHECK_CONTAINS(world.plan.services[0].reason, "its settings or the toolchain changed");
	CHECK_INT(world.plan.services[1].action, PLAN_SKIP);
	CHECK_INT(world.plan.services[2].action, PLAN_BUILD);
	CHECK_TEXT(world.plan.services[2].reason, "it is new");
}

TEST(what_a_build_may_use_is_an_input)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, PROJECT_FILE,
		"app: a\nservices:\n"
		"  rooms: {path: services/rooms, uses: [services/kit], build: {network: false}}\n"
		"  users: {path: services/users, uses: [services/kit, base.h]}\n");
	REQUIRE(git_commit_all(&world.git, "no network"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", false, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_BUILD);
	CHECK_CONTAINS(world.plan.services[0].reason, "its settings or the toolchain changed");
	CHECK_INT(world.plan.services[1].action, PLAN_SKIP);
}

TEST(what_was_built_with_the_same_inputs_is_taken)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	git_put(&world.git, "services/rooms/main.c", "int rooms = 1;\n");
	REQUIRE(git_commit_all(&world.git, "rooms"));
	REQUIRE_OK(plan_head(&world, "HEAD~1", true, &err));
	CHECK_INT(world.plan.services[0].action, PLAN_REUSE);
	CHECK_TEXT(world.plan.services[0].image, "sha256:1234");
	CHECK_CONTAINS(world.plan.services[0].reason, "built before with the same inputs");
}

TEST(a_path_that_the_commit_lacks_is_named)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(world_start(&world));
	REQUIRE(git_run(&world.git, "rm", "-rq", "services/kit", NULL));
	REQUIRE(git_commit_all(&world.git, "no kit"));
	CHECK(!plan_head(&world, NULL, false, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "the service \"rooms\" names \"services/kit\"");
}

TEST(a_commit_without_project_file_says_what_to_do)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE(git_fixture_init(&world.git));
	git_put(&world.git, "x", "x");
	REQUIRE(git_commit_all(&world.git, "x"));
	CHECK(!plan_head(&world, NULL, false, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.next, "dogshore init");
}

TEST(the_result_is_that_of_the_contract)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *result = NULL;

	REQUIRE(world_start(&world));
	REQUIRE_OK(plan_head(&world, NULL, false, &err));
	struct json_writer w = json_writer_start(&text);

	plan_write(&world.plan, &w);
	REQUIRE_OK(json_parse(buf_str(&text), "plan", NULL, &result, &err));
	const struct json *rooms = json_at(json_get(result, "services"), 0);

	CHECK_INT(strlen(json_get_text(result, "commit", "")), 40);
	CHECK(json_get(result, "base") && json_kind(json_get(result, "base")) == JSON_NULL);
	CHECK_TEXT(json_get_text(rooms, "name", ""), "rooms");
	CHECK_TEXT(json_get_text(rooms, "action", ""), "build");
	CHECK(json_is_array(json_get(rooms, "changed")));
}

TEST(a_key_names_the_part_that_moved_and_survives_storage)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(key_free) struct key other = {0}, stored = {0};
	struct key_move moves[4];

	REQUIRE(world_start(&world));
	REQUIRE_OK(plan_head(&world, NULL, false, &err));
	const struct key *key = &world.plan.services[0].key;

	REQUIRE_OK(key_of_service(&world.project->services.items[0], world.snapshot, "cc 2", &other,
		&err));
	CHECK(strcmp(key->text, other.text) != 0);
	REQUIRE(key_compare(key, &other, moves, 4) == 1);
	CHECK_TEXT(moves[0].name, "toolchain");
	CHECK_TEXT(moves[0].before, "cc 1");
	CHECK_TEXT(moves[0].after, "cc 2");
	scoped(json_free) struct json *parts = key_to_json(key);

	REQUIRE_OK(key_of_json(parts, &stored, &err));
	CHECK_TEXT(stored.text, key->text);
}

TEST_MAIN()
