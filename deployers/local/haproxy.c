#include "deployers/local/haproxy.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "deployers/local/haproxy_generation.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	OLD_MAX = 16,
	START_MS = 10000,
	STOP_MS = 5000,
	OLD_LOOK_MS = 250,
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
	if (!generation_ask(&generation, "prompt", NULL) ||
		!generation_info(&generation, "Pid", &pid) || !str_to_int(buf_str(&pid), &number)) {
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

	if (haproxy_runs(haproxy) && generation_info(&haproxy->current, "description", &text))
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

		if (generation_info(old, "CurrConns", &connections) &&
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

static void retire_current(struct haproxy *haproxy)
{
	loop_remove(haproxy->loop, &haproxy->watch);
	if (haproxy->current.fd <= 0)
		return;
	generation_wait_until_stopping(&haproxy->current);
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
		(void)generation_ask(&haproxy->old[i], command, NULL);
	if (generation_ask(&haproxy->current, command, out))
		return true;
	return error_raise(err, ERROR_UNAVAILABLE, "haproxy does not answer to \"%s\"", command);
}

int64_t haproxy_sessions(struct haproxy *haproxy, const char *backend, const char *server)
{
	int64_t sum = 0;

	for (size_t i = 0; i <= haproxy->old_count; i++) {
		struct generation *generation =
			i < haproxy->old_count ? &haproxy->old[i] : &haproxy->current;
		sum += generation_sessions(generation, backend, server);
	}
	return sum;
}
