#include "buildspec/shell_turn.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum {
	READ_PIECE = 64 * 1024,
	PIPE_SIZE = 1024 * 1024, /* what any user may ask for: /proc/sys/fs/pipe-max-size */
	ANSWER_LIMIT = 1024 * 1024,
	OUTPUT_LIMIT = 64 * 1024,
	STOP_GRACE_MS = 2000,
};

/* A command that prints much is woken for a megabyte, not for each 64 KiB; without the right to so
 * large a pipe it only takes longer. */
void shell_turn_widen(struct shell *shell)
{
	fcntl(shell->process.stderr_fd, F_SETPIPE_SZ, PIPE_SIZE);
}

/* Ends the driver and all that it started. */
void shell_turn_end(struct shell *shell, struct process_exit *out_exit)
{
	if (shell->input_fd)
		close(shell->input_fd);
	shell->input_fd = 0;
	process_stop(&shell->process, 0, out_exit);
	process_free(&shell->process);
}

void shell_turn_show(struct shell *shell, struct str piece, struct buf *copy)
{
	scoped(buf_free) struct buf masked = {0};

	if (piece.data)
		masker_feed(shell->options.masker, piece, &masked);
	else
		masker_flush(shell->options.masker, &masked);
	if (!masked.size)
		return;
	shell->options.take(shell->options.self, buf_str(&masked));
	if (copy && copy->size < OUTPUT_LIMIT)
		buf_append(copy, masked.data,
			masked.size < OUTPUT_LIMIT - copy->size ? masked.size
								: OUTPUT_LIMIT - copy->size);
}

/* What is in the pipe now, at most one pipe full: a background process may never stop writing. */
static void take_output(struct shell *shell, struct buf *copy)
{
	char piece[READ_PIECE];
	size_t taken = 0;
	ssize_t size;

	do {
		size = read(shell->process.stderr_fd, piece, sizeof(piece));
		if (size <= 0)
			continue;
		shell_turn_show(shell, (struct str){piece, (size_t)size}, copy);
		taken += (size_t)size;
	} while ((size < 0 && errno == EINTR) || (size > 0 && taken < PIPE_SIZE));
}

static bool take_answer(struct shell *shell, struct error *err)
{
	ssize_t size;

	do {
		char *room = buf_reserve(&shell->answer, READ_PIECE);

		size = read(shell->process.stdout_fd, room, READ_PIECE);
		if (size > 0)
			shell->answer.size += (size_t)size;
		if (shell->answer.size > ANSWER_LIMIT)
			return error_raise(err, ERROR_LIMIT,
				"a value of the build is larger than %d bytes", ANSWER_LIMIT);
	} while (size > 0 || (size < 0 && errno == EINTR));
	return true;
}

/* The driver's answer ends with NUL, status, newline. */
static bool is_answered(struct shell *shell, size_t *out_payload, int *out_status)
{
	struct str rest = buf_str(&shell->answer);
	struct str payload = str_cut(&rest, '\0');
	struct str tail = rest;
	struct str status = str_cut(&tail, '\n');
	int64_t value;

	if (!rest.data || !tail.data || !str_to_int(status, &value))
		return false;
	*out_payload = payload.size;
	*out_status = (int)value;
	return true;
}

static int time_left(int64_t deadline_ms)
{
	if (!deadline_ms)
		return -1;
	int64_t left = deadline_ms - clock_elapsed(&system_clock);

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

enum turn shell_turn_follow(struct shell *shell, struct buf *copy, int64_t deadline_ms,
	int cancel_fd, size_t *out_payload, int *out_status, struct error *err)
{
	struct pollfd ends[] = {{shell->process.stderr_fd, POLLIN, 0},
		{shell->process.stdout_fd, POLLIN, 0}, {shell->process.pidfd, POLLIN, 0},
		{cancel_fd ? cancel_fd : -1, POLLIN, 0}};

	for (;;) {
		int ready = poll(ends, countof(ends), time_left(deadline_ms));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || (deadline_ms && time_left(deadline_ms) == 0))
			return TURN_LATE;
		bool died = ends[2].revents;

		if (ends[1].revents || died) {
			if (!take_answer(shell, err))
				return TURN_BROKEN;
			if (is_answered(shell, out_payload, out_status)) {
				take_output(shell, copy);
				return TURN_ANSWERED;
			}
		}
		if (ends[0].revents || died)
			take_output(shell, copy);
		if (died)
			return TURN_DIED;
		if (ends[0].revents & POLLHUP)
			ends[0].fd = -1;
		if (ends[1].revents & POLLHUP)
			ends[1].fd = -1;
		if (ends[3].revents)
			return TURN_CANCELLED;
	}
}

/* The group that the commands are in: the driver's own, or inside the sandbox that of bwrap's only
 * child, which leads a session of its own. 0 when it cannot be learned. */
static pid_t command_group(const struct shell *shell)
{
	scoped(buf_free) struct buf children = {0};
	pid_t pid = shell->process.pid;
	struct error ignored = {0};
	int64_t child = 0;

	if (!shell->options.sandbox)
		return pid;
	scoped(text_free) char *path = memory_format("/proc/%d/task/%d/children", pid, pid);

	if (!file_read(path, 4096, &children, &ignored))
		error_ignore(&ignored, "then they are killed without being asked");
	struct str rest = str_trim(buf_str(&children));

	return str_to_int(str_cut(&rest, ' '), &child) && child > 1 ? (pid_t)child : 0;
}

/* Asks the commands to end, gives them a moment, ends them. */
bool shell_turn_give_up(struct shell *shell, enum turn why, struct buf *copy, struct error *err)
{
	pid_t group = command_group(shell);
	size_t payload;
	int status;

	if (group) {
		kill(-group, SIGTERM);
		shell_turn_follow(shell, copy, clock_elapsed(&system_clock) + STOP_GRACE_MS, 0,
			&payload, &status, NULL);
	}
	shell_turn_end(shell, NULL);
	shell_turn_show(shell, (struct str){0}, copy);
	if (why == TURN_CANCELLED)
		return error_raise(err, ERROR_CANCELLED, "the build was cancelled");
	return error_raise(err, ERROR_TIMED_OUT, "the build's time is over");
}
