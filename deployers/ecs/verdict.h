/*
 * verdict.h - what became of a deployment: a pure decision from what was seen.
 *
 * Only SUCCESSFUL of our own service deployment, with our image on the tasks that serve, is success.
 * "Steady state" proves nothing: a service that was rolled back is steady too.
 *
 *     waiting ──SUCCESSFUL, our image serves────────────────────────────> deployed
 *        │ ├──SUCCESSFUL, other images serve, for too long──────────────> unknown
 *        │ ├──STOPPED because a newer deployment began──────────────────> superseded
 *        │ ├──a second identical crash, or one that cannot heal─┐
 *        │ ├──the deadline──────────────────────────────────────┼─> asked to roll back
 *        │ └──the cloud rolls back by itself────────────────────┘        │
 *        └──the deadline, and nothing was ever seen─────────────────────>│ unknown
 *                    rolled back, failed, timed out <────────────────────┘
 */
#ifndef DEPLOYERS_ECS_VERDICT_H
#define DEPLOYERS_ECS_VERDICT_H

#include "base/error.h"

enum verdict {
	VERDICT_NONE, /* not yet */
	VERDICT_DEPLOYED,
	VERDICT_FAILED,
	VERDICT_ROLLED_BACK,
	VERDICT_SUPERSEDED,
	VERDICT_TIMED_OUT,
	VERDICT_UNKNOWN,
};
const char *verdict_name(enum verdict verdict); /* "rolled_back"; NULL for VERDICT_NONE */
/* The kind whose exit status belongs to the verdict; ERROR_NONE for deployed. */
enum error_kind verdict_error_kind(enum verdict verdict);

/* A service deployment's status, as far as it matters here. */
enum deployment_phase {
	DEPLOYMENT_UNSEEN,
	DEPLOYMENT_RUNNING,      /* PENDING, IN_PROGRESS, and what we do not know */
	DEPLOYMENT_STOPPING,     /* STOP_REQUESTED */
	DEPLOYMENT_ROLLING_BACK, /* ROLLBACK_REQUESTED, ROLLBACK_IN_PROGRESS */
	DEPLOYMENT_SUCCESSFUL,
	DEPLOYMENT_STOPPED,
	DEPLOYMENT_ROLLED_BACK,     /* ROLLBACK_SUCCESSFUL */
	DEPLOYMENT_ROLLBACK_FAILED, /* ROLLBACK_FAILED */
};
enum deployment_phase deployment_phase_of(const char *status); /* NULL: UNSEEN */

enum {
	VERDICT_CONFIRM_MS = 30 * 1000,       /* for our image to be seen on the tasks */
	VERDICT_ROLLBACK_MS = 10 * 60 * 1000, /* for a rollback to end */
	VERDICT_SAME_CRASHES = 2,
};

/* All-zero but for the deadline at the start. Times are of a clock that only moves forward. */
struct verdict_state {
	int64_t deadline_ms;
	bool passive;                /* only looking: a rollback is for others to ask for */
	int64_t successful_since_ms; /* 0: not yet */
	int64_t rollback_since_ms;   /* 0: not yet */
	enum verdict because;        /* why we asked for the rollback; NONE: we did not */
};

struct verdict_observation {
	int64_t now_ms;
	enum deployment_phase phase;  /* as last seen */
	bool newer;                   /* another deployment of the service began after ours */
	bool hopeless;                /* a task of ours stopped for a cause that cannot heal */
	int same_crashes;             /* most tasks of ours that stopped in the same way */
	int desired;                  /* tasks wanted */
	int tasks_right, tasks_wrong; /* running ones with and without our image */
};

enum verdict_step {
	VERDICT_WAIT,
	VERDICT_ASK_ROLLBACK, /* once: tell the cloud to roll back, then go on looking */
	VERDICT_CONCLUDE,
};

/* out_verdict is set with VERDICT_CONCLUDE. */
enum verdict_step verdict_decide(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict *out_verdict);

#endif
