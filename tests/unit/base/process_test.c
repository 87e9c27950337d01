#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define argv_of(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool run(const char *script, struct process_result *result, struct error *err)
{
	const struct process_options options = {.argv = argv_of("sh", "-c", script)};

	return process_run(&options, (struct str){0}, 0, 0, result, err);
}

TEST(both_outputs_and_the_exit_status_are_told)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	REQUIRE_OK(run("echo out; echo err >&2; exit 7", &result, &err));
	CHECK_TEXT(buf_text(&result.output), "out\n");
	CHECK_TEXT(buf_text(&result.errors), "err\n");
	CHECK(result.exit.exited && result.exit.status == 7);
	CHECK_INT(process_exit_code(&result.exit), 7);
	CHECK(!result.timed_out);
}

TEST(a_signal_counts_as_shells_count_it)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	REQUIRE_OK(run("kill -9 $$", &result, &err));
	CHECK(!result.exit.exited);
	CHECK_INT(process_exit_code(&result.exit), 137);
}

TEST(input_folder_and_environment_arrive)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options options = {.argv = argv_of("sh", "-c",
							"pwd; echo $A$HOME; cat; echo end >&2"),
		.folder = "/usr",
		.env = argv_of("A=1", "PATH=/usr/bin:/bin"),
		.merge_output = true};

	REQUIRE_OK(process_run(&options, str_of("hello\n"), 0, 0, &result, &err));
	CHECK_TEXT(buf_text(&result.output), "/usr\n1\nhello\nend\n");
	CHECK_INT(result.errors.size, 0);
}

TEST(a_child_that_reads_no_input_does_not_harm_us)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options options = {.argv = argv_of("true")};
	scoped(buf_free) struct buf big = {0};

	memset(buf_reserve(&big, 1 << 20), 'x', 1 << 20);
	big.size = 1 << 20;
	CHECK_OK(process_run(&options, buf_str(&big), 0, 0, &result, &err));
	CHECK_INT(result.exit.status, 0);
}

TEST(output_beyond_the_limit_is_dropped_and_counted)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options options = {
		.argv = argv_of("head", "-c", "100000", "/dev/zero")};

	REQUIRE_OK(process_run(&options, (struct str){0}, 0, 1000, &result, &err));
	CHECK_INT(result.dropped_bytes, 99000);
	CHECK_TEXT(result.output.data + 1000, "\n[99000 more bytes of output were dropped]\n");
}

TEST(what_cannot_be_started_is_named)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options missing = {.argv = argv_of("no-such-program")};
	const struct process_options folder = {.argv = argv_of("true"), .folder = "/no/such"};
	const struct process_options text = {.argv = argv_of("/etc/passwd")};

	CHECK(!process_run(&missing, (struct str){0}, 0, 0, &result, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "\"no-such-program\"");
	CHECK(!process_run(&folder, (struct str){0}, 0, 0, &result, &err));
	CHECK_CONTAINS(err.message, "in \"/no/such\": No such file or directory");
	CHECK_FAILS(process_run(&text, (struct str){0}, 0, 0, &result, &err), ERROR_DENIED);
}

/* Reads one number that a child prints. */
static pid_t read_pid(int fd)
{
	struct pollfd readable = {fd, POLLIN, 0};
	char text[32] = "";
	int64_t number = 0;

	poll(&readable, 1, 20000);
	ssize_t size = read(fd, text, sizeof(text) - 1);

	CHECK(size > 0 && str_to_int(str_trim(str_of(text)), &number));
	return (pid_t)number;
}

/* Has the process behind pidfd ended? Waits for it a while: being killed takes a moment. */
static bool ends(int pidfd)
{
	struct pollfd ended = {pidfd, POLLIN, 0};

	return poll(&ended, 1, 20000) == 1;
}

TEST(stopping_ends_grandchildren_too)
{
	scoped(error_free) struct error err = {0};
	scoped(process_free) struct process process = {0};
	/* The child ignores SIGTERM, so the second, harder signal is needed. */
	const struct process_options options = {
		.argv = argv_of("sh", "-c",
			"trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000")};
	struct process_exit end;

	REQUIRE_OK(process_start(&options, &process, &err));
	pid_t grandchild = read_pid(process.stdout_fd);

	REQUIRE(grandchild > 1);
	scoped(descriptor_close) int pidfd = pidfd_open(grandchild, 0);

	REQUIRE(pidfd >= 0);
	process_stop(&process, 1, &end);
	CHECK(!end.exited && end.status == SIGKILL);
	CHECK(ends(pidfd));
}

TEST(time_that_runs_out_ends_the_group)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	const struct process_options options = {
		.argv = argv_of("sh", "-c", "echo before; sleep 1000 & wait")};

	REQUIRE_OK(process_run(&options, (struct str){0}, 50, 0, &result, &err));
	CHECK(result.timed_out);
	CHECK(!result.exit.exited && result.exit.status == SIGTERM);
}

TEST(background_work_that_keeps_the_pipe_is_not_waited_for)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	REQUIRE_OK(run("sleep 1000 & echo $!", &result, &err));
	int64_t pid = 0;

	CHECK(str_to_int(str_trim(buf_str(&result.output)), &pid));
	CHECK(kill((pid_t)pid, SIGKILL) == 0);
}

TEST(only_the_descriptors_asked_for_are_inherited)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	int leaked[2], kept[2]; /* on purpose without O_CLOEXEC */

	REQUIRE(pipe(leaked) == 0 && pipe(kept) == 0);
	scoped(text_free) char *script = memory_format("for n in %d %d; do [ -e /proc/self/fd/$n ] "
						       "&& echo open || echo closed; done",
		leaked[0], kept[1]);
	const struct process_options options = {.argv = argv_of("sh", "-c", script),
		.keep_fds = &kept[1],
		.keep_fd_count = 1};

	CHECK_OK(process_run(&options, (struct str){0}, 0, 0, &result, &err));
	CHECK_TEXT(buf_text(&result.output), "closed\nopen\n");
	for (int i = 0; i < 2; i++) {
		close(leaked[i]);
		close(kept[i]);
	}
}

TEST(descriptors_may_be_swapped)
{
	scoped(error_free) struct error err = {0};
	scoped(process_free) struct process process = {0};
	int out[2], errors[2];
	char text[8] = "";

	REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0);
	const struct process_options options = {.argv = argv_of("sh", "-c", "echo o; echo e >&2"),
		.stdout_fd = out[1],
		.stderr_fd = errors[1]};
	struct process_exit end;

	REQUIRE_OK(process_start(&options, &process, &err));
	CHECK_OK(process_wait(&process, &end, &err));
	CHECK(read(errors[0], text, sizeof(text)) == 2 && text[0] == 'e');
	CHECK(read(out[0], text, sizeof(text)) == 2 && text[0] == 'o');
	for (int i = 0; i < 2; i++) {
		close(out[i]);
		close(errors[i]);
	}
}

TEST(ignored_and_blocked_signals_are_not_passed_on)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	sigset_t usr1, before;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	CHECK_OK(run("grep -E '^Sig(Blk|Ign)' /proc/self/status", &result, &err));
	CHECK_TEXT(buf_text(&result.output),
		"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
}

TEST(a_child_dies_with_its_parent_when_told_to)
{
	scoped(error_free) struct error err = {0};
	int out[2];

	REQUIRE(pipe2(out, O_CLOEXEC) == 0);
	pid_t parent = fork();

	if (parent == 0) {
		struct process process = {0};
		const struct process_options options = {.argv = argv_of("sh", "-c",
								"echo $$; exec sleep 1000"),
			.stdout_fd = out[1],
			.die_with_parent = true};

		if (!process_start(&options, &process, &err))
			_exit(1);
		pause();
	}
	pid_t child = read_pid(out[0]);

	REQUIRE(child > 1);
	scoped(descriptor_close) int pidfd = pidfd_open(child, 0);

	kill(parent, SIGKILL);
	CHECK(ends(pidfd));
	close(out[0]);
	close(out[1]);
}

TEST(programs_are_found_in_the_path)
{
	scoped(text_free) char *found = program_find("sh");
	scoped(text_free) char *folder = program_find("..");

	CHECK(found && text_ends_with(found, "/sh"));
	CHECK(folder == NULL);
	CHECK(program_find("no-such-program") == NULL);
}

TEST_MAIN()
