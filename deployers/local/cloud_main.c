#include "deployers/local/cloud_main.h"

#include "base/file.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/balancer.h"
#include "deployers/local/cgroup.h"
#include "deployers/local/content.h"
#include "deployers/local/ecs.h"
#include "deployers/local/endpoint.h"
#include "deployers/local/logs.h"
#include "deployers/local/network.h"
#include "deployers/local/runtime.h"
#include "deployers/local/store.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { END_LIMIT_MS = 15000, ANSWER_LIMIT_MS = 2000, MONITORS_MS = 5000 };

/* Everything of the process; closed in the opposite order of its opening. */
struct process_parts {
	struct cloud cloud;
	struct endpoint *endpoint;
	struct watch *term, *interrupt;
};

static void parts_close(struct process_parts *parts)
{
	struct cloud *cloud = &parts->cloud;

	endpoint_stop(&parts->endpoint);
	ecs_close(&cloud->ecs);
	balancer_close(&cloud->balancer);
	logs_close(&cloud->logs);
	content_close(&cloud->content);
	network_close(&cloud->network);
	store_close(&cloud->store);
	loop_free(&cloud->loop);
	free(cloud->state);
	free(cloud->host);
	free(cloud->gateway);
	free(cloud->account);
	free(cloud->region);
}

static bool parts_open(struct process_parts *parts, const struct cloud_options *options,
	struct error *err)
{
	struct cloud *cloud = &parts->cloud;
	scoped(text_free) char *database = path_join(options->state, "store.db");

	cloud->clock = &system_clock;
	cloud->state = memory_copy_text(options->state);
	cloud->host = memory_copy_text(options->host);
	cloud->port = options->port;
	cloud->settle_ms = options->settle_ms;
	cloud->account = memory_copy_text("000000000000");
	cloud->region = memory_copy_text("us-east-1");
	if (!loop_new(&cloud->loop, err) || !store_open(database, &cloud->store, err) ||
		!network_open(cloud, &cloud->network, err))
		return false;
	cloud->gateway = memory_copy_text(network_gateway(cloud->network));
	return content_open(cloud, &cloud->content, err) && logs_open(cloud, &cloud->logs, err);
}

static void stop(void *context)
{
	loop_stop(context);
}

static char *pid_path(const char *state)
{
	return path_join(state, "pid");
}

static bool write_pid(const char *state, struct error *err)
{
	scoped(text_free) char *path = pid_path(state);
	scoped(text_free) char *text = memory_format("%d\n", (int)getpid());

	return file_write(path, str_of(text), 0644, false, err);
}

/* One endpoint per state folder. */
static bool take_lock(const char *state, int *out_fd, struct error *err)
{
	scoped(text_free) char *path = path_join(state, "lock");
	scoped(cloud_found_free) struct cloud_found found = {0};
	struct error ignored = {0};

	if (!folder_make(state, 0700, err))
		return false;
	if (file_lock(path, false, out_fd, err))
		return true;
	if (err->kind != ERROR_CONFLICT)
		return false;
	if (!cloud_find(state, &found, &ignored))
		error_ignore(&ignored, "the message does without the address");
	return error_raise(err, ERROR_CONFLICT, "the local cloud is already running at %s",
		json_get_text(found.credentials, "endpoint", "an address it has not told yet"));
}

/* A cloud that was never up leaves no bridge and no balancer behind when it cannot start. */
static void undo_first_start(struct process_parts *parts, const char *state)
{
	scoped(text_free) char *pid = pid_path(state);
	struct error err = {0};

	if (file_exists(pid))
		return;
	if (parts->cloud.balancer && !balancer_stop(parts->cloud.balancer, &err))
		error_ignore(&err, "the error that brought us here is the one to show");
	if (!network_remove(state, &err))
		error_ignore(&err, "the error that brought us here is the one to show");
}

bool cloud_run(const struct cloud_options *options,
	void (*ready)(void *context, struct cloud *cloud), void *context, struct error *err)
{
	scoped(descriptor_close) int lock = -1;
	scoped(parts_close) struct process_parts parts = {0};
	struct cloud *cloud = &parts.cloud;

	if (!take_lock(options->state, &lock, err))
		return false;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (!cgroup_hide_hybrid(err) || !parts_open(&parts, options, err) ||
		/* The port first: nothing is touched when it is taken. */
		!endpoint_start(cloud, &parts.endpoint, err) ||
		!balancer_open(cloud, &cloud->balancer, err) ||
		!ecs_start(cloud, &cloud->ecs, err) || !write_pid(options->state, err)) {
		undo_first_start(&parts, options->state);
		return error_while(err, "starting the local cloud in %s", options->state);
	}
	parts.term = loop_add_signal(cloud->loop, SIGTERM, stop, cloud->loop);
	parts.interrupt = loop_add_signal(cloud->loop, SIGINT, stop, cloud->loop);
	ready(context, cloud);
	return loop_run(cloud->loop, err);
}

void cloud_found_free(struct cloud_found *found)
{
	json_free(&found->credentials);
	*found = (struct cloud_found){0};
}

static pid_t read_pid(const char *state)
{
	scoped(text_free) char *path = pid_path(state);
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};
	int64_t pid = 0;

	if (!file_read(path, 64, &text, &err))
		error_ignore(&err, "no pid: it has not come that far, or is of another time");
	return str_to_int(str_trim(buf_str(&text)), &pid) && pid > 1 ? (pid_t)pid : 0;
}

bool cloud_find(const char *state, struct cloud_found *out_found, struct error *err)
{
	scoped(text_free) char *lock_path = path_join(state, "lock");
	scoped(text_free) char *path = path_join(state, "credentials.json");
	scoped(descriptor_close) int lock = -1;
	struct error missing = {0};

	*out_found = (struct cloud_found){0};
	if (!file_exists(lock_path))
		return true;
	if (!file_lock(lock_path, false, &lock, err)) {
		if (err->kind != ERROR_CONFLICT)
			return false;
		error_free(err);
		out_found->running = true;
		out_found->pid = read_pid(state);
	}
	if (!json_read_file(path, 0, &out_found->credentials, &missing))
		error_ignore(&missing, "a cloud that never came up has none");
	return true;
}

bool cloud_answers(const struct cloud_found *found)
{
	const char *endpoint = json_get_text(found->credentials, "endpoint", NULL);
	const struct http_request request = {.method = "GET",
		.url = endpoint,
		.timeout_ms = ANSWER_LIMIT_MS};
	scoped(http_client_free) struct http_client *client = NULL;
	scoped(http_response_free) struct http_response response = {0};
	struct error err = {0};

	if (!found->running || !endpoint)
		return false;
	/* Any answer will do, also a refusal. */
	if (http_client_new(&client, &err) && http_perform(client, &request, &response, &err))
		return true;
	error_ignore(&err, "it does not answer");
	return false;
}

/* SIGTERM to the endpoint, and its end. */
static bool end_endpoint(const char *state, struct error *err)
{
	scoped(cloud_found_free) struct cloud_found found = {0};
	scoped(descriptor_close) int pidfd = -1;

	if (!cloud_find(state, &found, err))
		return false;
	if (!found.running)
		return true;
	if (found.pid)
		pidfd = (int)syscall(SYS_pidfd_open, found.pid, 0);
	if (pidfd < 0)
		return error_raise(err, ERROR_CONFLICT,
			"%s is locked by a process that left no pid", state);
	syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
	if (poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, END_LIMIT_MS) == 1)
		return true;
	error_raise(err, ERROR_TIMED_OUT,
		"the endpoint (pid %d) did not end within %d s of SIGTERM", (int)found.pid,
		END_LIMIT_MS / 1000);
	return error_next(err, "kill -9 %d, then try again: nothing is lost", (int)found.pid);
}

static bool remove_traces(const char *state, struct error *err)
{
	static const char *const names[] = {"tasks", "status", "runtime", "pid"};
	scoped(text_free) char *cgroup = runtime_cgroup_of(state);

	if (!cgroup_remove(cgroup, err) || !network_remove(state, err))
		return false;
	for (size_t i = 0; i < countof(names); i++) {
		scoped(text_free) char *path = path_join(state, names[i]);

		if (file_is_folder(path) ? !folder_remove(path, err) : !file_remove(path, err))
			return false;
	}
	return true;
}

/* Everything that lives on without the endpoint. */
static bool end_parts(struct process_parts *parts, const char *state, struct error *err)
{
	const struct cloud_options options = {.state = state, .host = "127.0.0.1", .port = 0};
	struct cloud *cloud = &parts->cloud;

	return parts_open(parts, &options, err) && balancer_open(cloud, &cloud->balancer, err) &&
	       ecs_open(cloud, &cloud->ecs, err) && ecs_stop_all(cloud->ecs, err) &&
	       balancer_stop(cloud->balancer, err);
}

static bool drop_store(const char *state, struct error *err)
{
	static const char *const names[] = {"store.db-wal", "store.db-shm", "store.db"};

	for (size_t i = 0; i < countof(names); i++) {
		scoped(text_free) char *path = path_join(state, names[i]);

		if (!file_remove(path, err))
			return false;
	}
	return true;
}

/* Monitors clean up after their container's end, which we did not ask them for. */
static void await_monitors(const char *state)
{
	scoped(text_free) char *tasks = path_join(state, "tasks");
	scoped(strings_free) struct strings names = {0};
	int64_t deadline_ms = clock_elapsed(&system_clock) + MONITORS_MS;

	if (!folder_list(tasks, &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++)
		for (int number = 0;; number++) {
			scoped(text_free) char *lock =
				memory_format("%s/%s/%d/lock", tasks, names.items[i], number);
			scoped(descriptor_close) int fd = -1;

			if (!file_exists(lock))
				break;
			while (!file_lock(lock, false, &fd, NULL) &&
				clock_elapsed(&system_clock) < deadline_ms)
				clock_sleep(&system_clock, 5);
		}
}

static bool end_all(const char *state, bool discard, struct error *err)
{
	scoped(parts_close) struct process_parts parts = {0}, rest = {0};
	scoped(text_free) char *cgroup = runtime_cgroup_of(state);

	if (end_parts(&parts, state, err))
		return true;
	if (!discard || err->kind != ERROR_INVALID)
		return false;
	log_write(LOG_WARNING, "the local cloud's state is damaged and goes", "reason",
		err->message, NULL);
	error_free(err);
	parts_close(&parts);
	parts = (struct process_parts){0};
	if (!drop_store(state, err) || !end_parts(&rest, state, err) || !cgroup_remove(cgroup, err))
		return false;
	await_monitors(state);
	return true;
}

bool cloud_down(const char *state, bool discard, bool *out_was_up, struct error *err)
{
	scoped(text_free) char *database = path_join(state, "store.db");
	scoped(text_free) char *pid = pid_path(state);
	scoped(descriptor_close) int lock = -1;

	/* The pid file stays until a cloud is taken down, also when its process was killed. */
	*out_was_up = file_exists(pid);
	if (!file_exists(database))
		return true;
	if (!end_endpoint(state, err) || !take_lock(state, &lock, err))
		return error_while(err, "taking the local cloud down");
	if (!end_all(state, discard, err))
		return error_while(err, "taking the local cloud down");
	return remove_traces(state, err) || error_while(err, "taking the local cloud down");
}

bool cloud_forget(const char *state, struct error *err)
{
	scoped(text_free) char *database = path_join(state, "store.db");

	/* Only what is plainly ours. */
	if (!file_exists(state))
		return true;
	if (!file_exists(database))
		return error_raise(err, ERROR_USAGE,
			"%s is not the state of a local cloud (it has no store.db)", state);
	return folder_remove(state, err);
}
