/*
 * shell_turn.h - for shell.c: one turn of the driver, from a command to its answer, its death, the
 *                end of the time or a cancellation; and how its commands are ended.
 */
#ifndef BUILDSPEC_SHELL_TURN_H
#define BUILDSPEC_SHELL_TURN_H

#include "buildspec/shell.h"

enum turn {
	TURN_ANSWERED,
	TURN_DIED,
	TURN_CANCELLED,
	TURN_LATE,
	TURN_OVER,   /* a limit of disk or processes; err says which */
	TURN_BROKEN, /* err says why */
};

/*
 * Passes on what is printed until the driver has answered or one of the other things has happened.
 *
 * copy         NULL, or gets the beginning of what was printed
 * deadline_ms  of clock_elapsed(&system_clock); 0: none
 * out_payload  how many bytes at the front of shell->answer are the answer proper
 */
enum turn shell_turn_follow(struct shell *shell, struct buf *copy, int64_t deadline_ms,
	int cancel_fd, size_t *out_payload, int *out_status, struct error *err);

/* Makes the pipe that commands print to larger than it comes. */
void shell_turn_widen(struct shell *shell);

/* Masks and passes on a piece of output; an empty one (data NULL) flushes what is held back. */
void shell_turn_show(struct shell *shell, struct str piece, struct buf *copy);

/* Asks the commands to end, gives them a moment, ends them. Always false, with the error that
 * belongs to TURN_CANCELLED or TURN_LATE. */
bool shell_turn_give_up(struct shell *shell, enum turn why, struct buf *copy, struct error *err);

/* Ends the driver and all that it started. out_exit may be NULL. */
void shell_turn_end(struct shell *shell, struct process_exit *out_exit);

#endif
