#include "pipeline/cli/local_command.h"

#include "base/file.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	const char *endpoint, *state;
	bool detach;
	int64_t ready_fd, settle_ms;
} given = {.endpoint = "127.0.0.1:4566", .ready_fd = -1};

static const struct option_row rows[] = {
	{"endpoint", OPTION_TEXT, &given.endpoint, "HOST:PORT",
		"where to listen (default: 127.0.0.1:4566; port 0: any free one)", NULL},
	{"state", OPTION_TEXT, &given.state, "DIR",
		"the local cloud's folder (default: \"local\" in the state folder)", NULL},
	{"detach", OPTION_SWITCH, &given.detach, NULL,
		"go to the background; returns when the endpoint answers", NULL},
	{"settle", OPTION_DURATION, &given.settle_ms, "DURATION",
		"a task without health checks counts as healthy after this (default: 500ms)", NULL},
};

static const struct option_set options = {
	.usage = "local up [--endpoint HOST:PORT] [--state DIR] [--detach] [--settle DURATION]",
	.about = "bring the local cloud up",
	.rows = rows,
	.count = countof(rows),
};

static void write_result(struct buf *out, const struct json *credentials, const char *state,
	bool already, pid_t pid)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "status", "up");
	json_put_bool(&w, "already_running", already);
	json_put_text(&w, "endpoint", json_get_text(credentials, "endpoint", NULL));
	json_put_text(&w, "region", json_get_text(credentials, "region", NULL));
	json_put_text(&w, "state", state);
	json_put_int(&w, "pid", pid);
	json_object_end(&w);
}

static bool print_found(struct command_context *context, const char *state, bool already,
	struct error *err)
{
	scoped(cloud_found_free) struct cloud_found found = {0};

	if (!cloud_find(state, &found, err))
		return false;
	const char *endpoint = json_get_text(found.credentials, "endpoint", "(unknown)");

	if (context->json) {
		write_result(&context->result, found.credentials, state, already, found.pid);
		return true;
	}
	printf("the local cloud is %s at %s\n", already ? "already running" : "up", endpoint);
	printf("keys: %s/credentials.json\n", state);
	return true;
}

static void ready(void *context, struct cloud *cloud)
{
	struct command_context *command = context;
	struct error err = {0};

	if (given.ready_fd >= 0) {
		dprintf((int)given.ready_fd, "ready");
		close((int)given.ready_fd);
		return;
	}
	if (!print_found(command, cloud->state, false, &err)) {
		error_print(stderr, &err, false);
		error_free(&err);
	}
	if (command->json) {
		/* The document goes out now; the frame would print it when the cloud ends. */
		printf("%s\n", buf_text(&command->result));
		buf_clear(&command->result);
	} else {
		puts("Ctrl-C ends the endpoint; tasks go on running until: dogshore local down");
	}
	fflush(stdout);
}

/* What the child writes when it cannot start: the kind's number, the message and the advice. */
static void report_failure(const struct error *err)
{
	dprintf((int)given.ready_fd, "%d\n%s\n%s", (int)err->kind, err->message,
		err->next ? err->next : "");
}

static bool read_report(int fd, const char *log, struct error *err)
{
	scoped(buf_free) struct buf report = {0};
	ssize_t size;
	int64_t kind;

	while ((size = read(fd, buf_reserve(&report, 4096), 4096)) > 0)
		report.size += (size_t)size;
	struct str rest = buf_str(&report);

	if (str_equal_text(rest, "ready"))
		return true;
	if (!str_to_int(str_cut(&rest, '\n'), &kind) || kind <= ERROR_NONE ||
		kind > ERROR_UNKNOWN) {
		error_raise(err, ERROR_FAILED, "the endpoint ended while it started");
		return error_next(err, "read %s", log);
	}
	struct str message = str_cut(&rest, '\n');

	error_raise(err, (enum error_kind)kind, "%.*s", str_args(message));
	if (rest.size)
		error_next(err, "%.*s", str_args(rest));
	return false;
}

/* Starts this program again as "local endpoint", away from our terminal. */
static bool start_detached(const char *state, struct error *err)
{
	scoped(descriptor_close) int log_fd = -1, in = -1, out = -1;
	scoped(text_free) char *log = path_join(state, "endpoint.log");
	scoped(strings_free) struct strings argv = {0};
	struct process process = {0};
	int pipes[2];

	if (!folder_make(state, 0700, err))
		return false;
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		return error_raise_errno(err, "open \"%s\"", log);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_raise_errno(err, "make a pipe");
	in = pipes[0];
	out = pipes[1];
	strings_add(&argv, "/proc/self/exe");
	strings_add(&argv, "local");
	strings_add(&argv, "endpoint");
	strings_printf(&argv, "--endpoint=%s", given.endpoint);
	strings_printf(&argv, "--state=%s", state);
	strings_printf(&argv, "--ready-fd=%d", out);
	strings_printf(&argv, "--settle=%lldms", (long long)given.settle_ms);
	struct process_options start = {.argv = (const char *const *)argv.items,
		.folder = "/",
		.stdout_fd = log_fd,
		.stderr_fd = log_fd,
		.keep_fds = &out,
		.keep_fd_count = 1,
		/* so that it may become the leader of a session */
		.same_group = true};

	if (!process_start(&start, &process, err))
		return error_while(err, "starting the endpoint in the background");
	descriptor_close(&out);
	process_free(&process);
	return read_report(in, log, err) ||
	       error_while(err, "bringing the local cloud up in the background");
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(text_free) char *state = local_state(context, given.state);
	scoped(text_free) char *host = NULL;
	scoped(cloud_found_free) struct cloud_found found = {0};
	struct cloud_options cloud = {.state = state, .settle_ms = given.settle_ms};

	if (!local_endpoint(given.endpoint, &host, &cloud.port, err) ||
		!local_find(state, &found, err))
		return false;
	cloud.host = host;
	if (!given.detach)
		return cloud_run(&cloud, ready, context, err);
	if (!found.running && !start_detached(state, err))
		return false;
	return print_found(context, state, found.running, err);
}

const struct command local_up_command = {.name = "local up", .options = &options, .run = run};

static const struct option_row endpoint_rows[] = {
	{"endpoint", OPTION_TEXT, &given.endpoint, "HOST:PORT", "where to listen", NULL},
	{"state", OPTION_TEXT, &given.state, "DIR", "the local cloud's folder", NULL},
	{"ready-fd", OPTION_INT, &given.ready_fd, "FD", "told when requests are answered", NULL},
	{"settle", OPTION_DURATION, &given.settle_ms, "DURATION", "as for \"local up\"", NULL},
};

static const struct option_set endpoint_options = {
	.usage = "local endpoint --endpoint HOST:PORT --state DIR --ready-fd FD",
	.about = "the process behind \"local up --detach\"",
	.rows = endpoint_rows,
	.count = countof(endpoint_rows),
};

static bool run_endpoint(struct command_context *context, struct error *err)
{
	setsid();
	if (given.ready_fd >= 0)
		fcntl((int)given.ready_fd, F_SETFD, FD_CLOEXEC);
	log_setup(LOG_JSON, LOG_INFO, 2);
	if (run(context, err))
		return true;
	if (given.ready_fd >= 0)
		report_failure(err);
	return false;
}

const struct command local_endpoint_command = {.name = "local endpoint",
	.options = &endpoint_options,
	.run = run_endpoint,
	.hidden = true};
