/*
 * deploy_report.h - what deploy, wait and rollback tell: progress while it goes on, the result as
 *                   JSON or for reading, and the error that names the cause.
 */
#ifndef PIPELINE_CLI_DEPLOY_REPORT_H
#define PIPELINE_CLI_DEPLOY_REPORT_H

#include "base/event.h"
#include "deployers/ecs/ecs_deploy.h"
#include "pipeline/cli/command.h"

/* Events "deploy.…" as lines on stderr, until event_remove_sink(). */
void deploy_progress_start(struct event_sink *sink);

/*
 * Writes the result. False with the error of the verdict when it is not a good one.
 *
 * stage    "deploy", "wait", "rollback"
 * commit   may be NULL
 */
bool deploy_report(struct command_context *context, const char *stage,
	const struct deploy_place *place, const char *commit, const struct deploy_result *result,
	struct error *err) must_use;

#endif
