#include "pipeline/cli/breakpoint.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* What the relay has to do with. */
struct relay {
	int master, notify; /* our ends */
	struct termios before;
	bool active; /* a shell waits: the terminal is raw */
};

static void copy(int from, int to)
{
	char piece[4096];
	ssize_t size = read(from, piece, sizeof(piece));

	if (size > 0 && !descriptor_write_all(to, piece, (size_t)size, "the terminal", NULL))
		return; /* nobody is there */
}

static void activate(struct relay *relay, bool active)
{
	struct termios raw;
	struct winsize size;

	if (active == relay->active)
		return;
	relay->active = active;
	if (!active) {
		tcsetattr(0, TCSADRAIN, &relay->before);
		return;
	}
	if (ioctl(0, TIOCGWINSZ, &size) == 0)
		ioctl(relay->master, TIOCSWINSZ, &size);
	raw = relay->before;
	cfmakeraw(&raw);
	tcsetattr(0, TCSADRAIN, &raw);
}

/* What the shell has printed before it ended comes first. */
static void drain(const struct relay *relay)
{
	struct pollfd end = {relay->master, POLLIN, 0};

	while (poll(&end, 1, 0) > 0 && (end.revents & POLLIN))
		copy(relay->master, 2);
}

/* False: the build is over. */
static bool take_notice(struct relay *relay)
{
	char what = 'q';
	ssize_t size = read(relay->notify, &what, 1);

	if (size < 0 && errno == EINTR)
		return true;
	drain(relay);
	activate(relay, size == 1 && what == 'b');
	return size == 1 && what != 'q';
}

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static _Noreturn void run_relay(struct relay *relay)
{
	struct pollfd ends[] = {{relay->notify, POLLIN, 0}, {relay->master, POLLIN, 0},
		{0, POLLIN, 0}};

	/* Our signals are blocked: the build is cancelled by its own process, which tells us. */
	sigset_t none;

	sigemptyset(&none);
	signal(SIGTERM, end);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while (!ended) {
		ends[2].fd = relay->active ? 0 : -1;
		if (poll(ends, countof(ends), -1) < 0 && errno != EINTR)
			break;
		/* A notice drains the master, so what poll said of it is over. */
		if (ends[0].revents) {
			if (!take_notice(relay))
				break;
			continue;
		}
		if (ends[1].revents & POLLIN)
			copy(relay->master, 2);
		if (relay->active && (ends[2].revents & POLLIN))
			copy(0, relay->master);
	}
	activate(relay, false);
	_exit(0);
}

static int open_master(struct error *err)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)
		return master;
	error_raise_errno(err, "make a pseudo-terminal");
	descriptor_close(&master);
	return -1;
}

bool breakpoint_begin(struct breakpoint *breakpoint, struct error *err)
{
	struct relay relay = {0};
	int ends[2];

	if (!isatty(0) || !isatty(2) || tcgetattr(0, &relay.before) < 0)
		return true;
	relay.master = open_master(err);
	if (relay.master < 0)
		return false;
	breakpoint->terminal_fd = open(ptsname(relay.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (breakpoint->terminal_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make a pseudo-terminal");
	breakpoint->notify_fd = ends[1];
	relay.notify = ends[0];
	pid_t us = getpid();

	breakpoint->relay = fork();
	if (breakpoint->relay == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(ends[1]);
		if (getppid() == us)
			run_relay(&relay);
		_exit(1);
	}
	close(ends[0]);
	close(relay.master);
	return breakpoint->relay > 0 || error_raise_errno(err, "start a process");
}

void breakpoint_end(struct breakpoint *breakpoint)
{
	if (breakpoint->relay > 0) {
		if (write(breakpoint->notify_fd, "q", 1) != 1)
			kill(breakpoint->relay, SIGTERM);
		while (waitpid(breakpoint->relay, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (breakpoint->terminal_fd > 0)
		close(breakpoint->terminal_fd);
	if (breakpoint->notify_fd > 0)
		close(breakpoint->notify_fd);
	*breakpoint = (struct breakpoint){0};
}
