/*
 * deployment.h - one deployment while it is made: what the files of this folder share.
 *
 *     prepare.c  files -> what is wanted        revision.c  which task definition to run
 *     begin.c    create, update, adopt          follow.c    look until there is a verdict
 *     checks.c   what must hold then            back.c      deploy the version before
 *     balancer.c where a route is asked from outside
 *     target_health.c  what the load balancer's own health check says
 *     deploy.c   all of it in order; wait, rollback
 */
#ifndef DEPLOYERS_ECS_DEPLOYMENT_H
#define DEPLOYERS_ECS_DEPLOYMENT_H

#include "deployers/ecs/diagnosis.h"
#include "deployers/ecs/ecs_deploy.h"
#include "deployers/ecs/provision.h"
#include "deployers/ecs/strategies.h"

struct deployment {
	const struct deploy_request *request; /* borrowed; NULL for wait and rollback */
	const struct deploy_place *place;     /* borrowed */
	struct journal *journal;              /* borrowed, may be NULL */
	struct deploy_result *result;         /* borrowed */
	struct provisioned provisioned;
	struct json *definition; /* owned: wanted, as RegisterTaskDefinition takes it */
	struct json *service;    /* owned: wanted, as the file has it */
	struct json *running;    /* owned: the service as it was; NULL: there is none */
	char *task_definition;   /* owned: ARN of what is to run */
	char *number;            /* owned: N of ecs-svc/N; NULL: not known */
	char *arn;               /* owned: of our service deployment; NULL: not known yet */
	const char *digest;      /* "sha256:…" of the image; borrowed; NULL: any */
	struct diagnosis diagnosis;
	char *balancer;      /* owned: "http://host:port" of the route; NULL: not asked for */
	struct json *undoes; /* owned: {"task_definition","deployment","service_deployment","cause"}
				   * of the deployment that this one takes back; NULL: it takes none back */
	struct strings event_ids; /* of service events that were told or are older than we */
	bool acted;               /* the service was told to change, or may have been */
	bool passive;             /* only looking: asks for no rollback */
	int64_t timeout_ms;
};
void deployment_free(struct deployment *deployment);

/* Fills in and parses both files, provisions, applies the strategy. */
bool deployment_prepare(struct deployment *deployment, struct error *err) must_use;
/* Sets task_definition: the running one, the newest of its family, or a new one. */
bool deployment_choose_revision(struct deployment *deployment, struct error *err) must_use;

/* Finds an earlier try with the same client token: sets arn when there is one to be followed. */
bool deployment_adopt(struct deployment *deployment, struct error *err) must_use;
/* Creates or updates the service; sets number and arn, or result->nothing_to_do. */
bool deployment_begin(struct deployment *deployment, struct error *err) must_use;
/* UpdateService with this input, announced and settled; sets number and arn. */
bool deployment_update(struct deployment *deployment, const struct json *input, bool *out_changed,
	struct error *err) must_use;

/* An empty result that begins now. */
void deployment_start_result(struct deployment *deployment);
/* For logs and the image in the result: reads the definition that is to run. */
bool deployment_read_definition(struct deployment *deployment, struct error *err) must_use;

/* Looks until there is a verdict. */
bool deployment_follow(struct deployment *deployment, struct error *err) must_use;

/* Can the checks be made? ERROR_USAGE when not; finds the load balancer when one is asked of it. */
bool deployment_prepare_checks(struct deployment *deployment, struct error *err) must_use;
/* Makes them, after a good verdict; when one fails, goes back and changes the verdict. */
bool deployment_check(struct deployment *deployment, struct error *err) must_use;
/* The tasks that serve; none when the service is scaled to nothing. */
bool deployment_serving_tasks(const struct deployment *deployment, struct json **out_tasks,
	struct error *err) must_use;
/* Where the listener of the service's route is reached from here; ERROR_USAGE when there is none. */
bool deployment_find_balancer(struct deployment *deployment, char **out_url, struct error *err)
	must_use;

/*
 * The task definition of the newest successful deployment that ran another one than this.
 *
 * list  of the service's deployments, newest first
 */
bool deployment_find_previous(const struct deployment *deployment, const struct json *list,
	const char *than, char **out_task_definition, struct error *err) must_use;
/* Deploys a task definition that is there (taken) instead of what was followed until now. */
bool deployment_go_back(struct deployment *deployment, char *task_definition, struct error *err)
	must_use;
/* The deployment ended well, but not for this cause: goes back; the verdict says how that went. */
bool deployment_undo(struct deployment *deployment, const char *cause, struct error *err) must_use;
/* An earlier try was going back (deployment->undoes, see deployment_adopt()): goes on with that. */
bool deployment_undo_again(struct deployment *deployment, struct error *err) must_use;

/* Running tasks of the service with our task definition and image, and others. */
bool deployment_count_tasks(struct deployment *deployment, struct json **out_tasks, int *out_right,
	int *out_wrong, struct error *err) must_use;

/* The entry of service.deployments[] that is PRIMARY. */
const struct json *primary_deployment(const struct json *service);

void deployment_note(const char *message, const char *reason);

#endif
