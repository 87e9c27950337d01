/*
 * run.h - one run under way; used by engine.c alone.
 *
 *     prepare.c   commit -> plan -> services and steps, or the same from the ledger
 *     run.c       the turns: decide, journal, act
 *     run_lock.c  the folder of a run: its lock, and who asks there that it be cancelled
 *     stage.c     one step as a child process: command line, environment, result
 *     batch_file.h  the tasks of a service that is built as a batch
 *     reads.c     what a build has read, for later plans
 *     settle.c    what an outcome means for the steps behind it and for the environment
 *     prune.c     what nobody needs any more, once a run has ended
 */
#ifndef PIPELINE_ENGINE_RUN_H
#define PIPELINE_ENGINE_RUN_H

#include "base/loop.h"
#include "base/process.h"
#include "pipeline/engine/batch_file.h"
#include "pipeline/engine/bell.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/known.h"
#include "pipeline/engine/schedule.h"
#include "pipeline/engine/site.h"
#include "pipeline/engine/spare.h"

struct run_service {
	const struct project_service *service; /* borrowed from the project */
	struct ledger_work work;
	char *folder;  /* owned: <run's folder>/<service> */
	char *layout;  /* owned: "FOLDER:TAG" of its image; NULL while there is none */
	size_t *after; /* owned: places in run.services */
	bool settled;  /* what it brought is recorded */
	/* Owned: its tasks; no kind for a service that is no batch, or is not built in this run. */
	struct batch_file batch;
};

struct run_step {
	struct ledger_step row;
	struct run *run; /* borrowed, for the loop */
	enum step_kind kind;
	size_t service;
	bool changed;      /* must be saved in this turn */
	bool starts;       /* must be started after this turn */
	bool stops;        /* must be told to end after this turn */
	size_t stopped_by; /* what told it to, when the schedule has it as stopping */
	struct process process;
	struct watch *watch;
	int deploy_lock; /* 0: none */
};

struct run_event {
	const char *name; /* static */
	struct json *fields;
};

struct run {
	const struct engine_options *options; /* borrowed */
	struct ledger_run row;
	int lock;        /* held while we work on it; 0: none */
	int images_lock; /* held while its images must not be pruned; 0: none */
	bool prepared;
	struct snapshot *snapshot;
	struct project *project;
	const struct project_environment *environment; /* NULL: none */
	struct site site;
	struct plan plan;
	struct ledger_currents currents;

	struct run_service *services; /* owned: only those with something to do */
	size_t service_count;
	struct run_step *steps; /* owned */
	size_t step_count;
	struct schedule schedule;
	struct schedule_step *schedule_steps;       /* owned; as long as steps */
	struct schedule_service *schedule_services; /* owned */

	struct run_event *events; /* owned: of this turn */
	size_t event_count;
	struct watch *retry;    /* looks at held steps again */
	struct watch *killing;  /* SIGKILL for children that ignore SIGTERM */
	struct watch *stopping; /* the same for tasks that were told to end */
	struct bell bell;       /* somebody left something in the run's folder */
	bool ended;
	bool unrecorded; /* it ended because the ledger could not be written, which has it as it was */
	void (*over)(struct run *run, const struct error *err); /* the engine's */
	struct engine *engine;
	struct spare *spare;   /* the engine's; NULL: none is kept */
	struct run *following; /* the engine's list */
};

void run_free(struct run **run);

/* <state>/runs/NUMBER-xxxx with the lock held. Within the transaction that saves the run. */
bool run_open_folder(struct run *run, struct error *err) must_use;
/* Takes the lock of a run that is in the ledger; *out_got false when somebody has it. */
bool run_take(struct run *run, bool *out_got, struct error *err) must_use;
bool run_is_asked_to_cancel(const struct run *run);
/* Steps that did not end become cancelled; within a transaction. */
bool run_close_steps(struct ledger *ledger, int64_t run, const char *reason, struct error *err)
	must_use;

/* prepare.c: fills the run from its commit. What is wrong with the commit is an error. */
bool run_prepare(struct run *run, struct error *err) must_use;
/* Saves what run_prepare made; within a transaction. */
bool run_save_prepared(struct run *run, struct error *err) must_use;
/* Fills the run from the ledger; steps under way become waiting once their children are gone. */
bool run_restore(struct run *run, struct error *err) must_use;

/* run.c: goes on until it has to wait; over() is called at the end, then the run must be freed. */
void run_turn(struct run *run);
/* Starts a run that waits: prepares it and takes the first turn. */
void run_start(struct run *run);
/* Ends a run that was taken over and cannot go on: over() is called. */
void run_end_lost(struct run *run, struct error *why);
void run_cancel(struct run *run, const char *reason);
/* Ends the children and forgets the run; the ledger keeps it as under way. */
void run_abandon(struct run *run);

void run_set(struct run *run, size_t step, enum outcome status, const char *format, ...)
	printf_like(4, 5);
void run_note(struct run *run, const char *name, struct json *fields);

/* stage.c */
bool stage_start(struct run *run, struct run_step *step, struct error *err) must_use;
/* The child has ended: reaps it and writes status, reason and result into the step. */
void stage_end(struct run *run, struct run_step *step);
/* Puts the error of a stage that could not be started into its log. */
void stage_note(const struct run *run, const struct run_step *step, const struct error *err);
/* Takes the locks a step needs; *out_held: somebody else deploys the service. */
bool stage_lock(struct run *run, struct run_step *step, bool *out_held, struct error *err) must_use;
void stage_unlock(struct run_step *step);
/* Where the image of a service goes: "HOST/app/service", "" without a registry. Owned. */
char *stage_repository(const struct run *run, const struct run_service *service) must_use;

/* prune.c */
/* No image of the state folder is removed until the run is freed. */
bool prune_hold_off(struct run *run, struct error *err) must_use;
/* After a run: folders of old runs go, and images that were used longest ago. Space is all that is
 * lost when that fails. */
void prune_after(struct run *run);

/* reads.c */
/* After a build: which files of what it may use it has read. Within a transaction. */
bool reads_record(struct run *run, struct run_service *service, struct error *err) must_use;

/* settle.c */
/* After the image of a service is known: what need not be done any more? */
bool settle_image(struct run *run, size_t service, struct error *err) must_use;
/* Right before a deployment starts: has somebody else done it meanwhile? */
bool settle_before_deploy(struct run *run, struct run_step *step, struct error *err) must_use;
/* After a step: records what it made. Within a transaction. */
bool settle_step(struct run *run, struct run_step *step, struct error *err) must_use;
/* Services that are through become what the environment has. Within a transaction. */
bool settle_services(struct run *run, struct error *err) must_use;
/* All steps ended. Within a transaction. */
bool settle_run(struct run *run, struct error *err) must_use;

#endif
