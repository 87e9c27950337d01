/*
 * service_definition.h - AWS's service: the input of CreateService and UpdateService from a file that
 *                        may just as well be what DescribeServices printed.
 *
 * Source  section 3 of our reference on deploying.
 */
#ifndef DEPLOYERS_ECS_SERVICE_DEFINITION_H
#define DEPLOYERS_ECS_SERVICE_DEFINITION_H

#include "base/error.h"
#include "base/json.h"

/* The file's service without what only answers have; the caller's. */
struct json *service_of_file(const struct json *file) must_use;

/* Input of CreateService; the caller's. client_token may be NULL. */
struct json *service_create_input(const struct json *wanted, const char *cluster, const char *name,
	const char *task_definition, const char *client_token) must_use;

/*
 * Input of UpdateService with only what differs from the running service; NULL when nothing does.
 * Objects are merged over what runs: AWS does not say whether a partial one keeps the rest.
 * desiredCount is never sent: auto scaling may own it.
 */
struct json *service_update_input(const struct json *wanted, const struct json *running,
	const char *cluster, const char *name, const char *task_definition) must_use;

#endif
