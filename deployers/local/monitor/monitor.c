/*
 * dogshore-monitor - stays beside one container: starts it, writes its output into its log stream,
 * stops it when told, and leaves in a file how it ended.
 *
 * The local cloud's endpoint may be killed at any time; containers must not notice. So each container
 * has this small parent of its own, which needs nothing from the endpoint once it runs. It is a
 * program of its own, not a command of dogshore, because it must start in less than a millisecond
 * and hundreds may lie about: it uses the C library and nothing else.
 *
 *     starting --crun returned--> running --init ended--> ended
 *        |                                                  ^
 *        +--crun failed--> failed (no container came up)    |
 *     SIGTERM: the stop signal, after the grace time SIGKILL -+      SIGQUIT: SIGKILL at once
 *
 * Everything it mounts lies in a mount namespace of its own, which goes when it ends: nothing is ever
 * left mounted. The lock on the lock file says that it lives, and by fcntl(F_GETLK) under which pid.
 */
#include "deployers/local/monitor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CGROUP2_MAGIC = 0x63677270, /* linux/magic.h */
	TMPFS_MAGIC = 0x01021994,
};

/* The command line, as "name=value" words; see monitor_start() in runtime.c. */
static struct {
	const char *id, *runtime, *root, *bundle, *status, *lock, *log, *ip;
	const char *layers, *lower, *upper, *work; /* the overlay; layers is where lower starts */
	const char *oom_file; /* memory.events or memory.oom_control of its cgroup */
	long long log_limit, grace_ms, stop_signal, namespace_fd;
} given = {.namespace_fd = -1, .stop_signal = SIGTERM, .grace_ms = 30000};

static struct {
	int signals;
	pid_t runtime, init;
	int64_t started_ms, kill_at_ms; /* kill_at_ms: monotonic; 0: not stopping */
	bool stop_wanted, kill_wanted;
	struct stream log;
	struct output outputs[2];
} self = {.signals = -1, .log = {.fd = -1}, .outputs = {{.fd = -1}, {.fd = -1}}};

/* Replaces the status file in one step. The text is JSON. */
__attribute__((format(printf, 1, 2))) static void status_write(const char *format, ...)
{
	char text[4096], temporary[4096];
	va_list args;
	const char *slash = strrchr(given.status, '/');
	int folder = slash ? (int)(slash - given.status) : 0;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(temporary, sizeof(temporary), "%.*s/.%s", folder, given.status,
		slash ? slash + 1 : given.status);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	size_t size = strlen(text);
	bool whole = write(fd, text, size) == (ssize_t)size;

	close(fd);
	if (!whole || rename(temporary, given.status) < 0)
		unlink(temporary);
}

/* Keeps printable ASCII of a message and what JSON needs escaped. */
static void json_escape(const char *from, char *to, size_t size)
{
	size_t at = 0;

	for (; *from && at + 3 < size; from++) {
		if (*from == '"' || *from == '\\')
			to[at++] = '\\';
		to[at++] = *from >= ' ' && *from < 127 ? *from : ' ';
	}
	while (at && to[at - 1] == ' ')
		at--;
	to[at] = '\0';
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	char message[2048], escaped[3072];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	json_escape(message, escaped, sizeof(escaped));
	status_write("{\"state\":\"failed\",\"message\":\"%s\",\"ended_ms\":%lld}", escaped,
		(long long)clock_ms(CLOCK_REALTIME));
	exit(1);
}

static size_t read_file(const char *path, char *out, size_t size)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t got = fd < 0 ? 0 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	out[got > 0 ? got : 0] = '\0';
	return got > 0 ? (size_t)got : 0;
}

static void take_lock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(given.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("cannot open %s: %s", given.lock, strerror(errno));
	/* Taken: another monitor has this container already, and does our work. */
	if (fcntl(fd, F_SETLK, &lock) < 0)
		exit(0);
}

static void watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self.signals < 0)
		fail("signalfd: %s", strerror(errno));
}

/* crun 1.8 refuses a host where a cgroup v2 tree hangs beside version 1 controllers ("hybrid");
 * out of its sight it takes the version 1 controllers, which have the limits. */
static void hide_hybrid_cgroup(void)
{
	struct statfs top, unified;

	if (statfs("/sys/fs/cgroup", &top) == 0 && top.f_type == TMPFS_MAGIC &&
		statfs("/sys/fs/cgroup/unified", &unified) == 0 && unified.f_type == CGROUP2_MAGIC)
		umount2("/sys/fs/cgroup/unified", MNT_DETACH);
}

static void enter_namespaces(void)
{
	if (given.namespace_fd >= 0) {
		if (setns((int)given.namespace_fd, CLONE_NEWNET) < 0)
			fail("cannot enter the task's network: %s", strerror(errno));
		close((int)given.namespace_fd);
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("cannot make a mount namespace: %s", strerror(errno));
	hide_hybrid_cgroup();
}

static void mount_root(void)
{
	static char options[64 * 1024], target[4096];

	if (!given.lower)
		return;
	snprintf(target, sizeof(target), "%s/rootfs", given.bundle);
	int size = snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		given.lower, given.upper, given.work);

	/* lower holds names relative to the layers' folder: a mount's options end at one page. */
	if (size >= 4096 || chdir(given.layers) < 0)
		fail("the image has too many layers for one overlay mount");
	if (mount("overlay", target, "overlay", 0, options) < 0)
		fail("cannot mount the image's layers: %s", strerror(errno));
	if (chdir("/") < 0)
		fail("cannot enter /: %s", strerror(errno));
}

static pid_t spawn(const char *const *argv, int in, int out, int errors)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(errors, 2);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool uses_crun(void)
{
	const char *base = strrchr(given.runtime, '/');

	return strncmp(base ? base + 1 : given.runtime, "crun", 4) == 0;
}

/* The log's last line, without logrus's "time=… level=error msg=" of runc. */
static void runtime_failure(const char *log_path)
{
	char text[2048];

	read_file(log_path, text, sizeof(text));
	for (size_t size = strlen(text); size && text[size - 1] == '\n'; size--)
		text[size - 1] = '\0';
	const char *line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
	const char *message = strstr(line, "msg=");

	message = message ? message + 4 : line;
	fail("%s", *message ? message : "the container runtime failed without a message");
}

static void start_container(void)
{
	static char pid_path[4096], log_path[4096];
	int pipes[2][2], nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *argv[24];
	int at = 0;

	snprintf(pid_path, sizeof(pid_path), "%s/pid", given.bundle);
	snprintf(log_path, sizeof(log_path), "%s/runtime.log", given.bundle);
	unlink(pid_path);
	unlink(log_path);
	argv[at++] = given.runtime;
	argv[at++] = "--root";
	argv[at++] = given.root;
	if (uses_crun())
		argv[at++] = "--cgroup-manager=cgroupfs";
	argv[at++] = "--log";
	argv[at++] = log_path;
	argv[at++] = "run";
	argv[at++] = "--detach";
	argv[at++] = "--bundle";
	argv[at++] = given.bundle;
	argv[at++] = "--pid-file";
	argv[at++] = pid_path;
	argv[at++] = given.id;
	argv[at] = NULL;
	if (pipe2(pipes[0], O_CLOEXEC) < 0 || pipe2(pipes[1], O_CLOEXEC) < 0)
		fail("pipe: %s", strerror(errno));
	self.runtime = spawn(argv, nothing, pipes[0][1], pipes[1][1]);
	if (self.runtime < 0)
		fail("cannot start %s: %s", given.runtime, strerror(errno));
	for (int i = 0; i < 2; i++) {
		close(pipes[i][1]);
		self.outputs[i].fd = pipes[i][0];
		fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
	}
	close(nothing);
}

static void delete_container(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *argv[] = {given.runtime, "--root", given.root, "delete", "--force", given.id,
		NULL};
	pid_t pid = spawn(argv, nothing, nothing, nothing);

	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* The runtime has ended: the container runs (or ran already), or never will. */
static void started(void)
{
	char path[4096], text[32];
	int status;

	waitpid(self.runtime, &status, 0);
	self.runtime = 0;
	snprintf(path, sizeof(path), "%s/pid", given.bundle);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
		!read_file(path, text, sizeof(text))) {
		delete_container();
		if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
			fail("the container runtime %s is not installed", given.runtime);
		snprintf(path, sizeof(path), "%s/runtime.log", given.bundle);
		runtime_failure(path);
	}
	self.init = (pid_t)strtol(text, NULL, 10);
	self.started_ms = clock_ms(CLOCK_REALTIME);
	status_write("{\"state\":\"running\",\"pid\":%d,\"ip\":\"%s\",\"started_ms\":%lld}",
		(int)self.init, given.ip ? given.ip : "", (long long)self.started_ms);
}

static bool killed_for_memory(void)
{
	char text[1024];

	read_file(given.oom_file, text, sizeof(text));
	const char *line = strstr(text, "oom_kill ");

	return line && strtol(line + 9, NULL, 10) > 0;
}

__attribute__((noreturn)) static void ended(int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	bool memory = code == 137 && killed_for_memory();

	output_close(&self.outputs[0], &self.log);
	output_close(&self.outputs[1], &self.log);
	status_write("{\"state\":\"ended\",\"pid\":%d,\"ip\":\"%s\",\"exit_code\":%d,\"oom\":%s,"
		     "\"started_ms\":%lld,\"ended_ms\":%lld}",
		(int)self.init, given.ip ? given.ip : "", code, memory ? "true" : "false",
		(long long)self.started_ms, (long long)clock_ms(CLOCK_REALTIME));
	delete_container();
	exit(0);
}

/* Our children are the container's first process and, as subreaper, what others left to us. One loop
 * takes them all: asking for the first process and then for any would lose it in between. */
static void reap(void)
{
	int status, init_status = 0;
	bool init_ended = false;
	pid_t pid;

	if (self.runtime) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)self.runtime, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
			info.si_pid == 0)
			return;
		started();
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != self.init)
			continue;
		init_ended = true;
		init_status = status;
	}
	if (init_ended)
		ended(init_status);
	/* Not a child of ours any more: how it ended nobody knows. */
	if (pid < 0 && errno == ECHILD)
		ended(SIGKILL);
}

static void stop_when_wanted(void)
{
	if (!self.init)
		return; /* still starting: as soon as there is something to stop */
	if (self.kill_wanted) {
		kill(self.init, SIGKILL);
	} else if (self.stop_wanted && !self.kill_at_ms) {
		kill(self.init, (int)given.stop_signal);
		self.kill_at_ms = clock_ms(CLOCK_MONOTONIC) + given.grace_ms;
	} else if (self.kill_at_ms && clock_ms(CLOCK_MONOTONIC) >= self.kill_at_ms) {
		kill(self.init, SIGKILL);
	}
}

static void read_signals(void)
{
	struct signalfd_siginfo signals[8];
	ssize_t size;

	while ((size = read(self.signals, signals, sizeof(signals))) > 0) {
		for (size_t i = 0; i < (size_t)size / sizeof(signals[0]); i++) {
			self.stop_wanted |= signals[i].ssi_signo == SIGTERM;
			self.kill_wanted |= signals[i].ssi_signo == SIGQUIT;
		}
	}
}

static int wait_ms(void)
{
	if (!self.kill_at_ms)
		return -1;
	int64_t left = self.kill_at_ms - clock_ms(CLOCK_MONOTONIC);

	/* After the SIGKILL nothing can be done but look again now and then. */
	return left <= 0 ? 1000 : (int)left;
}

__attribute__((noreturn)) static void watch_container(void)
{
	for (;;) {
		struct pollfd fds[3] = {
			{.fd = self.signals, .events = POLLIN},
			{.fd = self.outputs[0].fd, .events = POLLIN},
			{.fd = self.outputs[1].fd, .events = POLLIN},
		};

		poll(fds, 3, wait_ms());
		for (int i = 0; i < 2; i++)
			if (fds[i + 1].revents && !output_read(&self.outputs[i], &self.log))
				output_close(&self.outputs[i], &self.log);
		read_signals();
		reap();
		stop_when_wanted();
	}
}

struct parameter {
	const char *name;
	const char **text;
	long long *number;
};

static const struct parameter parameters[] = {
	{"id", &given.id},
	{"runtime", &given.runtime},
	{"root", &given.root},
	{"bundle", &given.bundle},
	{"status", &given.status},
	{"lock", &given.lock},
	{"log", &given.log},
	{"ip", &given.ip},
	{"layers", &given.layers},
	{"lower", &given.lower},
	{"upper", &given.upper},
	{"work", &given.work},
	{"oom-file", &given.oom_file},
	{"log-limit", NULL, &given.log_limit},
	{"grace-ms", NULL, &given.grace_ms},
	{"stop-signal", NULL, &given.stop_signal},
	{"namespace-fd", NULL, &given.namespace_fd},
};

static bool parse(const char *word)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		const struct parameter *parameter = &parameters[i];
		size_t size = strlen(parameter->name);

		if (strncmp(word, parameter->name, size) != 0 || word[size] != '=')
			continue;
		if (parameter->text)
			*parameter->text = word + size + 1;
		else
			*parameter->number = strtoll(word + size + 1, NULL, 10);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!parse(argv[i])) {
			fprintf(stderr,
				"dogshore-monitor: \"%s\" is not known; "
				"this program is started by dogshore local\n",
				argv[i]);
			return 2;
		}
	}
	if (!given.id || !given.runtime || !given.root || !given.bundle || !given.status ||
		!given.lock) {
		fprintf(stderr, "dogshore-monitor: this program is started by dogshore local\n");
		return 2;
	}
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	watch_signals();
	take_lock();
	if (given.log)
		self.log.fd = open(given.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	self.log.limit = given.log_limit;
	enter_namespaces();
	mount_root();
	start_container();
	watch_container();
}
