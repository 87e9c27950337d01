/*
 * spare.h - a process of dogshore that has loaded what every stage needs and waits for its command.
 *
 * Loading libgit2 and OpenSSL takes longer than everything else a small stage does before it starts
 * working. So the engine keeps one process ahead: it runs the very same command line, only earlier
 * born. Without a spare, or when it died, the stage is started as usual.
 *
 *     engine: spare_start … spare_use(argv, env, descriptors)      spare: spare_wait -> run argv
 *
 * The spare ends when the engine does (PR_SET_PDEATHSIG), or when its socket closes.
 */
#ifndef PIPELINE_ENGINE_SPARE_H
#define PIPELINE_ENGINE_SPARE_H

#include "base/buf.h"
#include "base/process.h"

struct spare {
	struct process process; /* pid 0: there is none */
	int socket;
};

/* Failing to start one is no error: there is none then. */
void spare_start(struct spare *spare);
void spare_free(struct spare *spare);

enum { SPARE_DESCRIPTORS = 4 };

/*
 * Hands a command to the spare, which is used up by that.
 *
 * descriptors  its stdout, its stderr, and up to two more that it holds while it lives
 * out_process  the process that runs the command now
 * Returns false when there is no spare that takes it.
 */
bool spare_use(struct spare *spare, const struct strings *argv, const struct strings *env,
	const int *descriptors, size_t count, struct process *out_process) must_use;

/*
 * In the spare: waits on the socket (descriptor 0) for a command, and takes its descriptors and its
 * environment over. *out_argv is empty when there will be none.
 */
bool spare_wait(struct strings *out_argv, struct error *err) must_use;

#endif
