#include "builders/executor/undertaker.h"

#include "base/file.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct undertaker waiting;

static void be_deaf(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP};
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	prctl(PR_SET_NAME, "dogshore-bury");
	for (size_t i = 0; i < countof(ignored); i++)
		signal(ignored[i], SIG_IGN);
	for (int i = 0; i < 3 && nothing >= 0; i++)
		dup2(nothing, i);
}

/* The leash tells the path, in one piece with its NUL, and then nothing any more. */
static _Noreturn void bury(int leash)
{
	struct error err = {0};
	char path[PATH_MAX] = "";
	size_t size = 0;

	be_deaf();
	for (;;) {
		ssize_t got = read(leash, path + size, sizeof(path) - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	if (size && path[size - 1] == '\0' && !folder_remove(path, &err))
		error_ignore(&err, "the next build tries again");
	_exit(0);
}

static struct undertaker make(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return (struct undertaker){0};
	pid_t pid = fork();

	if (pid == 0) {
		close(ends[1]);
		bury(ends[0]);
	}
	close(ends[0]);
	if (pid > 0)
		return (struct undertaker){pid, ends[1]};
	close(ends[1]);
	return (struct undertaker){0};
}

void undertaker_warm_up(void)
{
	if (!waiting.pid)
		waiting = make();
}

void undertaker_cool_down(void)
{
	undertaker_end(&waiting);
}

void undertaker_start(struct undertaker *out_undertaker, const char *path)
{
	size_t size = strlen(path) + 1;

	undertaker_warm_up();
	*out_undertaker = waiting;
	waiting = (struct undertaker){0};
	/* So few bytes go whole. */
	if (out_undertaker->pid &&
		(size > PATH_MAX || send(out_undertaker->leash, path, size, MSG_NOSIGNAL) < 0))
		undertaker_dismiss(out_undertaker);
}

void undertaker_end(struct undertaker *undertaker)
{
	if (!undertaker->pid)
		return;
	close(undertaker->leash);
	waitpid(undertaker->pid, NULL, 0);
	*undertaker = (struct undertaker){0};
}

void undertaker_dismiss(struct undertaker *undertaker)
{
	if (undertaker->pid)
		kill(undertaker->pid, SIGKILL);
	undertaker_end(undertaker);
}
