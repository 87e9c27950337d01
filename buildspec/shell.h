/*
 * shell.h - one shell that runs a build's commands one after the other, in the sandbox, with the
 *           state that CodeBuild keeps between them.
 *
 * The sandbox and one shell (the driver) are started once. For each command the driver forks a
 * subshell that loads the saved variables and directory, runs the command's text and saves them
 * again; so what survives a command is what CodeBuild lets survive - exported variables and the
 * directory, not functions, traps or set options - and a command costs a fork, no exec:
 *
 *     dogshore --stdin: "c7 v6 v7 1"--> driver --fork--> subshell: . v6; cd; . c7; export -p >v7
 *              <--stdout: payload \0 status \n--    <--stderr: everything the command prints--
 *
 * Each command saves to a file of its own, which counts once the driver has answered: one that is
 * killed half way leaves the state before it.
 *
 * Values of variables never stand in an argument list; they reach the driver through files of mode
 * 0600 in a private folder that is gone with the shell.
 *
 * A command that kills the driver ("kill $$") ends like any command that is killed; the next one
 * gets a new driver with the state saved last.
 *
 * A keeper (base/keeper.h) stands between us and the driver: what the build has started ends with the
 * driver, with the shell and with us, in the sandbox or without. When we are killed it removes the
 * work folder too.
 */
#ifndef BUILDSPEC_SHELL_H
#define BUILDSPEC_SHELL_H

#include "base/clock.h"
#include "base/keeper.h"
#include "base/masker.h"
#include "base/sandbox.h"
#include "buildspec/disk_watch.h"
#include "buildspec/process_watch.h"

/* CODEBUILD_SRC_DIR in the sandbox: always the same, so that what a build makes of it is, too. */
#define SHELL_SOURCE_INSIDE "/codebuild/src"

struct shell_options {
	const char *program; /* "/bin/sh", "/bin/bash" */
	const char *source;  /* where the commands run; on this machine */
	const char *work;    /* where the private folder is made; NULL: in memory or /tmp */
	const struct sandbox_bind *binds; /* further ones, for the sandbox; borrowed */
	size_t bind_count;
	bool sandbox;          /* false: as an ordinary child */
	bool network;          /* in the sandbox: share ours */
	struct limits limits;  /* all-zero: the usual ones */
	const char *cache;     /* folder outside of work that the build may fill; NULL: none */
	int64_t deadline_ms;   /* of clock_elapsed(&system_clock); 0: none */
	int cancel_fd;         /* readable: stop; 0: none */
	int break_fds[2];      /* descriptors for breakpoints (tools.h); 0: none */
	struct masker *masker; /* borrowed */
	/* Gets what commands print, masked, as it comes. What may be the beginning of a secret is held
	 * back by the masker, from one command to the next; whoever closes the shell flushes it. */
	void (*take)(void *self, struct str piece);
	void *self;
};

struct shell {
	struct shell_options options;
	struct keeper keeper; /* of bwrap, or of the driver itself; all-zero: there is no driver */
	struct control_group group;
	struct disk_watch disk[2]; /* where it works, and the cache */
	struct process_watch processes;
	char *folder;         /* private, with control/ and etc/ in it; owned */
	char *control;        /* our folder for scripts and state; owned */
	char *etc;            /* what the sandbox shows as /etc; owned */
	char *control_inside; /* what the driver calls it; owned */
	char *source_inside;  /* CODEBUILD_SRC_DIR; owned */
	struct buf answer;    /* what came on the driver's stdout */
	bool has_user;        /* commands run as this one, not as who runs us */
	struct sandbox_user user;
	int command_count;
	int state; /* the command whose saved variables count; 0: those of the start */
};

/* Makes the private folder; starts nothing yet. variables are "NAME=value" and are what the first
 * command finds (and each command, with fresh). */
bool shell_open(const struct shell_options *options, struct shell *out_shell, struct error *err)
	must_use;
bool shell_set_variables(struct shell *shell, const struct strings *variables, struct error *err)
	must_use;

/* As whom commands run from now on, with the sandbox; NULL: as who runs us. Another one than before
 * gets a sandbox of its own: what the old one had in /tmp and in the background ends with it. */
void shell_become(struct shell *shell, const struct sandbox_user *user);

struct shell_command {
	const char *text;
	bool fresh;         /* version 0.1: with the variables of the start, nothing is kept */
	bool succeeding;    /* CODEBUILD_BUILD_SUCCEEDING */
	struct buf *output; /* NULL, or where a copy of the (masked) output goes, at most 64 KiB */
};

/*
 * Runs one command to its end. *out_status is its exit status as shells count it.
 *
 * Fails with ERROR_CANCELLED and ERROR_TIMED_OUT after ending everything the build had started:
 * SIGTERM, and SIGKILL to what has not ended two seconds later. With ERROR_FAILED when it has filled
 * the disk or has too many processes; then it is killed at once.
 */
bool shell_run(struct shell *shell, const struct shell_command *command, int *out_status,
	struct error *err) must_use;

/* What text prints on its stdout in the final state; it changes nothing. */
bool shell_ask(struct shell *shell, const char *text, struct buf *out_answer, struct error *err)
	must_use;

/* Appends the limits that this machine cannot hold and why, for the log; nothing when it holds all. */
void shell_tell_missing_limits(const struct shell *shell, struct buf *out);
/* Appends which limits have been hit since it was asked last, for the log; nothing when none was. */
void shell_tell_hits(struct shell *shell, struct buf *out);

/* Ends what still runs and removes the private folder. */
void shell_close(struct shell *shell);

/* 'it'\''s': one word for the shell, whatever text holds. */
void shell_quote(struct buf *out, const char *text);

#endif
