#include "tests/test.h"

#include "buildspec/process_watch.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 40 };

/* Its answer when it is asked later. */
static bool ask(struct process_watch *watch)
{
	watch->asked_ms -= PROCESS_WATCH_MS;
	return process_watch_is_over(watch, getpid());
}

TEST(more_processes_than_the_limit_are_noticed)
{
	struct process_watch few, enough, none;
	pid_t children[CHILDREN];

	process_watch_start(&few, CHILDREN - 1);
	process_watch_start(&enough, CHILDREN);
	process_watch_start(&none, 0);
	CHECK(!ask(&few));
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i] == 0)
			for (;;)
				pause();
	}
	/* What others start and end beside this test is not what is looked at. */
	few.at_start = enough.at_start = 0;
	CHECK(ask(&few));
	CHECK(!process_watch_is_over(&few, getpid())); /* asked just now */
	CHECK(!ask(&enough));
	CHECK(!ask(&none));
	for (int i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
}

TEST_MAIN()
