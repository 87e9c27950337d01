/*
 * service.h - what every service of ours does the same way: start, serve, say how it is, end.
 *
 *     int main(void) { return service_main(&plan); }
 *
 * The plan names routes, configuration and the service's own state; the kit adds /health, /ready and
 * /metrics, JSON logs with request id and trace, error bodies, and an end that loses no request:
 *
 *     SERVING --SIGTERM--> LEAVING --drain_delay--> DRAINING --nothing open, or timeout--> exit 0
 *              begin_end            stop_accepting            check_drained
 *
 * LEAVING     /ready fails so that balancers look elsewhere; requests are served, each answer asks
 *             the client to close its connection.
 * DRAINING    the port is closed, requests in flight are finished.
 *
 * Environment  PORT, HOST, LOG_LEVEL, DRAIN_DELAY, DRAIN_TIMEOUT, and the plan's own rows.
 * Threads      everything runs on one loop; handlers must not wait (base/loop.h).
 */
#ifndef SERVICES_KIT_SERVICE_H
#define SERVICES_KIT_SERVICE_H

#include "base/http_server.h"
#include "services/kit/config.h"
#include "services/kit/metrics.h"

struct service;
struct request; /* services/kit/request.h */

struct route {
	const char *method;  /* "GET"; HEAD is served by it too */
	const char *pattern; /* "/rooms/{id}": a piece in braces takes one piece of the path */
	/* Answers the request, or keeps it and answers later. */
	void (*handle)(struct request *request);
};

struct service_plan {
	const char *name;
	const struct route *routes; /* the first that matches is taken */
	size_t route_count;
	const struct config_row *config;
	size_t config_count;
	void *settings; /* what config is read into */
	void *context;  /* the service's own, given to the functions below and to its requests */
	/* Opens what the service needs (stores, clients). NULL: nothing. */
	bool (*open)(void *context, struct service *service, struct error *err);
	/* Undoes open, also one that failed half-way. NULL: nothing. */
	void (*close)(void *context);
	/* May requests be sent here? False says why. NULL: always. */
	bool (*ready)(void *context, struct error *err);
};

/* What the kit itself reads from the environment. */
struct service_settings {
	const char *host;
	int64_t port;
	const char *log_level;
	int64_t drain_delay_ms, drain_timeout_ms;
};

/* Reads the configuration, serves until SIGTERM or SIGINT, drains; the exit status. */
int service_main(const struct service_plan *plan) must_use;

/* The parts of service_main, for tests: loop and plan stay the caller's. */
bool service_open(struct loop *loop, const struct service_plan *plan,
	const struct service_settings *settings, struct service **out_service, struct error *err)
	must_use;
void service_close(struct service **service);
int service_port(const struct service *service);
/* What SIGTERM does; the loop stops when the service is drained. */
void service_leave(struct service *service);

struct loop *service_loop(struct service *service);
struct metrics *service_metrics(struct service *service);
const char *service_name(const struct service *service);
bool service_is_leaving(const struct service *service);

#endif
