/*
 * calls.h - the ECS and Logs calls we make, with what their answers have in common handled: a 200
 *           may carry failures, and lists come in pages.
 */
#ifndef DEPLOYERS_ECS_CALLS_H
#define DEPLOYERS_ECS_CALLS_H

#include "deployers/ecs/ecs_deploy.h"

/* ECS's name of the service. */
const char *place_service(const struct deploy_place *place);

/* The service; NULL when there is none or it is INACTIVE; the caller's. */
bool call_describe_service(const struct deploy_place *place, struct json **out_service,
	struct error *err) must_use;
/* The same, ERROR_NOT_FOUND when there is none. */
bool call_need_service(const struct deploy_place *place, struct json **out_service,
	struct error *err) must_use;
/* A service deployment by ARN; NULL while it is not visible. */
bool call_describe_deployment(const struct deploy_place *place, const char *arn,
	struct json **out_deployment, struct error *err) must_use;
/* Newest first; at most 100. */
bool call_list_deployments(const struct deploy_place *place, struct json **out_list,
	struct error *err) must_use;
/* The task definition that a service revision runs; owned; NULL when it is not visible. */
bool call_revision_task_definition(const struct deploy_place *place, const char *revision_arn,
	char **out_task_definition, struct error *err) must_use;
/* The answer of DescribeTaskDefinition with its tags; NULL when there is none. */
bool call_describe_definition(const struct deploy_place *place, const char *name,
	struct json **out_answer, struct error *err) must_use;
/* Tasks of the service whose desired status is "RUNNING" or "STOPPED"; an array. */
bool call_tasks(const struct deploy_place *place, const char *desired_status,
	struct json **out_tasks, struct error *err) must_use;
/*
 * The same, one by one, and only those that were not given before: a service whose tasks keep failing
 * has thousands of stopped ones.
 *
 * known  object whose members are ARNs that need not be given again; gets those that each says true to
 */
bool call_new_tasks(const struct deploy_place *place, const char *desired_status,
	struct json *known, bool (*each)(void *context, const struct json *task), void *context,
	struct error *err) must_use;
/* The last lines of a stream, an array of {"timestamp","message"}; empty when it is not there. */
bool call_log_events(const struct deploy_place *place, const char *group, const char *stream,
	int64_t limit, struct json **out_events, struct error *err) must_use;
/* Tells the cloud to roll a deployment back. One that has ended meanwhile is no error. */
bool call_stop_deployment(const struct deploy_place *place, const char *arn, struct error *err)
	must_use;

/* aws_call() that takes its input. out_output may be NULL. */
bool call_taking(const struct deploy_place *place, const char *service, const char *operation,
	struct json *input, struct json **out_output, struct error *err) must_use;
/* A list of one text; the caller's. */
struct json *list_of_text(const char *text) must_use;

/* The number behind the last '/': of "ecs-svc/12" and of a revision's ARN. */
const char *id_number(const char *id);

#endif
