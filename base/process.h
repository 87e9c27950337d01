/*
 * process.h - child processes: each in its own process group, output captured with a limit, ended
 *             as a group.
 *
 *     process_start -> (poll process.pidfd) -> process_wait        for loops
 *     process_run                                                  for "run it and tell me"
 *
 * Ownership  a struct process owns its pidfd and pipe ends; process_free() closes them but ends
 *            nothing. process_stop() ends the group: SIGTERM, then after grace SIGKILL.
 * Limits     output beyond output_limit_bytes is dropped, counted, and said in one line at the end.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

struct process_options {
	const char *const *argv;  /* argv[0] is looked up in PATH unless it has a slash */
	const char *const *env;   /* NULL: our own environment */
	const char *folder;       /* NULL: ours */
	int stdin_fd;             /* 0: /dev/null; else inherited as descriptor 0 */
	int stdout_fd, stderr_fd; /* 0: a pipe to us; -1: inherited; else that descriptor */
	bool merge_output;        /* stderr goes where stdout goes */
	const int *keep_fds;      /* further descriptors the child inherits under their numbers */
	size_t keep_fd_count;
	bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL */
	bool same_group;      /* stay in our process group (default: a group of its own) */
	/* Called in the child right before exec: system calls only, as it shares our memory. false: errno
	 * says why it cannot start. */
	bool (*before_exec)(void *self);
	void *before_exec_self;
};

struct process {
	pid_t pid;                /* also the group's id; 0 when all-zero */
	int pidfd;                /* readable when the child has ended; 0 when all-zero */
	int stdout_fd, stderr_fd; /* our ends, non-blocking; 0 when not piped */
};

struct process_exit {
	bool exited;                /* true: status is the exit status; false: ended by signal */
	int status;                 /* exit status, or the signal's number */
	int64_t user_ms, system_ms; /* CPU time */
	int64_t peak_memory_bytes;
};

bool process_start(const struct process_options *options, struct process *out_process,
	struct error *err) must_use;
/* Blocks until the child has ended (use after pidfd became readable) and reaps it. */
bool process_wait(struct process *process, struct process_exit *out_exit, struct error *err)
	must_use;
/* Ends the whole group and reaps the child: SIGTERM, up to grace_ms, SIGKILL. */
void process_stop(struct process *process, int64_t grace_ms, struct process_exit *out_exit);
void process_free(struct process *process);
/* 128 + N for a signal, as shells have it. */
int process_exit_code(const struct process_exit *exit);

struct process_result {
	struct process_exit exit;
	struct buf output, errors; /* captured; errors empty with merge_output */
	int64_t dropped_bytes;     /* what did not fit output_limit_bytes */
	bool timed_out;            /* the group was ended because timeout_ms passed */
	int64_t duration_ms;
};

/*
 * Starts, captures and waits; ends the group when timeout_ms (0: none) passes.
 *
 * input               written to the child's stdin; data == NULL: /dev/null
 * output_limit_bytes  for each of the two outputs; 0 = 1 MiB
 * A non-zero exit is not an error; failing to start is (ERROR_NOT_FOUND when the program is
 * missing, with the advice to install it left to the caller).
 */
bool process_run(const struct process_options *options, struct str input, int64_t timeout_ms,
	size_t output_limit_bytes, struct process_result *out_result, struct error *err) must_use;
void process_result_free(struct process_result *result);

/* Finds a program in PATH; owned path, NULL when it is not there. */
char *program_find(const char *name) must_use;

#endif
