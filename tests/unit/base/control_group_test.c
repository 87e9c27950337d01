#include "tests/test.h"

#include "base/control_group.h"
#include "base/file.h"
#include "base/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY = 32 << 20, PROCESSES = 5 };

/* A group of a few processes and some memory; false where this machine makes none. */
static bool make(struct control_group *group)
{
	const struct limits limits = {.memory_bytes = MEMORY, .processes = PROCESSES};

	control_group_make(&limits, group);
	return control_group_holds(group, CONTROL_MEMORY) &&
	       control_group_holds(group, CONTROL_PROCESSES);
}

/* The thread sanitizer has a thread of its own in each process, and threads count. */
static bool each_process_is_one(void)
{
#ifdef __SANITIZE_THREAD__
	return false;
#else
	return true;
#endif
}

/* A child in the group that runs act once it is in; its exit status. */
static int run_in(const struct control_group *group, int (*act)(void))
{
	struct error err = {0};
	int gate[2], status = -1;
	char byte = 0;

	if (pipe(gate) < 0)
		return -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(read(gate[0], &byte, 1) == 1 ? act() : 99);
	CHECK_OK(control_group_add(group, pid, &err));
	CHECK(write(gate[1], "x", 1) == 1);
	waitpid(pid, &status, 0);
	close(gate[0]);
	close(gate[1]);
	error_free(&err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* How many children it could have, up to 20. */
static int fork_many(void)
{
	int count = 0;
	pid_t pids[20];

	for (; count < 20; count++) {
		pids[count] = fork();
		if (pids[count] == 0)
			pause();
		if (pids[count] < 0)
			break;
	}
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	return count;
}

static int use_memory(void)
{
	volatile char *memory = malloc(MEMORY * 4);

	for (size_t i = 0; memory && i < MEMORY * 4; i += 4096)
		memory[i] = 1;
	return 0;
}

TEST(processes_are_limited_and_the_limit_is_told_once)
{
	struct control_group group;

	if (!each_process_is_one())
		SKIP("the sanitizer's threads count as processes");
	if (!make(&group)) {
		control_group_remove(&group);
		SKIP("this machine lets us make no control groups");
	}
	/* Itself and four children. */
	CHECK_INT(run_in(&group, fork_many), PROCESSES - 1);
	CHECK(control_group_hits(&group, CONTROL_PROCESSES) > 0);
	CHECK_INT(control_group_hits(&group, CONTROL_PROCESSES), 0);
	CHECK_INT(control_group_hits(&group, CONTROL_MEMORY), 0);
	CHECK(control_group_remove(&group));
}

TEST(memory_is_limited)
{
	struct control_group group;

	if (!make(&group)) {
		control_group_remove(&group);
		SKIP("this machine lets us make no control groups");
	}
	CHECK_INT(run_in(&group, use_memory), 128 + SIGKILL);
	CHECK_INT(control_group_hits(&group, CONTROL_MEMORY), 1);
	CHECK(control_group_remove(&group));
}

TEST(what_is_in_it_ends_with_it)
{
	struct control_group group;
	struct error err = {0};
	int status;

	if (!each_process_is_one())
		SKIP("the sanitizer's threads count as processes");
	if (!make(&group)) {
		control_group_remove(&group);
		SKIP("this machine lets us make no control groups");
	}
	scoped(text_free) char *folder = memory_copy_text(group.of[CONTROL_MEMORY].folder);
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	CHECK_OK(control_group_add(&group, pid, &err));
	control_group_kill(&group);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	/* Nothing starts in it any more, until it is opened again. */
	CHECK_INT(run_in(&group, fork_many), 0);
	control_group_reopen(&group);
	CHECK_INT(run_in(&group, fork_many), PROCESSES - 1);
	CHECK(control_group_remove(&group));
	CHECK(!file_exists(folder));
	error_free(&err);
}

TEST(what_a_dead_maker_left_is_removed_by_the_next)
{
	struct control_group group;
	int status;

	if (!make(&group)) {
		control_group_remove(&group);
		SKIP("this machine lets us make no control groups");
	}
	int ends[2];
	char left[512] = "";
	REQUIRE(pipe(ends) == 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct control_group forgotten;

		make(&forgotten);
		const char *folder = forgotten.of[CONTROL_PROCESSES].folder;

		_exit(write(ends[1], folder, strlen(folder)) > 0 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && read(ends[0], left, sizeof(left) - 1) > 0);
	CHECK(file_exists(left));
	CHECK(control_group_remove(&group));
	make(&group);
	CHECK(!file_exists(left));
	CHECK(control_group_remove(&group));
	close(ends[0]);
	close(ends[1]);
}

TEST_MAIN()
