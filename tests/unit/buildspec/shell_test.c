#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "buildspec/shell.h"

#include <signal.h>
#include <unistd.h>

/* A shell over a folder of its own, and what it printed. */
struct scene {
	char *folder;
	struct shell shell;
	struct masker masker;
	struct buf log;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	shell_close(&scene->shell);
	if (scene->folder && !folder_remove(scene->folder, &scene->err))
		TEST_FAIL("%s", scene->err.message);
	text_free(&scene->folder);
	masker_free(&scene->masker);
	buf_free(&scene->log);
	error_free(&scene->err);
}

static void take(void *self, struct str piece)
{
	buf_append_str(&((struct scene *)self)->log, piece);
}

/* Filled in place: the shell keeps pointers into it. */
static bool scene_set(struct scene *scene, const char *program, bool sandbox)
{
	scoped(strings_free) struct strings variables = {0};

	if (!folder_make_temporary(NULL, "shell-test-", &scene->folder, &scene->err))
		return false;
	const struct shell_options options = {.program = program,
		.source = scene->folder,
		.sandbox = sandbox,
		.masker = &scene->masker,
		.take = take,
		.self = scene};

	strings_add(&variables, "PATH=/usr/bin:/bin");
	strings_add(&variables, "ODD=it's \"$HOME\" `x`\\n\nsecond line ");
	strings_add(&variables, "CODEBUILD_SRC_DIR=/");
	return shell_open(&options, &scene->shell, &scene->err) &&
	       shell_set_variables(&scene->shell, &variables, &scene->err);
}

static int run(struct scene *scene, const char *text)
{
	const struct shell_command command = {.text = text, .succeeding = true};
	struct error err = {0};
	int status = -1;

	CHECK_OK(shell_run(&scene->shell, &command, &status, &err));
	error_free(&err);
	return status;
}

static void check_log(struct scene *scene, const char *expected)
{
	CHECK_TEXT(buf_text(&scene->log), expected);
	buf_clear(&scene->log);
}

static void check_state(const char *program)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, program, false));
	CHECK_INT(run(&scene, "mkdir sub; cd sub; A='a  b'; unset ODD; f() { echo f; }; set -e -x"),
		0);
	buf_clear(&scene.log); /* set -x says what it does, in words of the shell's own */
	CHECK_INT(run(&scene, "echo \"$A\" ${ODD-none} ${PWD##*/}; f 2>/dev/null || echo no f"), 0);
	check_log(&scene, "a  b none sub\nno f\n");
	CHECK_INT(run(&scene, "false; sh -c 'echo \"$A\"'"), 0);
	check_log(&scene, "a  b\n");
	CHECK_INT(run(&scene, "B=kept; false"), 1);
	CHECK_INT(run(&scene, "C=lost; exit 3"), 3);
	CHECK_INT(run(&scene, "echo ${B-none} ${C-none}"), 0);
	check_log(&scene, "kept none\n");
	CHECK_INT(run(&scene, "no-such-program 2>/dev/null"), 127);
	CHECK_INT(run(&scene, "sh -c 'kill -TERM $$' 2>/dev/null"), 143);
}

TEST(variables_and_the_folder_survive_and_nothing_else_does)
{
	check_state("/bin/sh");
	check_state("/bin/bash");
}

static void check_values(const char *program)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, program, false));
	CHECK_INT(run(&scene, "printf '%s|' \"$ODD\""), 0);
	check_log(&scene, "it's \"$HOME\" `x`\\n\nsecond line |");
	CHECK_INT(run(&scene, "ODD=\"$ODD'\n\n\""), 0);
	CHECK_INT(run(&scene, "printf '%s|' \"$ODD\""), 0);
	check_log(&scene, "it's \"$HOME\" `x`\\n\nsecond line '\n\n|");
}

TEST(values_survive_byte_for_byte)
{
	check_values("/bin/sh");
	check_values("/bin/bash");
}

TEST(a_broken_command_fails_alone)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK(run(&scene, "if true; then") != 0);
	CHECK(scene.log.size > 0);
	buf_clear(&scene.log);
	CHECK_INT(run(&scene, "echo on"), 0);
	check_log(&scene, "on\n");
}

TEST(commands_find_no_input)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK_INT(run(&scene, "cat; echo end"), 0);
	check_log(&scene, "end\n");
}

TEST(a_command_that_kills_the_shell_is_only_a_failed_command)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK_INT(run(&scene, "A=1"), 0);
	CHECK_INT(run(&scene, "kill -9 $$"), 137);
	CHECK_INT(run(&scene, "echo ${A-none}"), 0);
	check_log(&scene, "1\n");
}

TEST(fresh_commands_keep_nothing)
{
	scoped(scene_free) struct scene scene = {0};
	struct shell_command command = {.text = "A=1; cd /", .fresh = true};
	int status;

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK(shell_run(&scene.shell, &command, &status, &scene.err) && status == 0);
	command.text = "echo ${A-none} $CODEBUILD_BUILD_SUCCEEDING; [ \"$PWD\" != / ]";
	CHECK(shell_run(&scene.shell, &command, &status, &scene.err) && status == 0);
	check_log(&scene, "none 0\n");
}

TEST(asking_changes_nothing)
{
	scoped(scene_free) struct scene scene = {0};
	scoped(buf_free) struct buf answer = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK_INT(run(&scene, "A='1\n2'"), 0);
	CHECK(shell_ask(&scene.shell, "printf %s \"$A\"; A=2; echo log >&2", &answer, &scene.err));
	CHECK_TEXT(buf_text(&answer), "1\n2");
	CHECK_INT(run(&scene, "printf %s \"$A\""), 0);
	check_log(&scene, "log\n1\n2");
}

TEST(secrets_are_masked_however_slowly_they_come)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	masker_add(&scene.masker, "hunter2");
	CHECK_INT(run(&scene, "printf hun; sh -c 'printf ter'; printf '2\\n' >&2; printf hunt"), 0);
	check_log(&scene, "***\n");
	CHECK_INT(run(&scene, "printf 'er2, '; printf hunt"), 0);
	check_log(&scene, "***, ");
	CHECK_INT(run(&scene, "exit 3"), 3);
	CHECK_INT(run(&scene, "echo ed"), 0);
	check_log(&scene, "hunted\n");
}

TEST(background_work_is_not_waited_for_and_ends_with_the_shell)
{
	scoped(scene_free) struct scene scene = {0};

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK_INT(run(&scene, "sleep 1000 & echo $!"), 0);
	int64_t pid = 0;

	CHECK(str_to_int(str_trim(buf_str(&scene.log)), &pid) && kill((pid_t)pid, 0) == 0);
	shell_close(&scene.shell);
	/* Killed; until it is reaped it still has its number, but no command line any more. */
	scoped(text_free) char *path = memory_format("/proc/%lld/cmdline", (long long)pid);
	scoped(buf_free) struct buf line = {0};

	for (int i = 0; i < 1000 && file_exists(path); i++) {
		buf_clear(&line);
		if (file_read(path, 4096, &line, &scene.err) && !line.size)
			break;
		clock_sleep(&system_clock, 5);
	}
	error_free(&scene.err);
	CHECK_INT(line.size, 0);
}

TEST(in_the_sandbox_it_is_the_same)
{
	scoped(scene_free) struct scene scene = {0};

	if (!sandbox_check(&scene.err))
		SKIP("bubblewrap does not work on this machine");
	REQUIRE(scene_set(&scene, "/bin/sh", true));
	CHECK_INT(run(&scene, "echo x >made; cd /tmp; A=1"), 0);
	CHECK_INT(run(&scene, "pwd; echo $A; cat /codebuild/src/made; kill -9 $$"), 137);
	CHECK_INT(run(&scene, "echo ${A-none}"), 0);
	check_log(&scene, "/tmp\n1\nx\n1\n");
}

TEST(time_that_is_over_ends_the_command_politely)
{
	scoped(scene_free) struct scene scene = {0};
	const struct shell_command command = {
		.text = "trap 'echo cleaned; exit 1' TERM; echo on; sleep 1000 & wait"};
	int status;

	REQUIRE(scene_set(&scene, "/bin/sh", false));
	CHECK_INT(run(&scene, "true"), 0);
	scene.shell.options.deadline_ms = clock_elapsed(&system_clock) + 200;
	CHECK(!shell_run(&scene.shell, &command, &status, &scene.err));
	CHECK_INT(scene.err.kind, ERROR_TIMED_OUT);
	check_log(&scene, "on\ncleaned\n");
}

TEST(cancelling_ends_what_does_not_listen)
{
	scoped(scene_free) struct scene scene = {0};
	const struct shell_command command = {.text = "trap '' TERM; sleep 1000"};
	int status, ends[2];

	REQUIRE(pipe(ends) == 0 && scene_set(&scene, "/bin/sh", false));
	CHECK(write(ends[1], "x", 1) == 1);
	scene.shell.options.cancel_fd = ends[0];
	CHECK(!shell_run(&scene.shell, &command, &status, &scene.err));
	CHECK_INT(scene.err.kind, ERROR_CANCELLED);
	close(ends[0]);
	close(ends[1]);
}

TEST_MAIN()
