/*
 * runtime.h - containers: started beside a monitor each, watched, stopped.
 *
 *     runtime_start -> dogshore-monitor -> crun           <state>/status/<id>   how it is, JSON
 *                        (lives on without us)            <folder>/lock         held while it lives
 *
 * The monitor writes the status file when the container runs and when it has ended; inotify tells us.
 * Nothing is polled, and nothing is lost while we are away: runtime_adopt() finds monitors of an
 * earlier life by the lock they hold.
 *
 * Runtime  crun, else runc. Traps: see cgroup.h.
 */
#ifndef DEPLOYERS_LOCAL_RUNTIME_H
#define DEPLOYERS_LOCAL_RUNTIME_H

#include "deployers/local/cloud.h"

struct runtime;

/* changed is called on the loop with the id of a container whose status is new, or whose monitor is
 * gone. */
bool runtime_open(struct cloud *cloud, void (*changed)(void *context, const char *id),
	void *context, struct runtime **out_runtime, struct error *err) must_use;
void runtime_close(struct runtime **runtime);              /* leaves containers and monitors */
const char *runtime_cgroup(const struct runtime *runtime); /* "/dogshore-1f2e3d4c" */
char *runtime_cgroup_of(const char *state) must_use;       /* the same, without a runtime; owned */

struct runtime_container {
	const char *id;          /* letters, digits, '-' */
	const char *folder;      /* a bundle, see bundle.h */
	const char *layers;      /* where lower starts */
	const char *lower;       /* overlay's lowerdir */
	const char *log_path;    /* a stream file of logs.h */
	int64_t log_limit_bytes; /* 0: none */
	const char *ip;
	int namespace_fd; /* of the task's network */
	int stop_timeout_s, stop_signal;
};
/* Returns once the monitor is started; the container's own fate comes as a change. A container
 * that runs already is left alone. */
bool runtime_start(struct runtime *runtime, const struct runtime_container *container,
	struct error *err) must_use;

enum container_state {
	CONTAINER_ABSENT, /* no monitor has said anything yet */
	CONTAINER_RUNNING,
	CONTAINER_ENDED,
	CONTAINER_FAILED, /* it never came up */
};
struct container_status {
	enum container_state state;
	pid_t pid; /* of its first process, as this machine counts */
	char ip[16];
	int exit_code;
	bool out_of_memory;
	int64_t started_ms, ended_ms;
	char message[512]; /* CONTAINER_FAILED: why */
};
void runtime_status(struct runtime *runtime, const char *id, struct container_status *out_status);

/* Is there a monitor of this container in folder? Watches it again. */
bool runtime_adopt(struct runtime *runtime, const char *id, const char *folder);
/*
 * Makes sure that no monitor starts this container any more: one of an earlier life may have been
 * started but not have come to its lock yet. Holds the lock itself as long as the descriptor is open.
 *
 * out_fd   0 when there is no folder, and so no monitor
 * Returns false when a monitor has the lock: adopt it.
 */
bool runtime_claim(const char *folder, int *out_fd) must_use;
/* Is its monitor still there (also while it cleans up after the end)? */
bool runtime_watched(struct runtime *runtime, const char *id);
/* The stop signal, SIGKILL after the timeout; at_once: SIGKILL. No monitor: nothing happens. */
void runtime_stop(struct runtime *runtime, const char *id, bool at_once);
/* Ends the monitor itself; whoever calls ends the container by its control group. */
void runtime_end_monitor(struct runtime *runtime, const char *id);
/* What is left of a container without monitor: ends it the hard way and removes its status. */
void runtime_clean(struct runtime *runtime, const char *id);

/* Command line that runs argv inside the container; for health checks. */
void runtime_exec_command(struct runtime *runtime, const char *id, struct strings *out_argv);

#endif
