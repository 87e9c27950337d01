/*
 * cloud.h - the local cloud: one process, one loop, one endpoint that speaks the AWS API.
 *
 *     endpoint (HTTP) -> authenticate (SigV4 verified) -> operations table -> ecs | elbv2 | ecr | …
 *                                                              |
 *     store (what exists, durable)  content (images)  balancer (HAProxy)  runtime (containers)  logs
 *
 * What exists is in the store; containers and HAProxy live on when this process dies and are adopted
 * by the next. All of it runs on one thread, but for the
 * writing and hashing of uploads (blob_writer.h).
 */
#ifndef DEPLOYERS_LOCAL_CLOUD_H
#define DEPLOYERS_LOCAL_CLOUD_H

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"

struct cloud {
	struct loop *loop;
	struct clock *clock;
	char *state; /* folder with everything of this cloud; owned */
	char *host;  /* "127.0.0.1" */
	int port;    /* 4566 */
	char *gateway; /* "10.97.14.1": the bridge's address on this machine. Listeners are opened here
	                  too, so that containers reach the balancer; NULL without a network */
	char *account;       /* "000000000000" */
	char *region;        /* "us-east-1" */
	int64_t settle_ms;   /* a task without any health check is healthy after so long; 0: 500 */
	struct auth *auth;   /* auth.h: the key; there while the endpoint is open */
	struct store *store; /* store.h */
	struct network *network; /* network.h: bridge, addresses and network namespaces of tasks */
	struct content *content; /* content.h: blobs and manifests of the registry */
	struct uploads
		*uploads; /* uploads.h: blobs on their way in; there while the endpoint is open */
	struct balancer *balancer; /* balancer.h */
	struct logs *logs;         /* logs.h */
	struct ecs *ecs;           /* ecs.h: scheduler and tasks */
};

/* "arn:aws:<service>:<region>:<account>:<rest>"; owned */
char *cloud_arn(const struct cloud *cloud, const char *service, const char *rest_format, ...)
	must_use printf_like(3, 4);

#endif
