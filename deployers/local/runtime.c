#include "deployers/local/runtime.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "deployers/local/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

struct monitor {
	struct runtime *runtime;
	char *id;  /* owned */
	int pidfd; /* owned */
	bool ours; /* a child of this process, to be reaped */
	struct process process;
	struct watch *watch;
	struct monitor *following;
};

struct runtime {
	struct cloud *cloud;
	void (*changed)(void *context, const char *id);
	void *context;
	char *program, *monitor_program; /* owned */
	char *statuses, *root;           /* owned folders */
	char *cgroup;                    /* owned */
	int inotify, nothing;            /* nothing: /dev/null */
	struct watch *inotify_watch;
	struct monitor *monitors; /* owned */
};

static struct monitor *find_monitor(struct runtime *runtime, const char *id)
{
	struct monitor *monitor = runtime->monitors;

	while (monitor && !text_equal(monitor->id, id))
		monitor = monitor->following;
	return monitor;
}

/* Beside this program; test programs lie one folder below. */
static bool find_monitor_program(struct runtime *runtime, struct error *err)
{
	char exe[4096];
	ssize_t size = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[size > 0 ? size : 0] = '\0';
	scoped(text_free) char *folder = path_parent(exe);
	scoped(text_free) char *above = path_parent(folder);

	runtime->monitor_program = path_join(folder, "dogshore-monitor");
	if (file_exists(runtime->monitor_program))
		return true;
	free(runtime->monitor_program);
	runtime->monitor_program = path_join(above, "dogshore-monitor");
	if (file_exists(runtime->monitor_program))
		return true;
	error_raise(err, ERROR_NOT_FOUND, "the program dogshore-monitor is not beside %s", exe);
	return error_next(err, "install it together with dogshore");
}

static bool find_programs(struct runtime *runtime, struct error *err)
{
	runtime->program = program_find("crun");
	if (!runtime->program)
		runtime->program = program_find("runc");
	if (!runtime->program) {
		error_raise(err, ERROR_NOT_FOUND,
			"no container runtime: neither crun nor runc is "
			"installed");
		return error_next(err, "apt-get install crun");
	}
	return find_monitor_program(runtime, err);
}

static void read_events(void *context, unsigned bits)
{
	struct runtime *runtime = context;
	_Alignas(struct inotify_event) char events[8192];
	ssize_t size;

	(void)bits;
	while ((size = read(runtime->inotify, events, sizeof(events))) > 0) {
		for (char *at = events; at < events + size;) {
			struct inotify_event *event = (void *)at;

			at += sizeof(*event) + event->len;
			if (event->len && event->name[0] != '.')
				runtime->changed(runtime->context, event->name);
		}
	}
}

static bool watch_statuses(struct runtime *runtime, struct error *err)
{
	runtime->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (runtime->inotify < 0 ||
		inotify_add_watch(runtime->inotify, runtime->statuses, IN_MOVED_TO) < 0)
		return error_raise_errno(err, "watch the folder \"%s\"", runtime->statuses);
	runtime->inotify_watch = loop_add_fd(runtime->cloud->loop, runtime->inotify, LOOP_READ,
		read_events, runtime);
	return true;
}

char *runtime_cgroup_of(const char *state)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest = digest_of_str(str_of(state));

	digest_to_hex(&digest, hex);
	return memory_format("/dogshore-%.8s", hex);
}

bool runtime_open(struct cloud *cloud, void (*changed)(void *context, const char *id),
	void *context, struct runtime **out_runtime, struct error *err)
{
	scoped(runtime_close) struct runtime *runtime = memory_new(sizeof(*runtime));

	runtime->cloud = cloud;
	runtime->changed = changed;
	runtime->context = context;
	runtime->inotify = -1;
	runtime->statuses = path_join(cloud->state, "status");
	runtime->root = path_join(cloud->state, "runtime");
	runtime->cgroup = runtime_cgroup_of(cloud->state);
	runtime->nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!find_programs(runtime, err) || !folder_make(runtime->statuses, 0700, err) ||
		!folder_make(runtime->root, 0700, err) || !watch_statuses(runtime, err))
		return error_while(err, "preparing to run containers");
	*out_runtime = runtime;
	runtime = NULL;
	return true;
}

static void monitor_free(struct monitor *monitor)
{
	loop_remove(monitor->runtime->cloud->loop, &monitor->watch);
	if (monitor->ours)
		process_free(&monitor->process);
	else
		descriptor_close(&monitor->pidfd);
	free(monitor->id);
	free(monitor);
}

void runtime_close(struct runtime **runtime)
{
	struct runtime *all = *runtime;

	if (!all)
		return;
	while (all->monitors) {
		struct monitor *monitor = all->monitors;

		all->monitors = monitor->following;
		monitor_free(monitor);
	}
	loop_remove(all->cloud->loop, &all->inotify_watch);
	descriptor_close(&all->inotify);
	descriptor_close(&all->nothing);
	free(all->program);
	free(all->monitor_program);
	free(all->statuses);
	free(all->root);
	free(all->cgroup);
	free(all);
	*runtime = NULL;
}

const char *runtime_cgroup(const struct runtime *runtime)
{
	return runtime->cgroup;
}

static void monitor_ended(void *context)
{
	struct monitor *monitor = context;
	struct runtime *runtime = monitor->runtime;
	scoped(text_free) char *id = memory_copy_text(monitor->id);
	struct process_exit ended;
	struct error err = {0};

	for (struct monitor **at = &runtime->monitors; *at; at = &(*at)->following) {
		if (*at == monitor) {
			*at = monitor->following;
			break;
		}
	}
	if (monitor->ours && !process_wait(&monitor->process, &ended, &err))
		error_ignore(&err, "it is gone, how does not matter");
	monitor_free(monitor);
	runtime->changed(runtime->context, id);
}

static void watch_monitor(struct runtime *runtime, const char *id, int pidfd,
	const struct process *process)
{
	struct monitor *monitor = memory_new(sizeof(*monitor));

	monitor->runtime = runtime;
	monitor->id = memory_copy_text(id);
	monitor->pidfd = pidfd;
	monitor->ours = process != NULL;
	if (process)
		monitor->process = *process;
	monitor->watch = loop_add_process(runtime->cloud->loop, pidfd, monitor_ended, monitor);
	monitor->following = runtime->monitors;
	runtime->monitors = monitor;
}

static char *status_path(const struct runtime *runtime, const char *id)
{
	return path_join(runtime->statuses, id);
}

static void monitor_command(struct runtime *runtime, const struct runtime_container *container,
	struct strings *out)
{
	scoped(text_free) char *status = status_path(runtime, container->id);
	scoped(text_free) char *group = memory_format("%s/%s", runtime->cgroup, container->id);
	scoped(text_free) char *oom_file = cgroup_oom_file(group);

	strings_add(out, runtime->monitor_program);
	strings_printf(out, "id=%s", container->id);
	strings_printf(out, "runtime=%s", runtime->program);
	strings_printf(out, "root=%s", runtime->root);
	strings_printf(out, "bundle=%s", container->folder);
	strings_printf(out, "status=%s", status);
	strings_printf(out, "lock=%s/lock", container->folder);
	strings_printf(out, "layers=%s", container->layers);
	strings_printf(out, "lower=%s", container->lower);
	strings_printf(out, "upper=%s/upper", container->folder);
	strings_printf(out, "work=%s/work", container->folder);
	strings_printf(out, "log=%s", container->log_path);
	strings_printf(out, "log-limit=%lld", (long long)container->log_limit_bytes);
	strings_printf(out, "oom-file=%s", oom_file);
	strings_printf(out, "ip=%s", container->ip);
	strings_printf(out, "grace-ms=%d", container->stop_timeout_s * 1000);
	strings_printf(out, "stop-signal=%d", container->stop_signal);
	strings_printf(out, "namespace-fd=%d", container->namespace_fd);
}

bool runtime_start(struct runtime *runtime, const struct runtime_container *container,
	struct error *err)
{
	scoped(strings_free) struct strings argv = {0};
	struct process process;

	monitor_command(runtime, container, &argv);
	struct process_options options = {
		.argv = (const char *const *)argv.items,
		.folder = "/",
		.stdout_fd = runtime->nothing,
		.stderr_fd = runtime->nothing,
		.keep_fds = &container->namespace_fd,
		.keep_fd_count = 1,
	};

	if (!process_start(&options, &process, err))
		return error_while(err, "starting the monitor of container %s", container->id);
	watch_monitor(runtime, container->id, process.pidfd, &process);
	return true;
}

bool runtime_adopt(struct runtime *runtime, const char *id, const char *folder)
{
	scoped(text_free) char *path = path_join(folder, "lock");
	scoped(descriptor_close) int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return false;
	int pidfd = (int)syscall(SYS_pidfd_open, lock.l_pid, 0);
	pid_t pid = lock.l_pid;

	/* Still held by the same process: the descriptor is its, not that of a successor in the pid. */
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (pidfd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK ||
		lock.l_pid != pid) {
		if (pidfd >= 0)
			close(pidfd);
		return false;
	}
	watch_monitor(runtime, id, pidfd, NULL);
	return true;
}

bool runtime_claim(const char *folder, int *out_fd)
{
	scoped(text_free) char *path = path_join(folder, "lock");
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	*out_fd = 0;
	if (fd < 0)
		return true;
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		close(fd);
		return false;
	}
	*out_fd = fd;
	return true;
}

bool runtime_watched(struct runtime *runtime, const char *id)
{
	return find_monitor(runtime, id) != NULL;
}

void runtime_status(struct runtime *runtime, const char *id, struct container_status *out_status)
{
	scoped(text_free) char *path = status_path(runtime, id);
	scoped(json_free) struct json *status = NULL;
	struct error err = {0};

	*out_status = (struct container_status){0};
	if (!json_read_file(path, 0, &status, &err)) {
		error_ignore(&err, "nothing was written yet");
		return;
	}
	const char *state = json_get_text(status, "state", "");

	if (text_equal(state, "running"))
		out_status->state = CONTAINER_RUNNING;
	else if (text_equal(state, "ended"))
		out_status->state = CONTAINER_ENDED;
	else
		out_status->state = CONTAINER_FAILED;
	out_status->pid = (pid_t)json_get_int(status, "pid", 0);
	out_status->exit_code = (int)json_get_int(status, "exit_code", 0);
	out_status->out_of_memory = json_get_bool(status, "oom", false);
	out_status->started_ms = json_get_int(status, "started_ms", 0);
	out_status->ended_ms = json_get_int(status, "ended_ms", 0);
	snprintf(out_status->ip, sizeof(out_status->ip), "%s", json_get_text(status, "ip", ""));
	snprintf(out_status->message, sizeof(out_status->message), "%s",
		json_get_text(status, "message", ""));
}

static void signal_monitor(struct runtime *runtime, const char *id, int number)
{
	struct monitor *monitor = find_monitor(runtime, id);

	if (monitor)
		syscall(SYS_pidfd_send_signal, monitor->pidfd, number, NULL, 0);
}

void runtime_stop(struct runtime *runtime, const char *id, bool at_once)
{
	signal_monitor(runtime, id, at_once ? SIGQUIT : SIGTERM);
}

void runtime_end_monitor(struct runtime *runtime, const char *id)
{
	signal_monitor(runtime, id, SIGKILL);
}

void runtime_clean(struct runtime *runtime, const char *id)
{
	const char *argv[] = {runtime->program, "--root", runtime->root, "delete", "--force", id,
		NULL};
	scoped(text_free) char *path = status_path(runtime, id);
	scoped(text_free) char *left = path_join(runtime->root, id);
	struct process_options options = {.argv = argv};
	struct process_result result = {0};
	struct error err = {0};

	if (file_exists(left) && !process_run(&options, (struct str){0}, 10000, 0, &result, &err)) {
		log_write(LOG_WARNING, "a container could not be removed", "container", id,
			"reason", err.message, NULL);
		error_free(&err);
	}
	process_result_free(&result);
	if (!file_remove(path, &err))
		error_ignore(&err, "the status of a container that is gone");
}

void runtime_exec_command(struct runtime *runtime, const char *id, struct strings *out_argv)
{
	strings_add(out_argv, runtime->program);
	strings_add(out_argv, "--root");
	strings_add(out_argv, runtime->root);
	strings_add(out_argv, "exec");
	strings_add(out_argv, id);
}
