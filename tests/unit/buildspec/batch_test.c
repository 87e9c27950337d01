#include "tests/test.h"

#include "buildspec/batch.h"

/* A buildspec's batch section, and the plan it stands for. */
struct scene {
	struct arena arena;
	struct buildspec spec;
	struct buildspec_findings findings;
	struct batch_plan plan;
};

static void scene_free(struct scene *scene)
{
	buildspec_findings_free(&scene->findings);
	arena_free(&scene->arena);
}

/* text goes below "batch:". */
static void read_into(struct scene *scene, const char *text)
{
	scoped(buf_free) struct buf whole = {0};

	buf_printf(&whole, "version: 0.2\nbatch:\n%s", text);
	buildspec_parse(buf_str(&whole), &scene->arena, &scene->spec, &scene->findings);
	if (!buildspec_first_error(&scene->findings))
		batch_make_plan(&scene->spec.batch, &scene->arena, &scene->plan);
}

/* The first error; lines count from the "version" line. */
static void check_error(const char *text, int line, int column, const char *path,
	const char *message)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, text);
	const struct buildspec_finding *first = buildspec_first_error(&scene.findings);

	if (!first) {
		TEST_FAIL("nothing wrong was found in:\n%s", text);
		return;
	}
	CHECK_INT(first->line, line);
	CHECK_INT(first->column, column);
	CHECK_TEXT(first->path, path);
	CHECK_CONTAINS(first->message, message);
}

TEST(a_list_is_its_tasks)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, "  fast-fail: true\n"
			  "  build-list:\n"
			  "    - identifier: linux\n"
			  "      env: {compute-type: BUILD_GENERAL1_SMALL, image: 'a:1', type: T,\n"
			  "            privileged-mode: true, variables: {A: 1, B: x}}\n"
			  "    - identifier: other\n"
			  "      buildspec: other.yml\n"
			  "      ignore-failure: true\n"
			  "      debug-session: yes\n");
	const struct batch_plan_task *tasks = scene.plan.tasks;

	REQUIRE(scene.plan.count == 2);
	CHECK(scene.plan.fast_fail);
	CHECK_TEXT(tasks[0].identifier, "linux");
	CHECK(!tasks[0].buildspec && !tasks[0].ignore_failure && !tasks[0].after_count);
	CHECK_TEXT(tasks[0].env.compute_type, "BUILD_GENERAL1_SMALL");
	CHECK_TEXT(tasks[0].env.image, "a:1");
	CHECK_TEXT(tasks[0].env.type, "T");
	CHECK(tasks[0].env.privileged);
	REQUIRE(tasks[0].env.variables.count == 2);
	CHECK_TEXT(tasks[0].env.variables.items[1].value, "x");
	CHECK_TEXT(tasks[1].buildspec, "other.yml");
	CHECK(tasks[1].ignore_failure && tasks[1].debug_session);
}

TEST(a_graph_is_ordered_by_what_waits_for_what)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, "  build-graph:\n"
			  "    - {identifier: last, depend-on: [left, right]}\n"
			  "    - {identifier: left, depend-on: [first]}\n"
			  "    - {identifier: right, depend-on: first}\n"
			  "    - {identifier: first}\n");
	const struct batch_plan_task *tasks = scene.plan.tasks;

	REQUIRE(scene.plan.count == 4);
	CHECK_TEXT(tasks[0].identifier, "first");
	CHECK_TEXT(tasks[1].identifier, "left");
	CHECK_TEXT(tasks[2].identifier, "right");
	CHECK_TEXT(tasks[3].identifier, "last");
	REQUIRE(tasks[2].after_count == 1 && tasks[3].after_count == 2);
	CHECK_INT(tasks[2].after[0], 0);
	CHECK_INT(tasks[3].after[0], 1);
	CHECK_INT(tasks[3].after[1], 2);
}

TEST(a_matrix_is_one_task_a_combination)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene,
		"  build-matrix:\n"
		"    static: {ignore-failure: true, env: {privileged-mode: true, type: L}}\n"
		"    dynamic:\n"
		"      buildspec: [a.yml, b.yml]\n"
		"      env:\n"
		"        image: [i1, i2]\n"
		"        variables: {V: [1, 2, 3], W: x}\n");
	const struct batch_plan_task *tasks = scene.plan.tasks;

	/* 2 buildspecs * 2 images * 3 V * 1 W */
	REQUIRE(scene.plan.count == 12);
	CHECK_TEXT(tasks[0].identifier, "matrix_1");
	CHECK_TEXT(tasks[11].identifier, "matrix_12");
	for (size_t i = 0; i < 12; i++)
		CHECK(tasks[i].ignore_failure && tasks[i].env.privileged &&
			tasks[i].env.variables.count == 2 && text_equal(tasks[i].env.type, "L"));
	/* The fifth (number 4 from 0): V = 4 mod 3, image = 4 / 3 mod 2, the first buildspec. */
	CHECK_TEXT(tasks[4].env.variables.items[0].value, "2");
	CHECK_TEXT(tasks[4].env.variables.items[1].value, "x");
	CHECK_TEXT(tasks[4].env.image, "i2");
	CHECK_TEXT(tasks[4].buildspec, "a.yml");
	CHECK_TEXT(tasks[6].buildspec, "b.yml");
	CHECK_TEXT(tasks[6].env.image, "i1");
}

TEST(a_fanout_is_that_many_shards)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, "  build-fanout: {parallelism: 3, ignore-failure: yes}\n");
	REQUIRE(scene.plan.count == 3);
	CHECK_TEXT(scene.plan.tasks[2].identifier, "shard_3");
	CHECK(scene.plan.tasks[2].ignore_failure);
}

TEST(without_a_batch_there_is_no_plan)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, "  fast-fail: true\n");
	CHECK_INT(scene.plan.count, 0);
	REQUIRE(scene.findings.count == 1);
	CHECK(scene.findings.items[0].warning);
}

TEST(every_mistake_has_its_place)
{
	check_error("  build-graph:\n    - identifier: alpha\n      depend-on: [alpah]\n", 5, 19,
		"batch.build-graph[0].depend-on[0]", "no task \"alpah\"; did you mean \"alpha\"?");
	check_error("  build-graph:\n    - {identifier: a, depend-on: [b]}\n"
		    "    - {identifier: b, depend-on: [a]}\n",
		4, 7, "batch.build-graph[0].depend-on", "waits for itself");
	check_error("  build-list:\n    - {identifier: a}\n    - {identifier: a}\n", 5, 20,
		"batch.build-list[1].identifier", "another task \"a\"");
	check_error("  build-list:\n    - {identifier: ../a}\n", 4, 20,
		"batch.build-list[0].identifier", "letters");
	check_error("  build-list:\n    - {buildspec: a}\n", 4, 7, "batch.build-list[0].identifier",
		"missing");
	check_error("  build-list:\n    - {identifier: a, env: {compute-type: A, fleet: B}}\n", 4,
		46, "batch.build-list[0].env.fleet", "not both");
	check_error("  build-list:\n    - {identifier: a, ignore-failure: maybe}\n", 4, 39,
		"batch.build-list[0].ignore-failure", "yes or no");
	check_error("  build-list: x\n", 3, 15, "batch.build-list", "list");
	check_error("  build-list: [a]\n", 3, 16, "batch.build-list[0]", "mapping");
	check_error("  build-list: []\n", 3, 15, "batch.build-list", "no tasks");
	check_error("  build-fanout: {parallelism: 0}\n", 3, 31, "batch.build-fanout.parallelism",
		"from 1 to 256, not \"0\"");
	check_error("  build-fanout: {}\n", 3, 3, "batch.build-fanout.parallelism", "missing");
	check_error("  build-list: [{identifier: a}]\n  build-fanout: {parallelism: 2}\n", 4, 3,
		"batch.build-fanout", "build-list is there, too");
	check_error("  build-matrix: [a]\n", 3, 17, "batch.build-matrix", "mapping");
	/* 17 * 17 = 289 combinations */
	check_error("  build-matrix: {dynamic: {env: {image: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"
		    "16,17],\n"
		    "    compute-type: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}}\n",
		3, 3, "batch.build-matrix", "More than 256");
}

TEST(unknown_keys_of_a_batch_are_warnings)
{
	scoped(scene_free) struct scene scene = {0};

	read_into(&scene, "  fast_fail: true\n"
			  "  build-list:\n"
			  "    - {identifier: a-b, depend-on: [c], env: {computetype: x}}\n");
	CHECK(buildspec_first_error(&scene.findings) == NULL);
	/* fast_fail, depend-on in a list, the "-" of a-b, computetype */
	REQUIRE(scene.findings.count == 4);
	CHECK_CONTAINS(scene.findings.items[0].message, "did you mean \"fast-fail\"?");
}

static void check_reference(const struct scene *scene, size_t at, const char *buildspec,
	const char *path, int line, int column)
{
	const struct batch_reference *reference = &scene->spec.batch.references[at];

	CHECK_TEXT(reference->buildspec, buildspec);
	CHECK_TEXT(reference->path, path);
	CHECK_INT(reference->line, line);
	CHECK_INT(reference->column, column);
}

/* Lines count from the "version" line. */
TEST(other_buildspecs_and_where_they_are_named)
{
	scoped(scene_free) struct scene list = {0}, matrix = {0}, one = {0};

	read_into(&list, "  build-list:\n"
			 "    - {identifier: a}\n"
			 "    - {identifier: b, buildspec: b.yml}\n"
			 "    - identifier: c\n"
			 "      buildspec: 'c.yml'\n"
			 "    - {identifier: d, buildspec: ~}\n");
	REQUIRE(list.spec.batch.reference_count == 2);
	check_reference(&list, 0, "b.yml", "batch.build-list[1].buildspec", 5, 34);
	check_reference(&list, 1, "c.yml", "batch.build-list[2].buildspec", 7, 18);
	read_into(&matrix, "  build-matrix: {dynamic: {buildspec: [x.yml, ~, y.yml]}}\n");
	REQUIRE(matrix.spec.batch.reference_count == 2);
	check_reference(&matrix, 0, "x.yml", "batch.build-matrix.dynamic.buildspec[0]", 3, 40);
	check_reference(&matrix, 1, "y.yml", "batch.build-matrix.dynamic.buildspec[2]", 3, 50);
	read_into(&one, "  build-matrix: {dynamic: {buildspec: x.yml}}\n");
	REQUIRE(one.spec.batch.reference_count == 1);
	check_reference(&one, 0, "x.yml", "batch.build-matrix.dynamic.buildspec", 3, 39);
}

TEST_MAIN()
