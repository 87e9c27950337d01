/*
 * deploy_target.h - which service where: what deploy, status, wait, rollback and logs begin with.
 *
 * With --commit the project and its files are those of the commit, else those of the work tree.
 */
#ifndef PIPELINE_CLI_DEPLOY_TARGET_H
#define PIPELINE_CLI_DEPLOY_TARGET_H

#include "deployers/ecs/ecs_deploy.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/opened.h"

struct deploy_flags {
	const char *environment, *project, *commit;
	int attempts; /* of each AWS call; 0: as usual */
};

/* A deployment outlives a restart of the endpoint: its calls are tried for some seconds. */
enum { DEPLOY_ATTEMPTS = 5 };

#define DEPLOY_FLAG_ROWS(flags)                                                                    \
	{"env", OPTION_TEXT, &(flags).environment, "E", "the environment (default: the only one)", \
		NULL},                                                                             \
		{"project", OPTION_TEXT, &(flags).project, "DIR",                                  \
			"the repository (default: here)", NULL},                                   \
	{                                                                                          \
		"commit", OPTION_TEXT, &(flags).commit, "REV",                                     \
			"take the project's files from this commit (default: the work tree)", NULL \
	}

struct deploy_target {
	struct opened opened;    /* with --commit */
	struct project *project; /* without; owned */
	const struct project *current;
	const struct project_environment *environment;
	const char *folder; /* of the work tree */
	struct aws *aws;
};

/* Opens project, environment and the way to its endpoint. */
bool deploy_target_open(struct deploy_target *target, const struct deploy_flags *flags,
	const struct command_context *context, struct error *err) must_use;
void deploy_target_free(struct deploy_target *target);

/* Appends a file of the service. */
bool deploy_target_read(struct deploy_target *target, const struct project_service *service,
	const char *name, struct buf *out, struct error *err) must_use;

/* Where a service lives; its ECS name is owned by the caller (*out_name). */
bool deploy_target_place(struct deploy_target *target, const struct project_service *service,
	struct deploy_place *out_place, char **out_name, struct error *err) must_use;

/* The service that the command's only word names; one that is deployed, else ERROR_USAGE. */
const struct project_service *deploy_target_service(struct deploy_target *target, const char *name,
	struct error *err);

#endif
