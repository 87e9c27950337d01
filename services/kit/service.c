#include "services/kit/service.h"

#include "base/log.h"
#include "base/memory.h"
#include "services/kit/request.h"
#include "services/kit/route.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { DRAIN_CHECK_MS = 10 };

struct service {
	struct service_plan plan;
	struct service_settings settings;
	struct loop *loop; /* borrowed */
	struct http_server *server;
	struct metrics *metrics;
	struct watch *terminate, *interrupt, *timer;
	bool opened;
	bool leaving;
	int64_t drain_until_ms;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct loop *service_loop(struct service *service)
{
	return service->loop;
}

struct metrics *service_metrics(struct service *service)
{
	return service->metrics;
}

const char *service_name(const struct service *service)
{
	return service->plan.name;
}

bool service_is_leaving(const struct service *service)
{
	return service->leaving;
}

int service_port(const struct service *service)
{
	return http_server_port(service->server);
}

/* --- the kit's own routes --- */

static void answer_state(struct request *request, int status, const char *state, const char *why)
{
	struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	json_object_begin(&w);
	json_put_text(&w, "status", state);
	json_put_text(&w, "service", service_name(request->service));
	if (why)
		json_put_text(&w, "reason", why);
	json_object_end(&w);
	request_answer(request, status, &body);
}

/* Alive: stays green while draining, or the task would be killed in the middle of it. */
static void answer_health(struct request *request)
{
	answer_state(request, 200, "ok", NULL);
}

static void answer_ready(struct request *request)
{
	struct service *service = request->service;
	struct error err = {0};

	if (service->leaving) {
		answer_state(request, 503, "leaving", "the task is ending");
	} else if (service->plan.ready && !service->plan.ready(service->plan.context, &err)) {
		answer_state(request, 503, "not ready", err.message);
		error_free(&err);
	} else {
		answer_state(request, 200, "ready", NULL);
	}
}

static void answer_metrics(struct request *request)
{
	struct service *service = request->service;
	scoped(buf_free) struct buf body = {0};

	metrics_write(service->metrics, http_server_open_requests(service->server),
		!service->leaving, &body);
	request->status = 200;
	http_answer_buf(request->exchange, 200, "text/plain; version=0.0.4", &body);
}

static const struct route kit_routes[] = {
	{"GET", "/health", answer_health},
	{"GET", "/ready", answer_ready},
	{"GET", "/metrics", answer_metrics},
};

/* Balancers and collectors ask these all the time: not worth a line each. */
static bool is_kit_route(const struct route *route)
{
	for (size_t i = 0; i < countof(kit_routes); i++)
		if (route == &kit_routes[i])
			return true;
	return false;
}

/* --- the way of a request --- */

static const struct route *find_route(struct service *service, struct request *request,
	struct buf *allowed)
{
	const char *method = http_exchange_method(request->exchange);
	const char *path = http_exchange_path(request->exchange);
	struct str pieces[ROUTE_PARAMETERS];
	size_t count;
	const struct route *route =
		route_find(kit_routes, countof(kit_routes), method, path, pieces, &count, allowed);

	if (!route)
		route = route_find(service->plan.routes, service->plan.route_count, method, path,
			pieces, &count, allowed);
	for (size_t i = 0; i < count; i++)
		request->parameters[i] = str_copy(pieces[i]);
	return route;
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct service *service = context;
	struct request *request = memory_new(sizeof(*request));
	scoped(buf_free) struct buf allowed = {0};

	*request = (struct request){.service = service,
		.exchange = exchange,
		.context = service->plan.context,
		.started_us = now_us(),
		.trace = trace_start(http_exchange_header(exchange, "traceparent"),
			http_exchange_header(exchange, "tracestate"),
			http_exchange_header(exchange, "X-Request-Id"))};
	http_exchange_set_user(exchange, request);
	request->route = find_route(service, request, &allowed);
	if (request->route) {
		request->route->handle(request);
	} else if (allowed.size) {
		request_header(request, "Allow", buf_text(&allowed));
		request_refuse(request, 405, "method_not_allowed", "%s takes %s",
			http_exchange_path(exchange), buf_text(&allowed));
	} else {
		request_refuse(request, 404, "not_found", "there is nothing at %s",
			http_exchange_path(exchange));
	}
}

static void log_request(const struct request *request, int64_t duration_us)
{
	char status[16], duration[32];

	snprintf(status, sizeof(status), "%d", request->status);
	snprintf(duration, sizeof(duration), "%.3f", (double)duration_us / 1000);
	log_write(is_kit_route(request->route) ? LOG_DEBUG : LOG_INFO, "request", "method",
		http_exchange_method(request->exchange), "path",
		http_exchange_path(request->exchange), "status", status, "duration_ms", duration,
		"client", http_exchange_client(request->exchange), "request_id",
		request->trace.request_id, "trace_id", request->trace.trace_id, "span_id",
		request->trace.span_id, NULL);
}

static void closed(void *context, struct http_exchange *exchange)
{
	enum { CLIENT_CLOSED = 499 }; /* nginx's number for: the client left before the answer */
	struct service *service = context;
	struct request *request = http_exchange_user(exchange);

	if (!request)
		return;
	int64_t duration_us = now_us() - request->started_us;
	if (request->gone)
		request->gone(request, request->keeper);
	if (!request->status)
		request->status = CLIENT_CLOSED;
	metrics_count_request(service->metrics, request->route ? request->route->method : "other",
		request->route ? request->route->pattern : "other", request->status, duration_us);
	log_request(request, duration_us);
	for (size_t i = 0; i < ROUTE_PARAMETERS; i++)
		free(request->parameters[i]);
	free(request);
}

/* What the server refuses before a request comes to us. */
static void describe(int status, const char *why, struct buf *out)
{
	const char *code = "bad_request";

	if (status == 413 || status == 431)
		code = "too_large";
	else if (status >= 500)
		code = "unavailable";
	write_error_body(out, code, why);
	buf_append_char(out, '\n');
}

/* --- start and end --- */

static void check_drained(void *context)
{
	struct service *service = context;
	size_t open = http_server_open_requests(service->server);

	if (open > 0 && loop_now_ms(service->loop) < service->drain_until_ms) {
		watch_set_delay(service->timer, DRAIN_CHECK_MS);
		return;
	}
	if (open > 0)
		log_write(LOG_WARNING, "requests were still open when the time to drain was over",
			NULL);
	loop_stop(service->loop);
}

static void stop_accepting(void *context)
{
	struct service *service = context;

	http_server_quiesce(service->server);
	service->drain_until_ms = loop_now_ms(service->loop) + service->settings.drain_timeout_ms;
	loop_remove(service->loop, &service->timer);
	service->timer = loop_add_timer(service->loop, 0, check_drained, service);
}

void service_leave(struct service *service)
{
	if (service->leaving)
		return;
	service->leaving = true;
	log_write(LOG_INFO, "leaving", NULL);
	service->timer = loop_add_timer(service->loop, service->settings.drain_delay_ms,
		stop_accepting, service);
}

static void begin_end(void *context)
{
	service_leave(context);
}

bool service_open(struct loop *loop, const struct service_plan *plan,
	const struct service_settings *settings, struct service **out_service, struct error *err)
{
	scoped(service_close) struct service *service = memory_new(sizeof(*service));

	service->plan = *plan;
	service->settings = *settings;
	service->loop = loop;
	service->metrics = metrics_new(plan->name);
	service->opened = true;
	if (plan->open && !plan->open(plan->context, service, err))
		return false;
	if (!http_server_start(loop,
		    &(struct http_server_options){.host = settings->host,
			    .port = (int)settings->port,
			    .body_limit_bytes = 64 << 10,
			    .handle = handle,
			    .closed = closed,
			    .describe = describe,
			    .describe_type = "application/json",
			    .context = service},
		    &service->server, err))
		return false;
	*out_service = service;
	service = NULL;
	return true;
}

void service_close(struct service **service)
{
	struct service *gone = *service;

	*service = NULL;
	if (!gone)
		return;
	loop_remove(gone->loop, &gone->terminate);
	loop_remove(gone->loop, &gone->interrupt);
	loop_remove(gone->loop, &gone->timer);
	http_server_free(&gone->server);
	if (gone->opened && gone->plan.close)
		gone->plan.close(gone->plan.context);
	metrics_free(&gone->metrics);
	free(gone);
}

static const struct config_row kit_config[] = {
	{"HOST", CONFIG_TEXT, offsetof(struct service_settings, host), "0.0.0.0",
		"address to listen on"},
	{"PORT", CONFIG_NUMBER, offsetof(struct service_settings, port), "8080",
		"port to listen on, 0 for any", 0, 65535},
	{"LOG_LEVEL", CONFIG_TEXT, offsetof(struct service_settings, log_level), "info",
		"debug, info, warning or error"},
	{"DRAIN_DELAY", CONFIG_DURATION, offsetof(struct service_settings, drain_delay_ms), "500ms",
		"how long to serve on after SIGTERM", 0, 600000},
	{"DRAIN_TIMEOUT", CONFIG_DURATION, offsetof(struct service_settings, drain_timeout_ms),
		"20s", "how long requests in flight may take then", 0, 600000},
};

static bool set_up_log(const char *name, const char *level, struct error *err)
{
	static const char *const levels[] = {"debug", "info", "warning", "error"};

	for (size_t i = 0; i < countof(levels); i++)
		if (text_equal(level, levels[i])) {
			log_setup(LOG_JSON, (enum log_level)i, 1);
			log_set_field("service", name);
			return true;
		}
	return error_raise(err, ERROR_USAGE,
		"configuration: LOG_LEVEL is \"%s\", expected debug, info, warning or error",
		level);
}

static bool serve(const struct service_plan *plan, struct error *err)
{
	scoped(loop_free) struct loop *loop = NULL;
	scoped(service_close) struct service *service = NULL;
	struct service_settings settings = {0};
	char port[16];

	/* First: what goes wrong from here on is logged as JSON too. */
	log_setup(LOG_JSON, LOG_INFO, 1);
	log_set_field("service", plan->name);
	if (!config_read(kit_config, countof(kit_config), &settings, err) ||
		!config_read(plan->config, plan->config_count, plan->settings, err) ||
		!set_up_log(plan->name, settings.log_level, err) || !loop_new(&loop, err) ||
		!service_open(loop, plan, &settings, &service, err))
		return false;
	service->terminate = loop_add_signal(loop, SIGTERM, begin_end, service);
	service->interrupt = loop_add_signal(loop, SIGINT, begin_end, service);
	snprintf(port, sizeof(port), "%d", service_port(service));
	log_write(LOG_INFO, "listening", "host", settings.host, "port", port, NULL);
	if (!loop_run(loop, err))
		return false;
	log_write(LOG_INFO, "ended", NULL);
	return true;
}

int service_main(const struct service_plan *plan)
{
	struct error err = {0};
	int status = 0;

	if (!serve(plan, &err)) {
		log_write(LOG_ERROR, err.message ? err.message : "unknown error", "kind",
			error_kind_name(err.kind), "next", err.next ? err.next : "", NULL);
		status = error_exit_status(err.kind);
	}
	error_free(&err);
	return status;
}
