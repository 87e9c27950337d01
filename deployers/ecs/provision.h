/*
 * provision.h - creates what a service needs and the local cloud lacks: load balancer, target groups,
 *               listener and rule for its route; cluster, repository and log groups.
 *
 * On AWS that is infra/'s work. Every step looks first and creates what is missing, and loses a
 * race against another service's deployment gracefully; so it may be repeated at any time.
 */
#ifndef DEPLOYERS_ECS_PROVISION_H
#define DEPLOYERS_ECS_PROVISION_H

#include "deployers/ecs/ecs_deploy.h"

/* ARNs of what the route consists of; owned, all-zero without a route. */
struct provisioned {
	char *target_group, *alternate; /* for the revision that serves and the one to come */
	char *rule;
};
void provisioned_free(struct provisioned *provisioned);

/* Load balancer, listener, both target groups, the rule. */
bool provision_route(const struct deploy_request *request, struct provisioned *out,
	struct error *err) must_use;

/* Cluster, the image's repository, the log groups that the definition names. */
bool provision_service(const struct deploy_request *request, const struct json *definition,
	struct error *err) must_use;

/* The name of a service's target group, at most 32 letters, digits and hyphens; owned. */
char *target_group_name(const char *app, const char *service, const char *suffix) must_use;
/* Its ARN; NULL when there is none; owned. */
bool target_group_find(const struct deploy_place *place, const char *service, char **out_arn,
	struct error *err) must_use;

/* Where the app's load balancer is reached from inside its network: "http://10.97.14.1:8080"; owned, NULL
 * when there is none. */
bool balancer_url_find(const struct deploy_place *place, int64_t port, char **out_url,
	struct error *err) must_use;

/* "created …" as an event. */
void provision_note(const char *what, const char *name);

#endif
