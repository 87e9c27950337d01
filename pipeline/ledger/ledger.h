/*
 * ledger.h - what happened and what is where: runs, steps, builds, what each environment has.
 *
 * One database (base/db.h). Things that are made never change (a commit, a build by its key, a
 * release); what changes is which of them is current, and the state of runs and steps.
 *
 *     ledger_open -> ledger_begin -> ledger_…_save … -> ledger_commit
 *
 * Journal before act: a step is saved as running before its process starts and saved again with its
 * outcome after it, so a step that is "running" without a process is one that must be looked after.
 *
 * Scope     a ledger may hold several applications: what is current is kept per application and
 *           environment, runs per repository.
 * Threads   a ledger belongs to one thread or process; several may have the same database open.
 * Testing   DOGSHORE_CRASH_AFTER_WRITE=N ends the process with SIGKILL right after the N-th commit of
 *           a ledger opened with crash_hook: that is how tests visit every point in between.
 */
#ifndef PIPELINE_LEDGER_LEDGER_H
#define PIPELINE_LEDGER_LEDGER_H

#include "base/buf.h"
#include "base/db.h"
#include "base/error.h"
#include "base/json.h"

struct ledger;

enum ledger_mode {
	LEDGER_READ, /* ERROR_NOT_FOUND when there is none */
	LEDGER_WRITE,
	LEDGER_ENGINE, /* writes, and obeys DOGSHORE_CRASH_AFTER_WRITE */
};

/* url  "sqlite:PATH"; its folder is made (0700) when missing. */
bool ledger_open(const char *url, enum ledger_mode mode, struct ledger **out_ledger,
	struct error *err) must_use;
void ledger_close(struct ledger **ledger);

bool ledger_begin(struct ledger *ledger, struct error *err) must_use;
bool ledger_commit(struct ledger *ledger, struct error *err) must_use;
/* For scoped(ledger_rollback) struct ledger *open = ledger. */
void ledger_rollback(struct ledger **ledger);

/* The outcomes of runs and steps share one list. */
enum outcome {
	OUTCOME_WAITING,
	OUTCOME_RUNNING,
	OUTCOME_PASSED,
	OUTCOME_SKIPPED,
	OUTCOME_FAILED,      /* the work failed                    exit 1 */
	OUTCOME_ERROR,       /* it could not be done               exit 2, 3 */
	OUTCOME_ROLLED_BACK, /* deployed and undone                exit 4 */
	OUTCOME_CANCELLED,   /*                                    exit 5 */
	OUTCOME_SUPERSEDED,  /* a newer commit came                exit 5 */
	OUTCOME_TIMED_OUT,   /*                                    exit 6 */
	OUTCOME_UNKNOWN,     /*                                    exit 7 */
};
enum { OUTCOME_COUNT = OUTCOME_UNKNOWN + 1 };
const char *outcome_name(enum outcome outcome);
bool outcome_of_name(const char *name, enum outcome *out_outcome) must_use;
bool outcome_is_final(enum outcome outcome);
int outcome_exit_status(enum outcome outcome);
enum outcome outcome_of_exit_status(int status);
/* The kind of the error that such an end is; ERROR_NONE for what ended well or did not end. */
enum error_kind outcome_error_kind(enum outcome outcome);

struct ledger_run {
	int64_t id;       /* 0: not saved yet */
	char *repository; /* owned, all texts: the Git folder */
	char *app;        /* "" until the commit was read */
	char *commit, *branch, *environment;
	char *subject, *author;
	enum outcome status;
	char *reason;                             /* why it ended so; "" */
	char *plan;                               /* JSON; "" until planned */
	char *folder;                             /* where its logs are */
	char *force;                              /* "SERVICE/STEP" of a rerun, "" */
	bool fresh;                               /* builds and restores nothing */
	int64_t release;                          /* 0: none */
	int64_t created_ms, started_ms, ended_ms; /* 0: not yet */
};
void ledger_run_free(struct ledger_run *run);

struct ledger_runs {
	struct ledger_run *items; /* owned */
	size_t count;
};
void ledger_runs_free(struct ledger_runs *runs);

/* Inserts (id 0) or updates. Within a transaction. */
bool ledger_run_save(struct ledger *ledger, struct ledger_run *run, struct error *err) must_use;
/* ERROR_NOT_FOUND with the newest run's number. */
bool ledger_run_get(struct ledger *ledger, int64_t id, struct ledger_run *out_run,
	struct error *err) must_use;

struct ledger_run_filter {
	const char *repository, *branch, *environment, *commit; /* NULL: any */
	bool open;                                              /* only those that did not end */
	size_t limit;                                           /* 0: 1000 */
};
/* The newest first. */
bool ledger_runs_find(struct ledger *ledger, const struct ledger_run_filter *filter,
	struct ledger_runs *out_runs, struct error *err) must_use;

struct ledger_step {
	int64_t id; /* 0: not saved yet */
	int64_t run;
	char *service, *name; /* owned, all texts: "build", "image", "push", "deploy" */
	enum outcome status;
	char *reason;
	char *token;  /* by which the outside world knows this step: the same in every attempt */
	char *result; /* JSON the stage printed; "" */
	int64_t attempts;
	int64_t started_ms, ended_ms;
	int exit_status;
};
void ledger_step_free(struct ledger_step *step);

struct ledger_steps {
	struct ledger_step *items; /* owned */
	size_t count;
};
void ledger_steps_free(struct ledger_steps *steps);

bool ledger_step_save(struct ledger *ledger, struct ledger_step *step, struct error *err) must_use;
bool ledger_steps_find(struct ledger *ledger, int64_t run, struct ledger_steps *out_steps,
	struct error *err) must_use;

/* A service within a run: what was decided and which key it has. */
struct ledger_work {
	char *service; /* owned, all texts */
	char *action, *reason, *key, *previous_key, *previous_commit;
	char *image; /* digest; "" until known */
	char *deploy_key;
	int64_t run;
};
void ledger_work_free(struct ledger_work *work);
bool ledger_work_save(struct ledger *ledger, const struct ledger_work *work, struct error *err)
	must_use;
/* The work of one run on one service; *out_found false when it did none. */
bool ledger_work_get(struct ledger *ledger, int64_t run, const char *service,
	struct ledger_work *out_work, bool *out_found, struct error *err) must_use;
struct ledger_works {
	struct ledger_work *items; /* owned */
	size_t count;
};
void ledger_works_free(struct ledger_works *works);
bool ledger_works_find(struct ledger *ledger, int64_t run, struct ledger_works *out_works,
	struct error *err) must_use;
/* The newest run of a commit that looked at the service. */
bool ledger_work_of_commit(struct ledger *ledger, const char *commit, const char *service,
	struct ledger_work *out_work, bool *out_found, struct error *err) must_use;

/* The parts of a key, for "why". Saving one that is there changes nothing. */
bool ledger_key_save(struct ledger *ledger, const char *key, const struct json *parts,
	struct error *err) must_use;
/* *out_parts NULL when it is not there; the caller's. */
bool ledger_key_get(struct ledger *ledger, const char *key, struct json **out_parts,
	struct error *err) must_use;

/* What came out of a key. */
struct ledger_build {
	char *app, *service, *key; /* owned, all texts */
	char *image;               /* digest, "" without image */
	char *layout;              /* "FOLDER:TAG" where the image is, "" */
	int64_t run;               /* the one that made it, or used it last */
};
void ledger_build_free(struct ledger_build *build);
struct ledger_builds {
	struct ledger_build *items; /* owned */
	size_t count;
};
void ledger_builds_free(struct ledger_builds *builds);
bool ledger_build_save(struct ledger *ledger, const struct ledger_build *build, struct error *err)
	must_use;
bool ledger_build_get(struct ledger *ledger, const char *app, const char *service, const char *key,
	struct ledger_build *out_build, bool *out_found, struct error *err) must_use;

/* Notes that a run uses it. */
bool ledger_build_use(struct ledger *ledger, const char *app, const char *service, const char *key,
	int64_t run, struct error *err) must_use;
/* The service's images in layouts, those used last first, without the first `kept` and without those
 * that an environment has or that a run which did not end works with. */
bool ledger_builds_unused(struct ledger *ledger, const char *app, const char *service, size_t kept,
	struct ledger_builds *out_builds, struct error *err) must_use;
/* The image is gone: whoever needs it builds it again. */
bool ledger_build_forget(struct ledger *ledger, const struct ledger_build *build, struct error *err)
	must_use;

/* Which files outside of its path the build of a key has read (plan/narrow.h). */
struct ledger_reads {
	char *key;   /* owned, all texts */
	char *rest;  /* key_rest() */
	char *files; /* JSON: a list of paths */
};
void ledger_reads_free(struct ledger_reads *reads);
struct ledger_reads_list {
	struct ledger_reads *items; /* owned */
	size_t count;
};
void ledger_reads_list_free(struct ledger_reads_list *list);
/* Replaces what is there; files "": that is forgotten. Of each service the newest 32 are kept. */
bool ledger_reads_save(struct ledger *ledger, const char *app, const char *service,
	const struct ledger_reads *reads, struct error *err) must_use;
/* Those of a key, or, key NULL, the newest with the rest: at most limit. */
bool ledger_reads_find(struct ledger *ledger, const char *app, const char *service, const char *key,
	const char *rest, size_t limit, struct ledger_reads_list *out_list, struct error *err)
	must_use;

/* Images that a registry has: place and repository, as "127.0.0.1:4566#KEY/booking/rooms". */
bool ledger_push_save(struct ledger *ledger, const char *repository, const char *digest,
	const char *reference, struct error *err) must_use;
bool ledger_push_get(struct ledger *ledger, const char *repository, const char *digest,
	bool *out_found, struct error *err) must_use;

/* What an environment has of a service. */
struct ledger_current {
	char *service; /* owned, all texts */
	char *commit, *key, *image, *deploy_key;
	int64_t run;
	int64_t updated_ms;
};
struct ledger_currents {
	struct ledger_current *items; /* owned; sorted by service */
	size_t count;
};
void ledger_currents_free(struct ledger_currents *currents);
bool ledger_current_save(struct ledger *ledger, const char *app, const char *environment,
	const struct ledger_current *current, struct error *err) must_use;
bool ledger_currents_find(struct ledger *ledger, const char *app, const char *environment,
	struct ledger_currents *out_currents, struct error *err) must_use;
/* The service is about to be deployed by hand: which image is there is not known any more. It is left
 * alone until it changes itself; then it is deployed, even if the image is one that was there. A
 * stage that a run started (DOGSHORE_RUN) changes nothing here: its run knows. */
bool ledger_current_forget(struct ledger *ledger, const char *app, const char *environment,
	const char *service, struct error *err) must_use;
const struct ledger_current *ledger_currents_get(const struct ledger_currents *currents,
	const char *service);

/* An immutable set of images: what the environment has after a run. */
bool ledger_release_save(struct ledger *ledger, int64_t run, const char *app,
	const char *environment, const char *commit, const struct json *images,
	int64_t *out_release, struct error *err) must_use;

struct ledger_deployment {
	const char *token, *app, *environment, *service, *image;
	int64_t run;
	const char *verdict;    /* NULL while it is under way */
	const char *deployment; /* the cloud's id; NULL */
};
bool ledger_deployment_save(struct ledger *ledger, const struct ledger_deployment *deployment,
	struct error *err) must_use;

/* Events, for the record and for those who follow. fields may be NULL. */
bool ledger_event_save(struct ledger *ledger, int64_t run, const char *name,
	const struct json *fields, int64_t *out_id, struct error *err) must_use;
struct ledger_event {
	int64_t id, run, time_ms;
	char *name, *fields; /* owned */
};
struct ledger_events {
	struct ledger_event *items; /* owned */
	size_t count;
};
void ledger_events_free(struct ledger_events *events);
/* Those after an id, the oldest first; run 0: of all runs. */
bool ledger_events_find(struct ledger *ledger, int64_t run, int64_t after, size_t limit,
	struct ledger_events *out_events, struct error *err) must_use;

/* How many runs ended in which way: for metrics. counts has OUTCOME_COUNT places. */
bool ledger_count_runs(struct ledger *ledger, int64_t *out_counts, struct error *err) must_use;

/* For pipeline/ledger only. */
struct db *ledger_db(struct ledger *ledger);

#endif
