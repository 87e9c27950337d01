#include "base/process.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char *program_find(const char *name)
{
	const char *from_environment = getenv("PATH");
	struct str rest = str_of(from_environment ? from_environment : "/usr/bin:/bin");
	struct stat status;

	if (!name[0])
		return NULL;
	if (strchr(name, '/'))
		return memory_copy_text(name);
	while (rest.data) {
		struct str folder = str_cut(&rest, ':');
		char *path =
			memory_format("%.*s%s%s", str_args(folder), folder.size ? "/" : "", name);

		if (access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode))
			return path;
		free(path);
	}
	return NULL;
}

/* All that the child needs, found out before it exists: between vfork() and exec it shares our
 * memory and may only make system calls. */
struct start {
	const struct process_options *options;
	const char *program;
	char *const *argv, *const *env;
	int from[3];   /* what becomes 0, 1 and 2 */
	int report_fd; /* closed by exec; else carries the errno */
	pid_t parent;
};

/* Handlers of ours must not run in the child, and ignored signals are not its business. */
static void reset_signals(void)
{
	struct sigaction action;
	sigset_t none;

	for (int number = 1; number < 32; number++) {
		if (sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_DFL)
			continue;
		action.sa_handler = SIG_DFL;
		action.sa_flags = 0;
		sigaction(number, &action, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool place_descriptors(int from[3], const int *keep, size_t keep_count)
{
	for (int i = 0; i < 3; i++)
		if (from[i] != i && from[i] < 3 && (from[i] = fcntl(from[i], F_DUPFD, 3)) < 0)
			return false;
	for (int i = 0; i < 3; i++)
		if (from[i] != i && dup2(from[i], i) < 0)
			return false;
	/* An old kernel refuses this; then what was opened without O_CLOEXEC stays open. */
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < keep_count; i++)
		if (fcntl(keep[i], F_SETFD, 0) < 0)
			return false;
	return true;
}

static _Noreturn void become_child(struct start *start)
{
	const struct process_options *options = start->options;

	reset_signals();
	if (!options->same_group)
		setpgid(0, 0);
	if (options->die_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != start->parent)
			_exit(127); /* it died before we asked */
	}
	for (int i = 0; i < 3; i++)
		if (start->from[i] == i)
			fcntl(i, F_SETFD, 0);
	if (place_descriptors(start->from, options->keep_fds, options->keep_fd_count) &&
		(!options->folder || chdir(options->folder) == 0) &&
		(!options->before_exec || options->before_exec(options->before_exec_self)))
		execve(start->program, start->argv, start->env);
	int number = errno;
	ssize_t ignored = write(start->report_fd, &number, sizeof(number));

	(void)ignored;
	_exit(127);
}

/* vfork, because a copy of our page tables costs more than everything else here. All signals are
 * blocked meanwhile: a handler that ran in the child would run in our memory. */
__attribute__((noinline)) static pid_t start_child(struct start *start)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = vfork();

	if (pid == 0)
		become_child(start);
	int number = errno;

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return pid;
}

/* The child's end of one output: a pipe's (ours goes to *out_ours), ours, or the one given. */
static bool open_output(int wanted, int number, int *out_ours, int *out_childs, int *out_close,
	struct error *err)
{
	int ends[2];

	if (wanted != 0) {
		*out_childs = wanted == -1 ? number : wanted;
		return true;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make a pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*out_ours = ends[0];
	*out_childs = *out_close = ends[1];
	return true;
}

static bool open_ends(const struct process_options *options, struct process *process,
	struct start *start, int close_after[3], struct error *err)
{
	if (options->stdin_fd == 0) {
		close_after[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (close_after[0] < 0)
			return error_raise_errno(err, "open \"/dev/null\"");
		start->from[0] = close_after[0];
	} else {
		start->from[0] = options->stdin_fd == -1 ? 0 : options->stdin_fd;
	}
	if (!open_output(options->stdout_fd, 1, &process->stdout_fd, &start->from[1],
		    &close_after[1], err))
		return false;
	if (options->merge_output) {
		start->from[2] = start->from[1];
		return true;
	}
	return open_output(options->stderr_fd, 2, &process->stderr_fd, &start->from[2],
		&close_after[2], err);
}

/* Waits until the child has called exec or said why it could not. */
static bool await_exec(int report_fd, pid_t pid, const char *program, const char *folder,
	struct error *err)
{
	int number = 0;
	ssize_t size;

	do {
		size = read(report_fd, &number, sizeof(number));
	} while (size < 0 && errno == EINTR);
	if (size != sizeof(number))
		return true;
	waitpid(pid, NULL, 0);
	errno = number;
	if (folder && access(folder, X_OK) < 0)
		return error_raise_errno(err, "start \"%s\" in \"%s\"", program, folder);
	errno = number;
	return error_raise_errno(err, "start \"%s\"", program);
}

static bool start_with_ends(struct start *start, struct process *process, struct error *err)
{
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make a pipe");
	start->report_fd = report[1];
	pid_t pid = start_child(start);

	close(report[1]);
	if (pid < 0) {
		error_raise_errno(err, "start \"%s\"", start->program);
		close(report[0]);
		return false;
	}
	bool started = await_exec(report[0], pid, start->program, start->options->folder, err);

	close(report[0]);
	if (!started)
		return false;
	process->pid = pid;
	process->pidfd = pidfd_open(pid, 0);
	if (process->pidfd < 0) {
		error_raise_errno(err, "watch \"%s\"", start->program);
		process->pidfd = 0;
		kill(start->options->same_group ? pid : -pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return false;
	}
	return true;
}

bool process_start(const struct process_options *options, struct process *out_process,
	struct error *err)
{
	scoped(text_free) char *program = program_find(options->argv[0]);
	struct process process = {0};
	int close_after[3] = {-1, -1, -1};

	if (!program)
		return error_raise(err, ERROR_NOT_FOUND, "there is no program \"%s\" in PATH",
			options->argv[0]);
	struct start start = {.options = options,
		.program = program,
		.argv = (char *const *)(uintptr_t)options->argv,
		.env = options->env ? (char *const *)(uintptr_t)options->env : environ,
		.parent = getpid()};
	bool done = open_ends(options, &process, &start, close_after, err) &&
		    start_with_ends(&start, &process, err);

	for (int i = 0; i < 3; i++)
		descriptor_close(&close_after[i]);
	if (!done) {
		process_free(&process);
		return false;
	}
	*out_process = process;
	return true;
}

static int64_t to_ms(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

bool process_wait(struct process *process, struct process_exit *out_exit, struct error *err)
{
	struct rusage usage;
	int status;
	pid_t pid;

	do {
		pid = wait4(process->pid, &status, 0, &usage);
	} while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return error_raise_errno(err, "wait for process %d", (int)process->pid);
	if (out_exit)
		*out_exit = (struct process_exit){
			.exited = WIFEXITED(status),
			.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			.user_ms = to_ms(usage.ru_utime),
			.system_ms = to_ms(usage.ru_stime),
			.peak_memory_bytes = (int64_t)usage.ru_maxrss * 1024,
		};
	return true;
}

/* Until the leader is reaped its number cannot be given away, so the group is certainly ours. */
static void signal_group(const struct process *process, int number)
{
	if (kill(-process->pid, number) < 0 && errno == ESRCH)
		kill(process->pid, number); /* it stayed in our group */
}

void process_stop(struct process *process, int64_t grace_ms, struct process_exit *out_exit)
{
	struct pollfd ended = {process->pidfd, POLLIN, 0};
	struct error err = {0};

	if (!process->pid)
		return;
	if (grace_ms > 0) {
		signal_group(process, SIGTERM);
		while (poll(&ended, 1, grace_ms > INT32_MAX ? INT32_MAX : (int)grace_ms) < 0 &&
			errno == EINTR)
			continue;
	}
	/* Also when the leader has ended: what it left behind goes too. */
	signal_group(process, SIGKILL);
	if (!process_wait(process, out_exit, &err))
		error_ignore(&err, "somebody else has reaped it");
}

void process_free(struct process *process)
{
	if (process->pidfd)
		close(process->pidfd);
	if (process->stdout_fd)
		close(process->stdout_fd);
	if (process->stderr_fd)
		close(process->stderr_fd);
	*process = (struct process){0};
}

int process_exit_code(const struct process_exit *exit)
{
	return exit->exited ? exit->status : 128 + exit->status;
}
