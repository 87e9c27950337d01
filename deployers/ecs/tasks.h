/*
 * tasks.h - where a task's containers write, and their last lines.
 */
#ifndef DEPLOYERS_ECS_TASKS_H
#define DEPLOYERS_ECS_TASKS_H

#include "deployers/ecs/ecs_deploy.h"

struct log_place {
	char *group, *stream; /* owned */
};
void log_place_free(struct log_place *place);

/*
 * The stream of a container by its task definition: "prefix/container/task id".
 * False: it does not write to CloudWatch Logs.
 */
bool log_place_of(const struct json *definition, const char *container, const char *task_arn,
	struct log_place *out_place) must_use;

/* Ours: the task runs this definition, and the deployment of this number started it. */
bool task_is_of(const struct json *task, const char *task_definition, const char *number);
/* Does one of its containers run the image with this digest? digest NULL: any. */
bool task_has_image(const struct json *task, const char *digest);

#endif
