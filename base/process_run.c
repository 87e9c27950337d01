#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
	DEFAULT_LIMIT = 1024 * 1024,
	READ_PIECE = 64 * 1024,
	STOP_GRACE_MS = 2000,
};

/* Reads what is there. False at the end of the stream. */
static bool take_output(int fd, struct buf *out, size_t limit, int64_t *dropped)
{
	for (;;) {
		ssize_t size = read(fd, buf_reserve(out, READ_PIECE), READ_PIECE);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return size < 0 && errno == EAGAIN;
		size_t room = out->size < limit ? limit - out->size : 0;
		size_t kept = (size_t)size < room ? (size_t)size : room;

		out->size += kept;
		*dropped += size - (ssize_t)kept;
	}
}

static int time_left(int64_t deadline)
{
	if (!deadline)
		return -1;
	int64_t left = deadline - clock_elapsed(&system_clock);

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Until the child has ended. What runs on in the background may keep the pipes open; we take what
 * is in them and do not wait for it. */
static void follow(struct process *process, size_t limit, int64_t deadline,
	struct process_result *result)
{
	struct pollfd ends[] = {{process->pidfd, POLLIN, 0},
		{process->stdout_fd ? process->stdout_fd : -1, POLLIN, 0},
		{process->stderr_fd ? process->stderr_fd : -1, POLLIN, 0}};
	struct buf *const outputs[] = {NULL, &result->output, &result->errors};

	for (;;) {
		int left = time_left(deadline);
		int ready = poll(ends, 3, left);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0 && deadline && time_left(deadline) == 0) {
			result->timed_out = true;
			return;
		}
		bool ended = ends[0].revents;

		for (int i = 1; i < 3; i++)
			if (ends[i].fd >= 0 && (ended || ends[i].revents) &&
				!take_output(ends[i].fd, outputs[i], limit, &result->dropped_bytes))
				ends[i].fd = -1;
		if (ended)
			return;
	}
}

bool process_run(const struct process_options *options, struct str input, int64_t timeout_ms,
	size_t output_limit_bytes, struct process_result *out_result, struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	scoped(process_free) struct process process = {0};
	scoped(descriptor_close) int input_fd = -1;
	struct process_options adjusted = *options;
	int64_t start = clock_elapsed(&system_clock);

	/* No pipe to serve, and no SIGPIPE from a child that does not read. */
	if (input.data && !file_in_memory("a program's input", input, &input_fd, err))
		return false;
	if (input_fd >= 0)
		adjusted.stdin_fd = input_fd;
	if (!process_start(&adjusted, &process, err))
		return false;
	follow(&process, output_limit_bytes ? output_limit_bytes : DEFAULT_LIMIT,
		timeout_ms ? start + timeout_ms : 0, &result);
	if (result.timed_out)
		process_stop(&process, STOP_GRACE_MS, &result.exit);
	else if (!process_wait(&process, &result.exit, err))
		return false;
	if (result.dropped_bytes)
		buf_printf(&result.output, "\n[%lld more bytes of output were dropped]\n",
			(long long)result.dropped_bytes);
	result.duration_ms = clock_elapsed(&system_clock) - start;
	*out_result = result;
	result = (struct process_result){0};
	return true;
}

void process_result_free(struct process_result *result)
{
	buf_free(&result->output);
	buf_free(&result->errors);
	*result = (struct process_result){0};
}
