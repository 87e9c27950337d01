/*
 * keeper.h - a process between us and a command that nobody trusts. It ends what the command has
 *            started, to the last process, when the command ends, when we say so and when we die.
 *
 *     us ── keeper ── bwrap or a shell ── whatever it starts
 *       leash
 *
 * The keeper is a copy of this process (no exec), in a session of its own and deaf to signals but
 * SIGKILL. Orphans become its children (PR_SET_CHILD_SUBREAPER), so sessions, groups and double forks
 * hide nothing from it. SIGKILL reaches stopped processes too, and closes a sandbox's pid namespace
 * with all that is in it.
 *
 * When we die (the leash breaks) it also removes the folders and the control group that we cannot
 * remove any more. Descriptors of ours other than 0, 1 and 2 stay open in it, so locks that we hold are
 * held until it is done. Who kills the keeper too leaves folders to the next build's sweep; in the
 * sandbox no process outlives it (bwrap --die-with-parent), without one only a control group or
 * Landlock (Linux 6.12, root) stand before that.
 */
#ifndef BASE_KEEPER_H
#define BASE_KEEPER_H

#include "base/control_group.h"
#include "base/process.h"

struct keeper_options {
	/* What to start; its descriptors are the keeper's business: input a socket, outputs pipes. */
	const struct process_options *command;
	const struct limits *limits; /* NULL: none */
	struct control_group *group; /* NULL: none; stays the caller's */
	bool sandbox; /* the command is bwrap: cut off from others' abstract unix sockets, too */
	const char *const *leftovers; /* folders that are removed when we die; NULL-terminated */
};

struct keeper {
	struct process
		process; /* the keeper; its outputs are the command's. The exit status, too */
	int input_fd;    /* our end of the command's stdin; 0 when all-zero */
	int leash;       /* 0 when all-zero */
};

/* Starts keeper and command. A command that does not start prints why and ends with status 127. */
bool keeper_start(const struct keeper_options *options, struct keeper *out_keeper,
	struct error *err) must_use;
/* Waits until the command is in its control group: before that, give it nothing to do. */
bool keeper_await_limits(struct keeper *keeper, struct error *err) must_use;
/* SIGTERM (and SIGCONT) to all that the command has started. */
void keeper_ask_to_end(struct keeper *keeper);
/* SIGKILL to all of it, and waits until it is gone. out_exit may be NULL. */
void keeper_end(struct keeper *keeper, struct process_exit *out_exit);

#endif
