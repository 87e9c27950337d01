/*
 * placeholders.h - ${kind:name} in task and service files, filled in before parsing.
 *
 *     ${image} ${env:NAME} ${target_group:SERVICE} ${balancer_url} ${cfn:STACK.OUTPUT} ${ssm:/path}
 *     <IMAGE1_NAME>
 *
 * "$${" stands for "${" itself. Values are escaped as the inside of a JSON text.
 */
#ifndef DEPLOYERS_ECS_PLACEHOLDERS_H
#define DEPLOYERS_ECS_PLACEHOLDERS_H

#include "base/buf.h"
#include "base/error.h"

struct placeholders {
	/*
	 * Gives the value of "kind:name" (name "" when there is none), owned; leaves *out_value NULL when
	 * there is no such thing. False: looking failed.
	 */
	bool (*look_up)(void *context, const char *kind, const char *name, char **out_value,
		struct error *err);
	void *context;
};

/*
 * Fills text into out. *out_image tells whether the image was among them.
 *
 * file  in errors: "deploy/task.json:3:17: ${env:DB} is not set"
 * Fails with ERROR_USAGE for one that stays unresolved.
 */
bool placeholders_fill(struct str text, const char *file, const struct placeholders *values,
	struct buf *out, bool *out_image, struct error *err) must_use;

#endif
