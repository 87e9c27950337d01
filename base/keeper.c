#include "base/keeper.h"

#include "base/clock.h"
#include "base/descendants.h"
#include "base/file.h"
#include "base/landlock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What goes over the leash. */
enum { ASK = 'A', END = 'E', LIMITED = 'L', REFUSED = 'R' };

enum {
	END_MS = 5000, /* for processes that the kernel itself holds */
	CANNOT_START = 127,
	REASON_MAX = 4096,
};

struct ends {
	int input[2], output[2], errors[2], leash[2]; /* ours first */
};

static void close_pair(int pair[2])
{
	descriptor_close(&pair[0]);
	descriptor_close(&pair[1]);
}

static void ends_close(struct ends *ends)
{
	close_pair(ends->input);
	close_pair(ends->output);
	close_pair(ends->errors);
	close_pair(ends->leash);
}

/* Sockets where we write: writing to one that has died is an error then, not a signal. */
static bool ends_open(struct ends *ends, struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends->input) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends->leash) < 0 ||
		pipe2(ends->output, O_CLOEXEC) < 0 || pipe2(ends->errors, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make the ends of a command");
	fcntl(ends->output[0], F_SETFL, O_NONBLOCK);
	fcntl(ends->errors[0], F_SETFL, O_NONBLOCK);
	return true;
}

/* The keeper's own state; it never returns, so nothing of it is freed. */
struct keeping {
	const struct keeper_options *options;
	int leash, signals;
	struct process command;
	bool ended;
	int status; /* as waitpid() has it */
	int landlock;
	int64_t processes_now;
};

/* Between vfork and exec. */
static bool restrict_command(void *self)
{
	const struct keeping *keeping = self;
	const struct keeper_options *options = keeping->options;

	if (options->limits) {
		limits_set(options->limits, keeping->processes_now);
		if (options->group && options->group->of[CONTROL_CPUS].why)
			limits_set_processors(options->limits->cpus);
	}
	if (options->sandbox && keeping->landlock)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return !keeping->landlock || landlock_enter(keeping->landlock);
}

/* Orphans too, or they would fill the table of processes. */
static void reap(struct keeping *keeping)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != keeping->command.pid)
			continue;
		keeping->ended = true;
		keeping->status = status;
	}
}

static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void signal_all(pid_t except, int first, int second)
{
	scoped(descendants_free) struct descendants all = {0};

	descendants_find(getpid(), &all);
	for (size_t i = 0; i < all.count; i++) {
		if (all.pids[i] == except)
			continue;
		kill(all.pids[i], first);
		if (second)
			kill(all.pids[i], second);
	}
}

static void await_signal(const struct keeping *keeping, int timeout_ms)
{
	struct pollfd end = {keeping->signals, POLLIN, 0};
	struct signalfd_siginfo taken;

	if (poll(&end, 1, timeout_ms) > 0 && read(keeping->signals, &taken, sizeof(taken)) < 0)
		return; /* somebody else took it */
}

/* Until there is nobody left: each round finds those that were forked during the one before. */
static void end_all(struct keeping *keeping)
{
	int64_t deadline = clock_elapsed(&system_clock) + END_MS;

	for (reap(keeping); has_children() && clock_elapsed(&system_clock) < deadline;
		reap(keeping)) {
		if (keeping->options->group)
			control_group_kill(keeping->options->group);
		signal_all(0, SIGKILL, 0);
		await_signal(keeping, 5);
	}
}

static _Noreturn void leave(struct keeping *keeping)
{
	end_all(keeping);
	int status = keeping->status;

	_exit(!keeping->ended       ? 128 + SIGKILL
		: WIFEXITED(status) ? WEXITSTATUS(status)
				    : 128 + WTERMSIG(status));
}

/* Nobody is left to tell. */
static _Noreturn void leave_alone(struct keeping *keeping)
{
	struct error ignored = {0};
	const char *const *leftover = keeping->options->leftovers;

	end_all(keeping);
	for (; leftover && *leftover; leftover++)
		if (!folder_remove(*leftover, &ignored))
			error_ignore(&ignored, "the next build tries again");
	if (keeping->options->group)
		control_group_remove(keeping->options->group);
	_exit(128 + SIGKILL);
}

/* The command is started already, beside which this takes no time: moving a process makes the kernel
 * wait for all processors. Its children were born outside until the parents were in. */
static void move_in(struct keeping *keeping)
{
	scoped(error_free) struct error err = {0};
	char answer[REASON_MAX] = {LIMITED};
	size_t moved = 0;

	for (bool again = keeping->options->group != NULL; again && !err.kind;) {
		scoped(descendants_free) struct descendants all = {0};

		descendants_find(getpid(), &all);
		for (size_t i = 0; i < all.count && !err.kind; i++)
			if (!control_group_add(keeping->options->group, all.pids[i], &err))
				break;
		again = all.count > moved;
		moved = all.count;
	}
	if (err.kind)
		snprintf(answer, sizeof(answer), "%c%s", REFUSED, err.message);
	send(keeping->leash, answer, strlen(answer), MSG_NOSIGNAL);
}

static void obey(struct keeping *keeping)
{
	char order = 0;
	ssize_t size = recv(keeping->leash, &order, 1, 0);

	if (size < 0 && errno == EINTR)
		return;
	if (size <= 0)
		leave_alone(keeping);
	if (order == END)
		leave(keeping);
	/* Not bwrap: it would end, and take with it what is about to clean up. */
	signal_all(keeping->options->sandbox ? keeping->command.pid : 0, SIGTERM, SIGCONT);
}

static void be_deaf(struct keeping *keeping)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGUSR1,
		SIGUSR2, SIGALRM};
	sigset_t children;

	for (size_t i = 0; i < countof(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_SETMASK, &children, NULL);
	keeping->signals = signalfd(-1, &children, SFD_CLOEXEC);
}

/* The caller's own stay open only as far as the leash and locks go. */
static void let_go_of_outputs(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3 && nothing >= 0; i++)
		dup2(nothing, i);
	descriptor_close(&nothing);
}

/* It takes no_new_privs, which would disarm a bwrap that is installed setuid, and sudo where there is
 * no sandbox; or it takes root. */
static int open_landlock(const struct keeper_options *options)
{
	scoped(text_free) char *program = program_find(options->command->argv[0]);
	struct stat status;
	bool setuid = program && stat(program, &status) == 0 && (status.st_mode & S_ISUID);

	return geteuid() == 0 || (options->sandbox && !setuid) ? landlock_open(options->sandbox)
							       : 0;
}

static _Noreturn void keep(const struct keeper_options *options, struct ends *ends)
{
	struct keeping keeping = {.options = options, .leash = ends->leash[1], .processes_now = -1};
	struct process_options command = *options->command;
	struct error err = {0};

	setsid();
	prctl(PR_SET_NAME, "dogshore-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	be_deaf(&keeping);
	descriptor_close(&ends->leash[0]);
	descriptor_close(&ends->input[0]);
	descriptor_close(&ends->output[0]);
	descriptor_close(&ends->errors[0]);
	keeping.landlock = open_landlock(options);
	if (options->group)
		control_group_reopen(options->group);
	if (options->group && options->group->of[CONTROL_PROCESSES].why && geteuid() != 0)
		keeping.processes_now = limits_count_processes();
	command.stdin_fd = ends->input[1];
	command.stdout_fd = ends->output[1];
	command.stderr_fd = ends->errors[1];
	command.die_with_parent = true;
	command.before_exec = restrict_command;
	command.before_exec_self = &keeping;
	if (!process_start(&command, &keeping.command, &err)) {
		if (write(ends->errors[1], err.message, strlen(err.message)) < 0)
			_exit(CANNOT_START); /* nobody reads it */
		_exit(CANNOT_START);
	}
	close_pair(ends->input);
	close_pair(ends->output);
	close_pair(ends->errors);
	let_go_of_outputs();
	move_in(&keeping);
	struct pollfd polled[] = {{keeping.leash, POLLIN, 0}, {keeping.signals, POLLIN, 0}};

	for (;;) {
		reap(&keeping);
		if (keeping.ended)
			leave(&keeping);
		if (poll(polled, countof(polled), -1) < 0)
			continue;
		if (polled[0].revents)
			obey(&keeping);
		if (polled[1].revents)
			await_signal(&keeping, 0);
	}
}

static bool start(const struct keeper_options *options, struct ends *ends,
	struct process *out_process, struct error *err)
{
	pid_t pid = fork();

	if (pid == 0)
		keep(options, ends);
	if (pid < 0)
		return error_raise_errno(err, "start \"%s\"", options->command->argv[0]);
	out_process->pid = pid;
	out_process->pidfd = pidfd_open(pid, 0);
	if (out_process->pidfd >= 0)
		return true;
	error_raise_errno(err, "watch \"%s\"", options->command->argv[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	*out_process = (struct process){0};
	return false;
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

bool keeper_start(const struct keeper_options *options, struct keeper *out_keeper,
	struct error *err)
{
	scoped(text_free) char *program = program_find(options->command->argv[0]);
	scoped(ends_close) struct ends ends = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	struct keeper keeper = {0};

	if (!program)
		return error_raise(err, ERROR_NOT_FOUND, "there is no program \"%s\" in PATH",
			options->command->argv[0]);
	if (!ends_open(&ends, err) || !start(options, &ends, &keeper.process, err))
		return false;
	keeper.process.stdout_fd = take(&ends.output[0]);
	keeper.process.stderr_fd = take(&ends.errors[0]);
	keeper.input_fd = take(&ends.input[0]);
	keeper.leash = take(&ends.leash[0]);
	*out_keeper = keeper;
	return true;
}

bool keeper_await_limits(struct keeper *keeper, struct error *err)
{
	char answer[REASON_MAX] = "";
	ssize_t size;

	do {
		size = recv(keeper->leash, answer, sizeof(answer) - 1, 0);
	} while (size < 0 && errno == EINTR);
	/* One that has ended is noticed where its outputs are read. */
	if (size <= 0 || answer[0] != REFUSED)
		return true;
	error_raise(err, ERROR_SYSTEM, "%s", answer + 1);
	return error_while(err, "limiting what the build may use");
}

static void give_order(struct keeper *keeper, char order)
{
	if (send(keeper->leash, &order, 1, MSG_NOSIGNAL) < 0)
		return; /* it has ended, which is what is wanted */
}

void keeper_ask_to_end(struct keeper *keeper)
{
	if (keeper->leash)
		give_order(keeper, ASK);
}

void keeper_end(struct keeper *keeper, struct process_exit *out_exit)
{
	struct error err = {0};

	if (keeper->input_fd)
		close(keeper->input_fd);
	if (keeper->leash)
		give_order(keeper, END);
	if (keeper->process.pid && !process_wait(&keeper->process, out_exit, &err))
		error_ignore(&err, "somebody else has reaped it");
	if (keeper->leash)
		close(keeper->leash);
	process_free(&keeper->process);
	*keeper = (struct keeper){0};
}
