/*
 * schedule.h - which step of a run comes next: a pure decision, no clock, no process, no database.
 *
 * A run is a list of services, each with a few steps in order (build, image, push, deploy). Services
 * are independent, except that a deployment waits for the deployments that it comes `after`. A step
 * that did not end well blocks what follows it: the service's later steps, and the deployments of
 * services that come after it; nothing else.
 *
 * A service that is built as a batch begins with its tasks, side by side: each waits for those it
 * depends on alone, and all other steps for all of them.
 *
 *     while ((act = schedule_decide(&schedule)).kind is neither WAIT nor FINISHED)
 *             do it, and write its outcome into schedule.steps
 */
#ifndef PIPELINE_ENGINE_SCHEDULE_H
#define PIPELINE_ENGINE_SCHEDULE_H

#include "pipeline/ledger/ledger.h"

enum step_kind {
	STEP_TASK, /* "build:ID": one of a batch */
	STEP_BUILD,
	STEP_IMAGE,
	STEP_PUSH,
	STEP_DEPLOY,
};
enum { STEP_KINDS = STEP_DEPLOY + 1 };
#define STEP_TASK_PREFIX "build:"
/* "build"; of a task the prefix alone. */
const char *step_kind_name(enum step_kind kind);
bool step_kind_of_name(const char *name, enum step_kind *out_kind) must_use;

/* How the reason of a task begins that failed and may. */
#define STEP_IGNORED "ignored: "

struct schedule_step {
	size_t service;
	enum step_kind kind;
	enum outcome status;
	bool blocked; /* skipped because something before it did not end well */
	bool held;    /* may not start yet: somebody else deploys the service */

	/* Of a task: */
	const size_t *after; /* borrowed: places among the service's steps */
	size_t after_count;
	bool ignore_failure; /* a failure counts as success for what follows, and for the run */
	bool stopping;       /* was told to end */
};

struct schedule_service {
	const size_t *after; /* borrowed: services whose deployments come first */
	size_t after_count;
	size_t first_step, step_count; /* its steps lie together */
	bool fast_fail;                /* a task that fails ends the others */
};

struct schedule {
	struct schedule_step *steps; /* borrowed; those of one service together and in order */
	size_t step_count;
	const struct schedule_service *services; /* borrowed */
	size_t service_count;
	size_t jobs;    /* how many steps may run at once */
	bool cancelled; /* nothing starts any more */
};

enum schedule_act_kind {
	SCHEDULE_WAIT,     /* something runs, or is held */
	SCHEDULE_START,    /* step may start now */
	SCHEDULE_STOP,     /* step runs and must end: because of the step `cause` */
	SCHEDULE_BLOCK,    /* step will never start: because of the step `cause` */
	SCHEDULE_CANCEL,   /* step will never start: the run was cancelled */
	SCHEDULE_FINISHED, /* every step has ended */
};

struct schedule_act {
	enum schedule_act_kind kind;
	size_t step, cause;
};

struct schedule_act schedule_decide(const struct schedule *schedule);

/* How the whole ended: passed, or the most telling of its steps. */
enum outcome schedule_outcome(const struct schedule *schedule);

/* Did it pass, or need not be done? So does a task that failed and may. */
bool schedule_step_passed(const struct schedule_step *step);

/* Did every step of the service end well? False also while some have not ended. */
bool schedule_service_passed(const struct schedule *schedule, size_t service);

#endif
