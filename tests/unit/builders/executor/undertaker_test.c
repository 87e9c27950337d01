#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/undertaker.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	char *folder, *path; /* path: in folder, for the undertaker */
};

static void place_free(struct place *place)
{
	struct error err = {0};

	CHECK_OK(folder_remove(place->folder, &err));
	text_free(&place->folder);
	text_free(&place->path);
}

static struct place place_new(void)
{
	struct place place = {0};
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "undertaker-test-", &place.folder, &err));
	place.path = path_join(place.folder, "work");
	return place;
}

/* A process that is killed as soon as it has made its folder. */
static void die(const struct place *place, bool early)
{
	struct undertaker undertaker;
	pid_t pid = fork();

	if (pid == 0) {
		if (early)
			undertaker_warm_up();
		undertaker_start(&undertaker, place->path);
		if (mkdir(place->path, 0700) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	int status = 0;

	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
}

TEST(what_a_killed_process_leaves_is_removed)
{
	for (int early = 0; early < 2; early++) {
		scoped(place_free) struct place place = place_new();
		int events = inotify_init1(IN_CLOEXEC);
		char event[4096];

		CHECK(inotify_add_watch(events, place.folder, IN_DELETE) >= 0);
		die(&place, early);
		/* Waits for it. */
		CHECK(read(events, event, sizeof(event)) > 0);
		CHECK(!file_exists(place.path));
		close(events);
	}
}

TEST(what_is_not_ours_stays)
{
	scoped(place_free) struct place place = place_new();
	struct undertaker undertaker;

	CHECK_INT(mkdir(place.path, 0700), 0);
	undertaker_start(&undertaker, place.path);
	CHECK(undertaker.pid > 0);
	undertaker_dismiss(&undertaker);
	CHECK(file_exists(place.path));
	undertaker_warm_up();
	undertaker_cool_down();
	CHECK(file_exists(place.path));
}

TEST_MAIN()
