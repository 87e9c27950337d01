/*
 * api.h - the engine over HTTP: runs, live events, metrics, health.
 *
 *     GET  /healthz /readyz /metrics
 *     GET  /api/v1/runs?env=E&branch=B&limit=N
 *     GET  /api/v1/runs/N                 with its steps and their results
 *     GET  /api/v1/runs/N/log?service=S&step=build
 *     POST /api/v1/runs/N/cancel
 *     GET  /api/v1/events                 server-sent; Last-Event-ID or ?after=N catches up
 *
 * The server runs on the engine's loop; it reads the ledger and asks the engine, nothing else. It
 * has no log-in: it listens on loopback by default, and a request that changes something is refused
 * when a page of another origin sent it.
 */
#ifndef PIPELINE_SERVER_API_H
#define PIPELINE_SERVER_API_H

#include "base/http_server.h"
#include "base/loop.h"
#include "pipeline/engine/engine.h"

struct api;

struct api_options {
	struct loop *loop; /* borrowed, all */
	struct ledger *ledger;
	struct engine *engine;
	const char *host; /* NULL: 127.0.0.1 */
	int port;         /* 0: any free one */
	bool (*ready)(void *context);
	void *context;
};

bool api_start(const struct api_options *options, struct api **out_api, struct error *err) must_use;
int api_port(const struct api *api);
void api_free(struct api **api);

#endif
