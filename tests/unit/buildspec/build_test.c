#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/build.h"

/* A source folder, an output folder, and one run. */
struct scene {
	char *root, *source, *output;
	struct buf log;
	struct build_result result;
	struct json *secrets;
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
	buf_free(&scene->log);
	build_result_free(&scene->result);
	json_free(&scene->secrets);
}

static struct scene scene_new(const char *buildspec)
{
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "build-test-", &scene.root, &err));
	scene.source = path_join(scene.root, "src");
	scene.output = path_join(scene.root, "out");
	scoped(text_free) char *path = path_join(scene.source, "buildspec.yml");

	CHECK_OK(folder_make(scene.source, 0755, &err));
	CHECK_OK(folder_make(scene.output, 0755, &err));
	CHECK_OK(file_write(path, str_of(buildspec), 0644, false, &err));
	error_free(&err);
	return scene;
}

static void take(void *self, struct str piece)
{
	buf_append_str(&((struct scene *)self)->log, piece);
}

static bool run(struct scene *scene, const struct strings *env, int64_t timeout_ms,
	struct error *err)
{
	const struct build_options options = {.source = scene->source,
		.buildspec = "buildspec.yml",
		.output = scene->output,
		.primary_folder = "primary",
		.secondary_folder = ".",
		.env = env,
		.secrets = scene->secrets,
		.timeout_ms = timeout_ms,
		.log = take,
		.log_self = scene};

	return build_run(&options, &scene->result, err);
}

/* "INSTALL PRE_BUILD!" - a "!" for each phase that failed. */
static void check_phases(const struct scene *scene, const char *expected)
{
	scoped(buf_free) struct buf text = {0};

	for (size_t i = 1; i + 1 < scene->result.phase_count; i++)
		buf_printf(&text, "%s%s%s", i > 1 ? " " : "", scene->result.phases[i].name,
			scene->result.phases[i].failed ? "!" : "");
	CHECK_TEXT(buf_text(&text), expected);
}

static void check_run(const char *buildspec, const char *phases, bool succeeded)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new(buildspec);

	CHECK_OK(run(&scene, NULL, 0, &err));
	check_phases(&scene, phases);
	CHECK_INT(scene.result.succeeded, succeeded);
}

#define SPEC(phases) "version: 0.2\nphases: {" phases "}\n"

TEST(phases_follow_each_other_as_on_codebuild)
{
	/* Sections 4.2 and 4.5 of the buildspec reference. */
	check_run(SPEC("build: {commands: ['true']}"),
		"INSTALL PRE_BUILD BUILD POST_BUILD UPLOAD_ARTIFACTS", true);
	check_run(SPEC("install: {commands: ['false']}"), "INSTALL!", false);
	check_run(SPEC("pre_build: {commands: ['false']}"), "INSTALL PRE_BUILD!", false);
	check_run(SPEC("build: {commands: ['false']}"),
		"INSTALL PRE_BUILD BUILD! POST_BUILD UPLOAD_ARTIFACTS", false);
	check_run(SPEC("build: {commands: ['false'], on-failure: ABORT}"),
		"INSTALL PRE_BUILD BUILD! UPLOAD_ARTIFACTS", false);
	check_run(SPEC("install: {commands: ['false'], on-failure: CONTINUE}"),
		"INSTALL! PRE_BUILD BUILD POST_BUILD UPLOAD_ARTIFACTS", true);
	check_run(SPEC("build: {finally: ['false']}"),
		"INSTALL PRE_BUILD BUILD! POST_BUILD UPLOAD_ARTIFACTS", false);
}

TEST(a_retry_sees_the_commands_output)
{
	check_run(SPEC("build: {on-failure: 'RETRY-2-time.*out', commands: "
		       "['echo x >>tries', 'test $(wc -l <tries) = 2 || { echo timed out; exit 1; "
		       "}']}"),
		"INSTALL PRE_BUILD BUILD POST_BUILD UPLOAD_ARTIFACTS", true);
	check_run(SPEC("build: {on-failure: 'RETRY-2-never', commands: "
		       "['echo x >>tries', 'test $(wc -l <tries) = 2']}"),
		"INSTALL PRE_BUILD BUILD! UPLOAD_ARTIFACTS", false);
}

TEST(what_fails_is_named)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene =
		scene_new(SPEC("build: {commands: ['exit 3'], finally: ['exit 4']}"));

	CHECK_OK(run(&scene, NULL, 0, &err));
	CHECK_INT(scene.result.phases[3].exit_code, 3);
	CHECK_TEXT(scene.result.phases[3].context_code, "COMMAND_EXECUTION_ERROR");
	CHECK_TEXT(scene.result.phases[3].context_message,
		"Error while executing command: exit 3. Reason: exit status 3");
	CHECK_CONTAINS(buf_text(&scene.log), "[build] Running command exit 4\n");
	CHECK_CONTAINS(buf_text(&scene.log), "[build] Phase complete: BUILD State: FAILED\n");
}

TEST(secrets_reach_the_build_and_nobody_else)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new(
		"version: 0.2\nenv:\n  secrets-manager: {S: 'db:pass'}\n  exported-variables: [S, "
		"T]\nphases:\n  build:\n    commands:\n      - test \"$S\" = hunter2 && T=x$S\n"
		"      - echo \"it is $S\"; sh -c \"exit 3; $S\"\n      - echo hunter2\n");
	scoped(buf_free) struct buf json = {0};
	struct json_writer w = json_writer_start(&json);

	REQUIRE_OK(json_parse(str_of("{\"secrets-manager\": {\"db\": \"{\\\"pass\\\": "
				     "\\\"hunter2\\\"}\"}}"),
		"secrets", NULL, &scene.secrets, &err));
	CHECK_OK(run(&scene, NULL, 0, &err));
	build_result_write(&scene.result, &w);
	CHECK_CONTAINS(buf_text(&scene.log), "it is ***\n");
	CHECK(!strstr(buf_text(&scene.log), "hunter2"));
	CHECK(!strstr(buf_text(&json), "hunter2"));
	/* S is never exported; what was made of it is, masked. */
	CHECK_INT(scene.result.exported.count, 1);
	CHECK_TEXT(scene.result.exported.items[0], "T=x***");
}

TEST(a_missing_secret_fails_before_anything_runs)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene =
		scene_new("version: 0.2\nenv: {parameter-store: {A: /a}}\n"
			  "phases: {build: {commands: [echo ran]}}\n");

	CHECK_OK(run(&scene, NULL, 0, &err));
	CHECK(!scene.result.succeeded);
	CHECK_INT(scene.result.phase_count, 2);
	CHECK_TEXT(scene.result.phases[0].context_code, "CLIENT_ERROR");
	CHECK_CONTAINS(scene.result.phases[0].context_message, "/a");
	CHECK(!strstr(buf_text(&scene.log), "ran"));
}

TEST(what_the_caller_gives_wins)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings env = {0};
	scoped(scene_free) struct scene scene = scene_new(
		"version: 0.2\nenv: {variables: {A: spec, B: spec, a-b: x}, parameter-store: {C: "
		"/c}}\n"
		"phases: {build: {commands: ['echo $A $B $C $CODEBUILD_BUILD_SUCCEEDING']}}\n");

	strings_add(&env, "A=given");
	strings_add(&env, "C=given=too");
	CHECK_OK(run(&scene, &env, 0, &err));
	CHECK(scene.result.succeeded);
	CHECK_CONTAINS(buf_text(&scene.log), "\ngiven spec given=too 1\n");
	CHECK_CONTAINS(buf_text(&scene.log), "no shell can hold a variable called \"a-b\"");
}

TEST(a_wrong_buildspec_runs_nothing)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene =
		scene_new("version: 0.2\nphases:\n  build:\n    commands: [echo ran, {a: b}]\n");

	CHECK_OK(run(&scene, NULL, 0, &err));
	CHECK(scene.result.problem.given && !scene.result.succeeded);
	CHECK_TEXT(scene.result.problem.path, "phases.build.commands[1]");
	CHECK_INT(scene.result.problem.line, 4);
	CHECK(!strstr(buf_text(&scene.log), "\nran"));
}

TEST(time_ends_a_build)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new(SPEC("build: {commands: [sleep 1000]}"));
	int64_t time_ms = 50;

	/* On a busy machine it may be over before the command has begun. */
	do {
		error_free(&err);
		time_ms *= 2;
		CHECK(!run(&scene, NULL, time_ms, &err));
		CHECK_INT(err.kind, ERROR_TIMED_OUT);
		REQUIRE(err.context_count > 0);
	} while (text_equal(err.contexts[0], "starting the build's shell"));
	CHECK_CONTAINS(err.contexts[0], "sleep 1000");
}

TEST(another_user_and_windows_are_refused_clearly)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene user =
		scene_new(SPEC("install: {run-as: somebody, commands: ['true']}"));
	scoped(scene_free) struct scene windows =
		scene_new("version: 0.2\nenv: {shell: powershell.exe}\nphases: {build: {}}\n");

	CHECK_OK(run(&user, NULL, 0, &err));
	check_phases(&user, "INSTALL!");
	CHECK_CONTAINS(user.result.phases[1].context_message, "run-as: somebody");
	CHECK_OK(run(&windows, NULL, 0, &err));
	CHECK_CONTAINS(windows.result.phases[0].context_message, "Windows");
}

TEST(an_artifact_may_be_named_by_the_build)
{
	scoped(error_free) struct error err = {0};
	scoped(scene_free) struct scene scene = scene_new(SPEC(
		"build: {commands: ['N=7; echo x >f']}") "artifacts: {files: f, name: 'p-$N-$(echo "
							 "\"a b\")'}\n");

	CHECK_OK(run(&scene, NULL, 0, &err));
	REQUIRE(scene.result.artifact_count == 1);
	CHECK_TEXT(scene.result.artifacts[0].name, "p-7-a b");
	CHECK_TEXT(scene.result.artifacts[0].folder, "primary");
}

TEST_MAIN()
