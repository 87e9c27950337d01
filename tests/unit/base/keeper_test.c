#include "tests/test.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/keeper.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A double fork into a session of its own, which prints its number and wants to live on. */
#define ESCAPE(script) "setsid sh -c '" script " echo $$; exec sleep 1000' & "

static bool start(const char *script, const char *const *leftovers, struct keeper *keeper,
	struct error *err)
{
	const struct process_options command = {
		.argv = (const char *const[]){"sh", "-c", script, NULL}};
	const struct keeper_options options = {.command = &command, .leftovers = leftovers};

	return keeper_start(&options, keeper, err);
}

/* The next line on the command's stdout is a process. Descriptors of it stay valid when it is gone. */
static int watch_next(struct keeper *keeper)
{
	char text[32] = "";
	size_t size = 0;

	while (size < sizeof(text) - 1 && !strchr(text, '\n')) {
		struct pollfd end = {keeper->process.stdout_fd, POLLIN, 0};

		if (poll(&end, 1, 60000) <= 0 || read(end.fd, &text[size++], 1) != 1)
			return -1;
	}
	int64_t pid;

	return str_to_int(str_trim(str_of(text)), &pid) ? pidfd_open((pid_t)pid, 0) : -1;
}

/* Has it ended, without waiting? */
static bool is_gone(int pidfd)
{
	struct pollfd end = {pidfd, POLLIN, 0};

	return poll(&end, 1, 0) == 1;
}

TEST(the_exit_status_is_the_commands)
{
	scoped(error_free) struct error err = {0};
	struct keeper keeper;
	struct process_exit exit;

	REQUIRE_OK(start("exit 7", NULL, &keeper, &err));
	struct pollfd ended = {keeper.process.pidfd, POLLIN, 0};

	CHECK_INT(poll(&ended, 1, 60000), 1);
	keeper_end(&keeper, &exit);
	CHECK_INT(process_exit_code(&exit), 7);
	REQUIRE_OK(start("kill -9 $$", NULL, &keeper, &err));
	ended.fd = keeper.process.pidfd;
	CHECK_INT(poll(&ended, 1, 60000), 1);
	keeper_end(&keeper, &exit);
	CHECK_INT(process_exit_code(&exit), 137);
}

TEST(what_a_command_leaves_behind_ends_with_it)
{
	scoped(error_free) struct error err = {0};
	struct keeper keeper;

	REQUIRE_OK(start(ESCAPE("") "read line", NULL, &keeper, &err));
	int escaped = watch_next(&keeper);

	CHECK(escaped > 0 && !is_gone(escaped));
	CHECK(write(keeper.input_fd, "\n", 1) == 1);
	struct pollfd ended = {keeper.process.pidfd, POLLIN, 0};

	CHECK_INT(poll(&ended, 1, 60000), 1);
	CHECK(is_gone(escaped));
	keeper_end(&keeper, NULL);
	close(escaped);
}

TEST(deaf_stopped_and_orphaned_processes_end_when_told)
{
	scoped(error_free) struct error err = {0};
	struct keeper keeper;
	int escaped[3];

	REQUIRE_OK(start("trap \"\" TERM HUP INT; (" ESCAPE("")
				 ESCAPE("trap \"\" TERM;") ")\n"
							   "setsid sh -c 'echo $$; kill -STOP $$' "
							   "& wait; read line",
		NULL, &keeper, &err));
	for (size_t i = 0; i < countof(escaped); i++)
		CHECK((escaped[i] = watch_next(&keeper)) > 0);
	keeper_end(&keeper, NULL);
	for (size_t i = 0; i < countof(escaped); i++) {
		CHECK(is_gone(escaped[i]));
		close(escaped[i]);
	}
}

TEST(all_are_asked_to_end_also_those_in_sessions_of_their_own)
{
	scoped(error_free) struct error err = {0};
	struct keeper keeper;
	char said[64] = "";

	/* The command itself is deaf from the second line on, or its end would be everybody's. */
	REQUIRE_OK(start("setsid sh -c 'trap \"echo polite >&2; exit\" TERM; echo $$; sleep 1000 & "
			 "wait' & trap '' TERM; echo 0; read line",
		NULL, &keeper, &err));
	int first = watch_next(&keeper), second = watch_next(&keeper);
	int escaped = first > second ? first : second; /* 0 is no process */

	keeper_ask_to_end(&keeper);
	struct pollfd ends[] = {{escaped, POLLIN, 0}, {keeper.process.stderr_fd, POLLIN, 0}};

	CHECK(poll(&ends[0], 1, 60000) == 1 && poll(&ends[1], 1, 60000) == 1);
	CHECK(read(keeper.process.stderr_fd, said, sizeof(said) - 1) > 0);
	CHECK_CONTAINS(said, "polite\n");
	keeper_end(&keeper, NULL);
	close(escaped);
}

TEST(a_program_that_is_missing_is_an_error)
{
	scoped(error_free) struct error err = {0};
	const struct process_options command = {
		.argv = (const char *const[]){"no-such-program", NULL}};
	const struct keeper_options options = {.command = &command};
	struct keeper keeper;

	CHECK_FAILS(keeper_start(&options, &keeper, &err), ERROR_NOT_FOUND);
}

/* A process that starts a keeper and is killed. */
TEST(when_we_are_killed_processes_and_leftovers_go)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL;

	REQUIRE_OK(folder_make_temporary(NULL, "keeper-test-", &folder, &err));
	scoped(text_free) char *file = path_join(folder, "file");
	int ends[2], pids[2] = {0}, escaped[2];

	REQUIRE_OK(file_write(file, str_of("x"), 0600, false, &err));
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	pid_t pid = fork();

	if (pid == 0) {
		const char *const leftovers[] = {folder, NULL};
		struct keeper keeper;
		char text[64] = "";

		if (!start(ESCAPE("trap \"\" TERM;") "read line", leftovers, &keeper, &err))
			_exit(1);
		struct pollfd out = {keeper.process.stdout_fd, POLLIN, 0};

		if (poll(&out, 1, 60000) <= 0 || read(out.fd, text, sizeof(text) - 1) <= 0)
			_exit(1);
		int64_t number = 0;

		if (!str_to_int(str_trim(str_of(text)), &number))
			_exit(1);
		int found[2] = {keeper.process.pid, (int)number};

		if (write(ends[1], found, sizeof(found)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	REQUIRE(read(ends[0], pids, sizeof(pids)) == sizeof(pids));
	for (int i = 0; i < 2; i++)
		CHECK((escaped[i] = pidfd_open(pids[i], 0)) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* First the keeper: by then the other is gone and the folder, too. */
	struct pollfd ended = {escaped[0], POLLIN, 0};

	CHECK_INT(poll(&ended, 1, 60000), 1);
	CHECK(is_gone(escaped[1]));
	CHECK(!file_exists(folder));
	for (int i = 0; i < 2; i++)
		close(escaped[i]);
	close(ends[0]);
	close(ends[1]);
}

TEST_MAIN()
