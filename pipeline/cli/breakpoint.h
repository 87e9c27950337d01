/*
 * breakpoint.h - the user's terminal for a build that stops at codebuild-breakpoint.
 *
 *     terminal ── relay (a process of ours) ── pseudo-terminal ── shell in the sandbox
 *
 * The build gets the far end of the pseudo-terminal and a pipe: "b" on it means that a shell waits
 * there, "e" that it has ended. In between the relay has the terminal, raw.
 */
#ifndef PIPELINE_CLI_BREAKPOINT_H
#define PIPELINE_CLI_BREAKPOINT_H

#include "base/error.h"

#include <sys/types.h>

struct breakpoint {
	int terminal_fd; /* for build_options.break_fds; 0 when all-zero */
	int notify_fd;   /* the same */
	pid_t relay;
};

/* Does nothing when stdin or stderr is no terminal. */
bool breakpoint_begin(struct breakpoint *breakpoint, struct error *err) must_use;
/* The build is over. */
void breakpoint_end(struct breakpoint *breakpoint);

#endif
