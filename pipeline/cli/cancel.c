#include "pipeline/cli/cancel.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

static sigset_t block(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < countof(numbers); i++)
		sigaddset(&signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signals;
}

void cancel_too_late(void)
{
	block();
}

static volatile sig_atomic_t wants_json;

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		return; /* whoever should read it is gone */
}

/* Only what a signal handler may do. */
static void end(int number)
{
	(void)number;
	say(STDERR_FILENO, "error: it was interrupted by a signal\n"
			   "  next:  run it again: what is done already is not done twice\n");
	if (wants_json)
		say(STDOUT_FILENO,
			"{\"status\":\"cancelled\",\"error\":{\"kind\":\"cancelled\",\"message\":"
			"\"it was interrupted by a signal\",\"while\":[],\"next\":\"run it again: "
			"what is done already is not done twice\"}}\n");
	_exit(error_exit_status(ERROR_CANCELLED));
}

void cancel_at_once(bool json)
{
	struct sigaction action = {.sa_handler = end}, before;

	wants_json = json;
	for (size_t i = 0; i < countof(numbers); i++)
		/* Under nohup, and in the background of a script, it stays ignored. */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

bool cancel_watch(int *out_fd, struct error *err)
{
	sigset_t signals = block();
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return error_raise_errno(err, "watch for signals");
	*out_fd = fd;
	return true;
}
