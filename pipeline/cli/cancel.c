#include "pipeline/cli/cancel.h"

#include <signal.h>
#include <sys/signalfd.h>

bool cancel_watch(int *out_fd, struct error *err)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return error_raise_errno(err, "watch for signals");
	*out_fd = fd;
	return true;
}
