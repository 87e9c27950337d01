#include "buildspec/shell_turn.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
	fcntl(shell->keeper.process.stderr_fd, F_SETPIPE_SZ, PIPE_SIZE);
}

/* Ends the driver and all that it started. */
void shell_turn_end(struct shell *shell, struct process_exit *out_exit)
{
	keeper_end(&shell->keeper, out_exit);
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
		size = read(shell->keeper.process.stderr_fd, piece, sizeof(piece));
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

		size = read(shell->keeper.process.stdout_fd, room, READ_PIECE);
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

/* Until when to wait for something to happen: the disk is looked at now and then. */
static int pause_of(int64_t deadline_ms)
{
	int64_t left = deadline_ms ? deadline_ms - clock_elapsed(&system_clock) : DISK_WATCH_MS;

	return left < 0 ? 0 : left > DISK_WATCH_MS ? DISK_WATCH_MS : (int)left;
}

static bool is_late(int64_t deadline_ms)
{
	return deadline_ms && clock_elapsed(&system_clock) >= deadline_ms;
}

static bool is_disk_full(struct shell *shell, struct error *err)
{
	for (size_t i = 0; i < countof(shell->disk); i++) {
		scoped(text_free) char *why = NULL;

		if (!disk_watch_is_over(&shell->disk[i], &why))
			continue;
		error_raise(err, ERROR_FAILED, "the build was ended: %s", why);
		error_next(err, "write less, or allow more: build.disk in dogshore.yml, or --disk");
		return true;
	}
	return false;
}

static bool is_too_many(struct shell *shell, struct error *err)
{
	if (!process_watch_is_over(&shell->processes, shell->keeper.process.pid))
		return false;
	error_raise(err, ERROR_FAILED, "the build was ended: it has more than %d processes",
		PROCESS_WATCH_LIMIT);
	error_next(err,
		"start fewer, or allow more: build.processes in dogshore.yml, or --processes");
	return true;
}

enum turn shell_turn_follow(struct shell *shell, struct buf *copy, int64_t deadline_ms,
	int cancel_fd, size_t *out_payload, int *out_status, struct error *err)
{
	struct pollfd ends[] = {{shell->keeper.process.stderr_fd, POLLIN, 0},
		{shell->keeper.process.stdout_fd, POLLIN, 0},
		{shell->keeper.process.pidfd, POLLIN, 0}, {cancel_fd ? cancel_fd : -1, POLLIN, 0}};

	for (;;) {
		if (poll(ends, countof(ends), pause_of(deadline_ms)) < 0)
			continue;
		if (is_late(deadline_ms))
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
		if (is_disk_full(shell, err) || is_too_many(shell, err))
			return TURN_OVER;
	}
}

/* Asks the commands to end, gives them a moment, ends them. */
bool shell_turn_give_up(struct shell *shell, enum turn why, struct buf *copy, struct error *err)
{
	size_t payload;
	int status;

	if (why != TURN_OVER) {
		keeper_ask_to_end(&shell->keeper);
		shell_turn_follow(shell, copy, clock_elapsed(&system_clock) + STOP_GRACE_MS, 0,
			&payload, &status, NULL);
	}
	shell_turn_end(shell, NULL);
	shell_turn_show(shell, (struct str){0}, copy);
	if (why == TURN_OVER)
		return false; /* err says it already */
	if (why == TURN_CANCELLED)
		return error_raise(err, ERROR_CANCELLED, "the build was cancelled");
	return error_raise(err, ERROR_TIMED_OUT, "the build's time is over");
}
