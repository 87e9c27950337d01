/*
 * diagnosis.h - why tasks stopped: from what ECS says about a stopped task to one sentence, and from
 *               many tasks to the cause. The sentences are pure; deploy.c fetches the tasks and logs.
 */
#ifndef DEPLOYERS_ECS_DIAGNOSIS_H
#define DEPLOYERS_ECS_DIAGNOSIS_H

#include "base/buf.h"
#include "base/json.h"

enum { DIAGNOSIS_LOG_LINES = 20 };

/* What one stopped task tells. All-zero: it did not fail (it was scaled in, say). */
struct finding {
	char *sentence;  /* owned; "container app exited with 139 (SIGSEGV)"; NULL: no failure */
	char *container; /* owned; which one; NULL: none in particular */
	bool hopeless;   /* trying again cannot help: image missing, secret denied, wrong machine */
};
void finding_free(struct finding *finding);
struct finding diagnosis_of_task(const struct json *task) must_use;

/* Failures of one deployment so far. */
struct diagnosis {
	struct json *tasks;       /* owned; array of the stopped tasks' summaries, oldest first */
	struct strings seen;      /* ARNs */
	struct strings sentences; /* of those that failed */
	bool hopeless;
};
void diagnosis_free(struct diagnosis *diagnosis);

/* Adds a stopped task, once. *out_finding tells what it says; it was known already: no sentence.
 * The summary (borrowed, in *out_summary) may get its "log". */
bool diagnosis_add(struct diagnosis *diagnosis, const struct json *task,
	struct finding *out_finding, struct json **out_summary);
/* How many failed in the commonest way. */
int diagnosis_same(const struct diagnosis *diagnosis);
/* "rooms: container app exited with 139 (SIGSEGV) 2 times: <last log line>"; NULL when nothing
 * failed; owned. */
char *diagnosis_cause(const struct diagnosis *diagnosis, const char *service) must_use;

/* {"task","container","status","exit_code","reason",…} of a task that runs or stopped. */
struct json *diagnosis_summary(const struct json *task) must_use;

#endif
