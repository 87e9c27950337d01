/*
 * ecs_internal.h - what the parts of ECS share.
 *
 *     ecs_*_operations.c   AWS's operations: read and write documents, then ecs_wake()
 *     deployment.c         a service's revisions and deployments: begun, rolled back, ended
 *     scheduler.c          looks at a service: observe, decide (rollout.h), write down, act
 *     ecs.c                the loop around it
 *
 * Documents, by kind and id:
 *
 *     ecs.cluster           ARN    ecs.task_definition  ARN    ecs.task   ARN (task.h)
 *     ecs.service           ARN    "_target" revision to be run   "_completed" last one that was proven
 *                                  "_deployment" the one under way  "_stalled" after one failed for good
 *     ecs.revision          ARN    "_id" ecs-svc/N   "_state" rolloutState   "_reason"
 *     ecs.deployment        ARN    "_source", "_target" revisions  "_rollout" the strategy's state
 *     ecs.token             what a clientToken made
 */
#ifndef DEPLOYERS_LOCAL_ECS_INTERNAL_H
#define DEPLOYERS_LOCAL_ECS_INTERNAL_H

#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/ecs.h"
#include "deployers/local/input.h"
#include "deployers/local/operation.h"
#include "deployers/local/rollout.h"
#include "deployers/local/store.h"
#include "deployers/local/task.h"

#include <stdlib.h>

struct ecs {
	struct cloud *cloud;
	struct tasks *tasks; /* owned */
	struct watch *timer;
	int64_t settle_ms; /* how long a task without any health check must run to count as healthy */
	bool stopping, woken;
};

/* ecs_names.c: names and ARNs as callers may write them */
struct json *ecs_time(int64_t time_ms) must_use; /* epoch seconds, as the wire has them */
struct json *ecs_now(struct cloud *cloud) must_use;
const char *arn_name(const char *arn); /* what follows the last '/' */
/* The ARN of a cluster by name or ARN (NULL: "default"); owned. */
char *cluster_arn_of(struct cloud *cloud, const struct json *input) must_use;
/* The document; refused with ClusterNotFoundException. */
const struct json *cluster_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal) must_use;
char *service_arn_of(struct cloud *cloud, const char *cluster_arn, const char *name) must_use;
/* Refused with ServiceNotFoundException, or ServiceNotActiveException when it must be active. */
const struct json *service_of(struct cloud *cloud, const struct json *input, bool active,
	struct refusal *refusal) must_use;
/* "family", "family:3" or the ARN; refused with ClientException. */
const struct json *task_definition_of(struct cloud *cloud, const char *name,
	struct refusal *refusal) must_use;
bool ecs_put(struct cloud *cloud, const char *kind, const char *id, struct json *document,
	struct refusal *refusal) must_use; /* takes document */
struct json *ecs_failure(const char *arn, const char *reason) must_use;
bool ecs_includes(const struct json *input, const char *what); /* include: ["TAGS"] */
/* The document as an answer shows it: without tags unless they were asked for. */
struct json *ecs_public(const struct json *document, bool tags) must_use;

/* ecs_service_check.c: the whole service as it would be; what is refused here was never begun. */
bool service_is_possible(struct cloud *cloud, const struct json *service, struct refusal *refusal)
	must_use;

/* service_document.c: services as DescribeServices shows them */
struct json *service_answer(struct ecs *ecs, const struct json *service, bool tags) must_use;
struct json *revision_answer(const struct json *revision) must_use;
struct json *deployment_answer(struct ecs *ecs, const struct json *deployment) must_use;
struct service_counts {
	int running, pending, desired;
};
/* Tasks of the service and, when revision_arn is given, of that revision. */
struct service_counts service_count(struct ecs *ecs, const char *service_arn,
	const char *revision_arn);

/* deployment.c */
/* Begins to deploy what service (its changed copy) says: makes revision and deployment, ends one that
 * is under way, and points the service at them. */
bool service_deploy(struct ecs *ecs, struct json *service, struct error *err) must_use;
/* The states that follow from the rollout's status, noted in the documents (all copies being changed;
 * not written yet). before: the status at the last look. */
void service_note_rollout(struct ecs *ecs, struct json *service, struct json *deployment,
	enum rollout_status before, const struct rollout *rollout);
void rollout_load(const struct json *deployment, struct rollout *out_rollout);
void rollout_store(struct json *deployment, const struct rollout *rollout);
struct rollout_options rollout_options_of(const struct json *service,
	const struct json *configuration, bool has_source);
void service_event(struct ecs *ecs, struct json *service, const char *format, ...)
	printf_like(3, 4);
/* Changes members of a revision and writes it; values are taken. */
void revision_mark(struct ecs *ecs, const char *arn, const char *state, const char *reason);

/* scheduler.c */
/* One look at one service; *out_again_ms: wall clock, when to look again at the latest (0: never). */
void scheduler_look(struct ecs *ecs, const char *service_arn, int64_t *out_again_ms);

/* The rows of ecs_operations.c, by file */
#define OPERATION(name)                                                                            \
	bool name(struct cloud *cloud, const struct json *input, struct json **out_output,         \
		struct refusal *refusal)
OPERATION(ecs_create_cluster);
OPERATION(ecs_describe_clusters);
OPERATION(ecs_list_clusters);
OPERATION(ecs_delete_cluster);
OPERATION(ecs_register_task_definition);
OPERATION(ecs_describe_task_definition);
OPERATION(ecs_list_task_definitions);
OPERATION(ecs_list_task_definition_families);
OPERATION(ecs_deregister_task_definition);
OPERATION(ecs_delete_task_definitions);
OPERATION(ecs_create_service);
OPERATION(ecs_update_service);
OPERATION(ecs_describe_services);
OPERATION(ecs_list_services);
OPERATION(ecs_delete_service);
OPERATION(ecs_run_task);
OPERATION(ecs_stop_task);
OPERATION(ecs_describe_tasks);
OPERATION(ecs_list_tasks);
OPERATION(ecs_describe_service_deployments);
OPERATION(ecs_list_service_deployments);
OPERATION(ecs_stop_service_deployment);
OPERATION(ecs_describe_service_revisions);
OPERATION(ecs_tag_resource);
OPERATION(ecs_untag_resource);
OPERATION(ecs_list_tags_for_resource);

#endif
