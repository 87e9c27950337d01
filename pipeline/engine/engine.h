/*
 * engine.h - brings commits to environments: runs that wait, runs under way, their ends.
 *
 *     engine_new -> engine_submit(commit) -> loop_run … ended() is called -> engine_free
 *                   engine_resume          (what an engine that died left behind)
 *
 * A run is planned when it starts and executed as child processes, one a step (stage.h); what to do
 * next is schedule.h's decision; every change of state is in the ledger before it is acted upon.
 *
 * After kill -9  the children die with the engine (PR_SET_PDEATHSIG). They are not adopted: a stage
 *                that lost its reader could not report, while repeating one is safe, because builds
 *                are pure, a push of a digest that is there sends nothing, and a deployment is found
 *                again by the token recorded before it began. The next engine takes the run over when
 *                it gets the run's lock, and waits for each step's lock, which a child holds as long
 *                as it lives; so nothing ever runs twice at once.
 * Order          one run at a time in each environment of an engine; a newer commit of a branch
 *                supersedes those of its runs that still wait. Two engines on one ledger keep out of
 *                each other's way by locks for each service's deployment.
 * Space          the folders of the newest 200 runs are kept, and of each service's images those
 *                that environments have and the 20 used last besides.
 * Threads        one engine belongs to one thread and one loop.
 */
#ifndef PIPELINE_ENGINE_ENGINE_H
#define PIPELINE_ENGINE_ENGINE_H

#include "base/loop.h"
#include "pipeline/ledger/ledger.h"
#include "pipeline/source/repository.h"

struct engine;

struct engine_options {
	struct loop *loop;             /* borrowed */
	struct ledger *ledger;         /* borrowed; LEDGER_ENGINE */
	struct repository *repository; /* borrowed */
	const char *ledger_url;        /* for the stages */
	const char *state;             /* folder for runs, images and locks */
	const char *program;           /* NULL: /proc/self/exe */
	/* It goes on when its runs have ended: a process is kept ready also while nothing runs, and a
	 * run that could not be recorded is taken up again, by and by. */
	bool stays;
	size_t jobs; /* steps at once in a run; 0: as many as there are processors */
	/* A run ended. err says what was wrong with its commit; or, when the row's status is not final,
	 * why the end could not be recorded: the ledger has the run as under way. */
	void (*ended)(void *context, const struct ledger_run *run, const struct error *err);
	void *context;
};

struct engine *engine_new(const struct engine_options *options) must_use;
/* Ends the children of runs under way (grace, then SIGKILL) and leaves those runs to be resumed. */
void engine_free(struct engine **engine);

struct engine_request {
	const struct commit *commit;
	const char *branch;      /* "" when it is none */
	const char *environment; /* "" for none */
	const char *force; /* "SERVICE/STEP" or "STEP": do it although nothing changed; or NULL */
	bool fresh;        /* build, also what could be restored */
};

/* Records the run and starts it, now or when its environment is free. */
bool engine_submit(struct engine *engine, const struct engine_request *request, int64_t *out_run,
	struct error *err) must_use;

/*
 * Takes over the runs of this repository that did not end and that nobody works on.
 *
 * commit, environment  only those; NULL: any
 * out_newest           the newest run taken over, 0 when there was none; may be NULL
 */
bool engine_resume(struct engine *engine, const char *commit, const char *environment,
	int64_t *out_newest, struct error *err) must_use;

/* Cancels a run of this engine; false when it has none of that number. */
bool engine_cancel(struct engine *engine, int64_t run, const char *reason);
/* Cancels all. */
void engine_cancel_all(struct engine *engine, const char *reason);
/* How many wait and how many are under way. */
void engine_count(const struct engine *engine, size_t *out_waiting, size_t *out_running);

/* Asks whoever works on a run to cancel it; with nobody there the ledger says so at once.
 * *out_asked: somebody was asked. Used by other processes. */
bool engine_ask_cancel(struct ledger *ledger, int64_t run, bool *out_asked, struct error *err)
	must_use;

/* Is somebody working on the run? */
bool engine_is_alive(const struct ledger_run *run);

#endif
