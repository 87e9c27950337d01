#include "deployers/local/haproxy.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROMPT "\n> "

enum {
	OLD_MAX = 16,
	ANSWER_LIMIT = 4 << 20,
	ANSWER_MS = 2000,
	START_MS = 10000,
	STOP_MS = 5000,
	OLD_LOOK_MS = 250,
	LET_GO_MS = 1000,
};

/* One process and our connection to its command line, in interactive mode: answers end in "> ". */
struct generation {
	pid_t pid;
	int process; /* a pidfd: the number may be somebody else's after its end; 0 when all-zero */
	int fd;      /* 0 when all-zero */
	bool broken; /* does not answer any more */
};

struct haproxy {
	struct loop *loop; /* borrowed */
	char *folder;      /* owned */
	int folder_fd;
	void (*lost)(void *context);
	void *context;
	struct generation current;
	struct watch *watch; /* of the current one's connection: it ends with the process */
	struct generation old[OLD_MAX];
	size_t old_count;
	struct watch *old_timer; /* while there are old ones */
};

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void generation_close(struct generation *generation)
{
	if (generation->fd > 0)
		close(generation->fd);
	if (generation->process > 0)
		close(generation->process);
	*generation = (struct generation){0};
}

/* Each command of a line is answered for itself, with a prompt of its own. */
static size_t commands_in(const char *line)
{
	size_t count = 1;

	for (; *line; line++)
		count += *line == ';';
	return count;
}

/* Ends a hung process so that it does not go on taking connections beside its successor. */
static void generation_kill(const struct generation *generation)
{
	if (generation->process > 0)
		syscall(SYS_pidfd_send_signal, generation->process, SIGKILL, NULL, 0);
}

static size_t prompts_in(struct str text)
{
	size_t count = 0;
	const char *end = text.data + text.size, *found;

	for (; text.size && (found = memmem(text.data, text.size, PROMPT, strlen(PROMPT)));
		count++) {
		text.data = found + strlen(PROMPT);
		text.size = (size_t)(end - text.data);
	}
	return count;
}

/* Reads until the last of so many prompts, however the answers are cut into pieces on their way.
 * False when the process is gone or does not answer in time. */
static bool read_answer(int fd, size_t prompts, struct buf *out)
{
	int64_t deadline = monotonic_ms() + ANSWER_MS;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - monotonic_ms();
		ssize_t got;

		if (str_ends_with(buf_str(out), PROMPT) && prompts_in(buf_str(out)) >= prompts) {
			out->size -= strlen(PROMPT);
			return true;
		}
		if (left <= 0 || out->size > ANSWER_LIMIT)
			return false;
		if (poll(&wait, 1, (int)left) < 0 && errno != EINTR)
			return false;
		got = recv(fd, buf_reserve(out, 16384), 16384, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		out->size += got > 0 ? (size_t)got : 0;
	}
}

static bool ask(struct generation *generation, const char *command, struct buf *out)
{
	scoped(buf_free) struct buf line = {0}, ignored = {0};

	if (generation->fd <= 0 || generation->broken)
		return false;
	buf_printf(&line, "%s\n", command);
	generation->broken =
		!descriptor_write_all(generation->fd, line.data, line.size, "haproxy", NULL) ||
		!read_answer(generation->fd, commands_in(command), out ? out : &ignored);
	/* The watch on the connection then sees its end, and looks for a process that answers. */
	if (generation->broken)
		shutdown(generation->fd, SHUT_RDWR);
	return !generation->broken;
}

/* The line "<name>: <value>" of show info. */
static bool info(struct generation *generation, const char *name, struct buf *out)
{
	scoped(buf_free) struct buf answer = {0};
	struct str rest;

	if (!ask(generation, "show info", &answer))
		return false;
	rest = buf_str(&answer);
	while (rest.data) {
		struct str value = str_cut(&rest, '\n'), key = str_cut(&value, ':');

		if (value.data && str_equal_text(key, name)) {
			buf_append_str(out, str_trim(value));
			return true;
		}
	}
	return false;
}

/* A path of at most 108 bytes whatever the folder is called. */
static int connect_socket(const struct haproxy *haproxy)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/worker.sock",
		haproxy->folder_fd);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool connect_current(struct haproxy *haproxy)
{
	struct generation generation = {.fd = connect_socket(haproxy)};
	scoped(buf_free) struct buf pid = {0};
	int64_t number;

	if (generation.fd < 0)
		return false;
	if (!ask(&generation, "prompt", NULL) || !info(&generation, "Pid", &pid) ||
		!str_to_int(buf_str(&pid), &number)) {
		generation_close(&generation);
		return false;
	}
	generation.pid = (pid_t)number;
	generation.process = (int)syscall(SYS_pidfd_open, generation.pid, 0);
	haproxy->current = generation;
	return true;
}

static void watch_current(struct haproxy *haproxy);

static void on_current(void *context, unsigned bits)
{
	struct haproxy *haproxy = context;
	struct generation former = haproxy->current;

	(void)bits;
	/* Nothing comes unasked, so readable means the end, or answers that nobody waited for. */
	loop_remove(haproxy->loop, &haproxy->watch);
	haproxy->current = (struct generation){0};
	/* A connection that nothing was said on for weeks ends too. */
	if (connect_current(haproxy)) {
		watch_current(haproxy);
	} else {
		generation_kill(&former);
		log_write(LOG_WARNING, "haproxy has ended by itself or does not answer", NULL);
		haproxy->lost(haproxy->context);
	}
	generation_close(&former);
}

static void watch_current(struct haproxy *haproxy)
{
	loop_remove(haproxy->loop, &haproxy->watch);
	haproxy->watch =
		loop_add_fd(haproxy->loop, haproxy->current.fd, LOOP_READ, on_current, haproxy);
}

bool haproxy_open(struct loop *loop, const char *folder, void (*lost)(void *context), void *context,
	struct haproxy **out_haproxy, struct error *err)
{
	scoped(haproxy_close) struct haproxy *haproxy = memory_new(sizeof(*haproxy));

	haproxy->loop = loop;
	haproxy->folder = memory_copy_text(folder);
	haproxy->folder_fd = -1;
	haproxy->lost = lost;
	haproxy->context = context;
	if (!folder_make(folder, 0700, err))
		return false;
	haproxy->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (haproxy->folder_fd < 0)
		return error_raise_errno(err, "open \"%s\"", folder);
	if (connect_current(haproxy))
		watch_current(haproxy);
	*out_haproxy = haproxy;
	haproxy = NULL;
	return true;
}

void haproxy_close(struct haproxy **address)
{
	struct haproxy *haproxy = *address;

	if (!haproxy)
		return;
	loop_remove(haproxy->loop, &haproxy->watch);
	loop_remove(haproxy->loop, &haproxy->old_timer);
	for (size_t i = 0; i < haproxy->old_count; i++)
		generation_close(&haproxy->old[i]);
	generation_close(&haproxy->current);
	if (haproxy->folder_fd >= 0)
		close(haproxy->folder_fd);
	free(haproxy->folder);
	free(haproxy);
	*address = NULL;
}

bool haproxy_runs(const struct haproxy *haproxy)
{
	return haproxy->current.fd > 0 && !haproxy->current.broken;
}

char *haproxy_description(struct haproxy *haproxy)
{
	struct buf text = {0};

	if (haproxy_runs(haproxy) && info(&haproxy->current, "description", &text))
		return buf_take(&text);
	buf_free(&text);
	return NULL;
}

/* Our connection keeps an old process alive: let go when it has no other. */
static void look_at_old(void *context)
{
	struct haproxy *haproxy = context;
	size_t kept = 0;

	for (size_t i = 0; i < haproxy->old_count; i++) {
		struct generation *old = &haproxy->old[i];
		scoped(buf_free) struct buf connections = {0};
		int64_t count;

		if (info(old, "CurrConns", &connections) &&
			str_to_int(buf_str(&connections), &count) && count > 1)
			haproxy->old[kept++] = *old;
		else
			generation_close(old);
	}
	haproxy->old_count = kept;
	if (kept)
		watch_set_delay(haproxy->old_timer, OLD_LOOK_MS);
	else
		loop_remove(haproxy->loop, &haproxy->old_timer);
}

/* Both processes have the listening sockets now; the old one lets go when it has seen its signal.
 * What is to take effect has, once no connection can reach the old one any more. */
static void wait_until_stopping(struct generation *generation)
{
	int64_t deadline = monotonic_ms() + LET_GO_MS;

	while (monotonic_ms() < deadline) {
		scoped(buf_free) struct buf stopping = {0};

		if (!info(generation, "Stopping", &stopping) ||
			!text_equal(buf_text(&stopping), "0"))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 500 * 1000}, NULL);
	}
}

static void retire_current(struct haproxy *haproxy)
{
	loop_remove(haproxy->loop, &haproxy->watch);
	if (haproxy->current.fd <= 0)
		return;
	wait_until_stopping(&haproxy->current);
	if (haproxy->old_count == OLD_MAX) {
		generation_close(&haproxy->old[0]);
		memmove(haproxy->old, haproxy->old + 1, (OLD_MAX - 1) * sizeof(*haproxy->old));
		haproxy->old_count--;
	}
	haproxy->old[haproxy->old_count++] = haproxy->current;
	haproxy->current = (struct generation){0};
	if (!haproxy->old_timer)
		haproxy->old_timer =
			loop_add_timer(haproxy->loop, OLD_LOOK_MS, look_at_old, haproxy);
}

/* What HAProxy complained about: its first alert, without the decoration. */
static bool raise_alert(const struct process_result *result, struct error *err)
{
	struct str rest = buf_str(&result->errors);

	while (rest.data) {
		struct str line = str_cut(&rest, '\n');
		const char *mark = line.size ? memmem(line.data, line.size, " : ", 3) : NULL;

		if (str_starts_with(line, "[ALERT]") && mark)
			return error_raise(err, ERROR_FAILED,
				"haproxy refuses its configuration: %.*s",
				(int)(line.size - (size_t)(mark + 3 - line.data)), mark + 3);
	}
	return error_raise(err, ERROR_FAILED, "haproxy ended with status %d",
		process_exit_code(&result->exit));
}

static bool run_haproxy(struct haproxy *haproxy, struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	scoped(text_free) char *program = program_find("haproxy");
	scoped(text_free) char *pid = memory_format("%d", haproxy->current.pid);
	const char *argv[] = {program ? program : "/usr/sbin/haproxy", "-D", "-f", "haproxy.cfg",
		NULL, NULL, NULL, NULL, NULL};

	if (haproxy_runs(haproxy)) {
		argv[4] = "-x";
		argv[5] = "worker.sock";
		argv[6] = "-sf";
		argv[7] = pid;
	}
	if (!process_run(&(struct process_options){.argv = argv, .folder = haproxy->folder},
		    (struct str){0}, START_MS, 0, &result, err)) {
		error_next(err, "install haproxy");
		return error_while(err, "starting the balancer");
	}
	return (result.exit.exited && result.exit.status == 0) || raise_alert(&result, err);
}

bool haproxy_load(struct haproxy *haproxy, struct str config, struct str weights, struct error *err)
{
	scoped(text_free) char *config_path = path_join(haproxy->folder, "haproxy.cfg"),
			       *weights_path = path_join(haproxy->folder, "weights.map");

	if (!file_write(config_path, config, 0600, false, err) ||
		!file_write(weights_path, weights, 0600, false, err) || !run_haproxy(haproxy, err))
		return error_while(err, "loading the balancer's configuration \"%s\"", config_path);
	log_trace("balancer", "loaded %s", config_path);
	retire_current(haproxy);
	if (!connect_current(haproxy))
		return error_raise(err, ERROR_UNAVAILABLE,
			"haproxy was started in \"%s\" and does not answer", haproxy->folder);
	watch_current(haproxy);
	return true;
}

static void end(const struct generation *generation)
{
	struct pollfd wait = {.fd = generation->process, .events = POLLIN};

	if (wait.fd <= 0)
		return;
	syscall(SYS_pidfd_send_signal, wait.fd, SIGTERM, NULL, 0);
	if (poll(&wait, 1, STOP_MS) == 0) {
		syscall(SYS_pidfd_send_signal, wait.fd, SIGKILL, NULL, 0);
		poll(&wait, 1, STOP_MS);
	}
}

bool haproxy_stop(struct haproxy *haproxy, struct error *err)
{
	scoped(text_free) char *socket_path = path_join(haproxy->folder, "worker.sock");

	loop_remove(haproxy->loop, &haproxy->watch);
	loop_remove(haproxy->loop, &haproxy->old_timer);
	for (size_t i = 0; i < haproxy->old_count; i++) {
		end(&haproxy->old[i]);
		generation_close(&haproxy->old[i]);
	}
	haproxy->old_count = 0;
	end(&haproxy->current);
	generation_close(&haproxy->current);
	return file_remove(socket_path, err);
}

bool haproxy_command(struct haproxy *haproxy, const char *command, struct buf *out,
	struct error *err)
{
	log_trace("balancer", "%s", command);
	for (size_t i = 0; i < haproxy->old_count; i++)
		(void)ask(&haproxy->old[i], command, NULL);
	if (ask(&haproxy->current, command, out))
		return true;
	return error_raise(err, ERROR_UNAVAILABLE, "haproxy does not answer to \"%s\"", command);
}

/* "show stat BACKEND 4 -1": a line a server; columns 2, 3 and 5 are name, queued and open. */
static int64_t sessions_in(struct str answer, const char *server)
{
	while (answer.data) {
		struct str line = str_cut(&answer, '\n');
		int64_t queued = 0, open = 0;

		str_cut(&line, ',');
		if (!str_equal_text(str_cut(&line, ','), server))
			continue;
		if (!str_to_int(str_cut(&line, ','), &queued))
			queued = 0;
		str_cut(&line, ',');
		if (!str_to_int(str_cut(&line, ','), &open))
			open = 0;
		return queued + open;
	}
	return 0;
}

int64_t haproxy_sessions(struct haproxy *haproxy, const char *backend, const char *server)
{
	scoped(text_free) char *command = memory_format("show stat %s 4 -1", backend);
	int64_t sum = 0;

	for (size_t i = 0; i <= haproxy->old_count; i++) {
		struct generation *generation =
			i < haproxy->old_count ? &haproxy->old[i] : &haproxy->current;
		scoped(buf_free) struct buf answer = {0};

		if (ask(generation, command, &answer))
			sum += sessions_in(buf_str(&answer), server);
	}
	return sum;
}
