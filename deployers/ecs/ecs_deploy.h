/*
 * ecs_deploy.h - deploying to Amazon ECS: one service, one image, one environment.
 *
 *     fill in the files -> provision (local only) -> register what changed -> create or update
 *         -> follow our own service deployment -> make the checks of what serves now, and deploy the
 *            version before when one fails -> verdict, with the cause when it is a bad one
 *
 * Everything goes over the AWS API; the local cloud is just another endpoint. Outside calls with
 * effects are announced to the journal before and settled after, so that the same deployment (the
 * same client token) asked for again after a crash is adopted, not repeated.
 *
 * Events   "deploy.started", "deploy.note" (what was found, skipped, created; always with its
 *          reason), "deploy.service_event", "deploy.task_stopped", "deploy.verdict".
 */
#ifndef DEPLOYERS_ECS_ECS_DEPLOY_H
#define DEPLOYERS_ECS_ECS_DEPLOY_H

#include "base/aws.h"
#include "base/journal.h"
#include "deployers/ecs/verdict.h"
#include "deployers/verify/http_check.h"

struct deploy_strategy_choice {
	const char *type;         /* a row of strategies.c; NULL: as the service file says */
	int64_t bake_ms;          /* rounded up to minutes, as ECS counts them */
	int64_t percent, step_ms; /* canary and linear; 0: ECS's defaults */
};

struct deploy_route {
	bool given;
	const char *path, *host; /* patterns; NULL: any */
	const char *health;      /* NULL: "/" */
	int64_t port;            /* of the listener; 0: 80, 8080 locally */
};

/* Where a service lives. Texts are borrowed for the call. */
struct deploy_place {
	struct aws *aws;
	struct clock *clock;
	const char *app, *environment;
	const char *cluster;
	const char *service;      /* as dogshore.yml calls it */
	const char *service_name; /* as ECS calls it; NULL: the same */
	bool loopback;            /* the endpoint is on this machine: look often */
	int cancel_fd;            /* > 0: readable when we are to stop looking (ERROR_CANCELLED) */
};

struct deploy_request {
	struct deploy_place place;
	bool provision; /* target local: create what is missing */
	struct str task_text, service_text;
	const char *task_file, *service_file; /* their names, for errors */
	const char *image;                    /* "HOST/REPO@sha256:…"; NULL: the one that runs */
	struct deploy_route route;
	struct deploy_strategy_choice strategy;
	const char *const *alarms;
	size_t alarm_count;
	/* Made when the deployment succeeded, but for no_wait and when there was nothing to do. A path is
	 * asked of the load balancer when the route covers it, else of each task with provision, and
	 * without, where they cannot be reached, the load balancer's own health check is looked at: it
	 * must be of this path. Borrowed. */
	const struct http_check *checks;
	size_t check_count;
	/* Asked about the image before anything is changed; false refuses it. NULL: all may come. */
	bool (*admit)(void *context, const char *image, struct error *err);
	void *admit_context;
	const char *client_token; /* NULL: a new deployment each time */
	int64_t timeout_ms;       /* 0: 30 min */
	bool no_wait;             /* return as soon as the deployment has begun */
	struct journal *journal;  /* may be NULL */
};

struct deploy_result {
	enum verdict verdict; /* NONE with no_wait */
	bool nothing_to_do;   /* the service runs this already: nothing was registered or updated */
	char *cause; /* owned; NULL when all is well: "rooms: container app exited with 139 …" */
	char *strategy;        /* owned; "ROLLING" */
	char *task_definition; /* owned; ARN */
	char *deployment_id;   /* owned; ARN of the service deployment, or ecs-svc/N */
	char *image;           /* owned */
	struct json *events;   /* owned; array of {"at","message"} */
	struct json
		*tasks; /* owned; array: those that run and those that stopped, with their logs */
	struct json *checks; /* owned; array of {"http","status","answers","cause"} */
	int64_t started_ms, duration_ms;
};
void deploy_result_free(struct deploy_result *result);

/*
 * Deploys and judges. A bad verdict is no error: it is in the result. False: we could not do our
 * work; when the outside world may have changed the kind is ERROR_UNKNOWN.
 */
bool ecs_deploy(const struct deploy_request *request, struct deploy_result *out_result,
	struct error *err) must_use;

/* Follows the deployment that is under way, or judges the last one; changes nothing, whatever it sees.
 * timeout_ms 0: 30 min. */
bool ecs_wait(const struct deploy_place *place, int64_t timeout_ms,
	struct deploy_result *out_result, struct error *err) must_use;

/*
 * Goes back: a deployment under way is told to roll back; else the task definition of the last
 * successful deployment before the current one is deployed. The verdict is about the way back:
 * DEPLOYED or ROLLED_BACK mean that the old version serves.
 */
bool ecs_rollback(const struct deploy_place *place, int64_t timeout_ms, struct journal *journal,
	struct deploy_result *out_result, struct error *err) must_use;

/*
 * What is there now: {"service","status","desired","running","pending","task_definition","image",
 * "deployment":{…},"tasks":[…],"events":[…]}. ERROR_NOT_FOUND when there is no such service.
 */
bool ecs_status(const struct deploy_place *place, struct json **out_status, struct error *err)
	must_use;

struct deploy_log_line {
	int64_t time_ms;
	const char *task, *container; /* borrowed for the call */
	const char *text;
};

/*
 * The last lines of the service's tasks, in order of time.
 *
 * task  a task's id or how it begins; NULL: all that run, and those that just stopped
 */
bool ecs_logs(const struct deploy_place *place, const char *task, int64_t lines,
	void (*each)(void *context, const struct deploy_log_line *line), void *context,
	struct error *err) must_use;

#endif
