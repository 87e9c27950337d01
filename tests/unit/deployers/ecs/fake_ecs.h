/*
 * fake_ecs.h - as much of ECS as a deployer talks to, in memory, with outcomes that a test chooses.
 *
 * The statuses of a service deployment come from a script: one per look, the last one stays.
 */
#ifndef TESTS_UNIT_DEPLOYERS_ECS_FAKE_ECS_H
#define TESTS_UNIT_DEPLOYERS_ECS_FAKE_ECS_H

#include "base/json.h"
#include "tests/unit/base/fake_server.h"

struct fake_ecs {
	struct fake_server *server;
	struct json *service;                 /* NULL: there is none */
	struct json *definitions;             /* revision N stands at N - 1 */
	struct json *deployments;             /* of the service, newest first */
	const char *const *statuses;          /* of the newest, one per look; ends with NULL */
	const char *const *statuses_of_third; /* of deployment 3 instead; NULL: the same */
	int looks;
	int crashed;             /* tasks of the newest deployment that exited with 139 */
	const char *stop_reason; /* stoppedReason of those instead; NULL: they exited */
	const char *runs_digest; /* imageDigest of the running tasks; NULL: what was deployed */
	const char *
		after_stop; /* status once StopServiceDeployment was called; NULL: the script goes on */
	int drop_at; /* the answer to this changing call (from 1) is lost after it was carried out */
	int silent_after, silent; /* after so many calls so many get no answer and do nothing */
	bool denies_deployments;  /* service deployments may not be read */
	int registered, created, updated, stopped, changes; /* calls carried out */
	struct json *last_input;                            /* of the last changing call */
	int number;                                         /* of the newest deployment */
	const char *const *target_states; /* of the task's target, one per look; ends with NULL */
	int target_looks;
	int exits_at;      /* the running task of deployment 2 exits with this look; 0: never */
	struct json *said; /* owned; lines of every task's log; NULL: one line */
	const char *balancer_path, *balancer_codes; /* of its health check; NULL: /health, 200 */
};

void fake_ecs_start(struct fake_ecs *ecs);
void fake_ecs_stop(struct fake_ecs *ecs);
/* Another deployment begins behind our back. */
void fake_ecs_deploy_newer(struct fake_ecs *ecs);

#endif
