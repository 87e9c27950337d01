#include "pipeline/server/api.h"

#include "base/event.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "pipeline/engine/report.h"
#include "pipeline/engine/run.h"
#include "pipeline/engine/step_log.h"
#include "pipeline/server/events.h"
#include "pipeline/server/metrics.h"

#include <stdlib.h>
#include <string.h>

struct api {
	struct api_options options;
	struct http_server *server;
	struct live_events *events;
};

static const char json_type[] = "application/json";

/* The status that an error has here; 400 for what the caller got wrong. */
static int status_of(const struct error *err)
{
	switch (error_exit_status(err->kind)) {
	case 2:
		return 400;
	default:
		return err->kind == ERROR_NOT_FOUND     ? 404
		       : err->kind == ERROR_CONFLICT    ? 409
		       : err->kind == ERROR_DENIED      ? 403
		       : err->kind == ERROR_UNAVAILABLE ? 503
							: 500;
	}
}

static void answer_error(struct http_exchange *exchange, int status, const struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	json_object_begin(&w);
	json_key(&w, "error");
	json_object_begin(&w);
	json_put_text(&w, "kind", error_kind_name(err->kind));
	json_put_text(&w, "message", err->message);
	json_put_text(&w, "next", err->next);
	json_object_end(&w);
	json_object_end(&w);
	http_answer_buf(exchange, status, json_type, &body);
}

static void refuse(struct http_exchange *exchange, int status, const char *message)
{
	scoped(error_free) struct error err = {0};

	error_raise(&err, status == 404 ? ERROR_NOT_FOUND : ERROR_USAGE, "%s", message);
	answer_error(exchange, status, &err);
}

static void answer_text(struct http_exchange *exchange, int status, const char *text)
{
	http_answer(exchange, status, "text/plain; charset=utf-8", str_of(text));
}

static void answer_health(struct api *api, struct http_exchange *exchange)
{
	(void)api;
	answer_text(exchange, 200, "ok\n");
}

static void answer_ready(struct api *api, struct http_exchange *exchange)
{
	bool ready = !api->options.ready || api->options.ready(api->options.context);

	answer_text(exchange, ready ? 200 : 503, ready ? "ready\n" : "not ready\n");
}

static void answer_metrics(struct api *api, struct http_exchange *exchange)
{
	scoped(buf_free) struct buf text = {0};
	scoped(error_free) struct error err = {0};

	if (!metrics_write(api->options.ledger, api->options.engine, &text, &err))
		answer_error(exchange, status_of(&err), &err);
	else
		http_answer_buf(exchange, 200, "text/plain; version=0.0.4", &text);
}

static void answer_root(struct api *api, struct http_exchange *exchange)
{
	(void)api;
	http_answer(exchange, 200, json_type,
		str_literal("{\"runs\":\"/api/v1/runs\",\"events\":\"/api/v1/events\","
			    "\"metrics\":\"/metrics\",\"health\":\"/healthz\","
			    "\"ready\":\"/readyz\"}"));
}

static bool number_of_query(struct http_exchange *exchange, const char *name, int64_t fallback,
	int64_t *out)
{
	const char *text = http_exchange_query(exchange, name);

	*out = fallback;
	return !text || (str_to_int(str_of(text), out) && *out >= 0);
}

static void answer_runs(struct api *api, struct http_exchange *exchange)
{
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	int64_t limit = 0;

	if (!number_of_query(exchange, "limit", 50, &limit) || limit < 1 || limit > 1000) {
		refuse(exchange, 400, "limit must be from 1 to 1000");
		return;
	}
	const struct ledger_run_filter filter = {
		.environment = http_exchange_query(exchange, "env"),
		.branch = http_exchange_query(exchange, "branch"),
		.limit = (size_t)limit,
	};

	if (!ledger_runs_find(api->options.ledger, &filter, &runs, &err)) {
		answer_error(exchange, status_of(&err), &err);
		return;
	}
	json_object_begin(&w);
	json_key(&w, "runs");
	json_array_begin(&w);
	for (size_t i = 0; i < runs.count; i++)
		report_write_line(&runs.items[i], &w);
	json_array_end(&w);
	json_object_end(&w);
	http_answer_buf(exchange, 200, json_type, &body);
}

static void answer_run(struct api *api, struct http_exchange *exchange,
	const struct ledger_run *run)
{
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	if (!report_write(api->options.ledger, run, true, &w, &err))
		answer_error(exchange, status_of(&err), &err);
	else
		http_answer_buf(exchange, 200, json_type, &body);
}

/* Of a log: its end, and no more than is unpacked in some 20 ms, in which nothing else is answered. */
enum { LOG_BYTES_MAX = 8 * 1024 * 1024 };

/* The names come from outside; only those of the run's own steps lead to a file. */
static void answer_log(struct api *api, struct http_exchange *exchange,
	const struct ledger_run *run)
{
	const char *service = http_exchange_query(exchange, "service");
	const char *name = http_exchange_query(exchange, "step");
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	scoped(error_free) struct error err = {0};

	if (!ledger_steps_find(api->options.ledger, run->id, &steps, &err)) {
		answer_error(exchange, status_of(&err), &err);
		return;
	}
	for (size_t i = 0; i < steps.count; i++) {
		const struct ledger_step *step = &steps.items[i];
		scoped(buf_free) struct buf text = {0};

		if (!text_equal(step->service, service) || !text_equal(step->name, name) ||
			!step->attempts)
			continue;
		step_log_tail(run->folder, service, name, LOG_BYTES_MAX, &text);
		http_answer_buf(exchange, 200, "text/plain; charset=utf-8", &text);
		return;
	}
	refuse(exchange, 404, "there is no such log; name service and step");
}

static void cancel_run(struct api *api, struct http_exchange *exchange,
	const struct ledger_run *run)
{
	scoped(error_free) struct error err = {0};
	bool asked = engine_cancel(api->options.engine, run->id, "it was cancelled");

	if (asked || engine_ask_cancel(api->options.ledger, run->id, &asked, &err))
		http_answer(exchange, 202, json_type,
			asked ? str_literal("{\"status\":\"cancelling\"}")
			      : str_literal("{\"status\":\"cancelled\"}"));
	else
		answer_error(exchange, status_of(&err), &err);
}

/* Browsers say where a page came from; programs do not. */
static bool is_of_other_origin(const struct http_exchange *exchange)
{
	const char *origin = http_exchange_header(exchange, "Origin");
	const char *host = http_exchange_header(exchange, "Host");
	const char *from = origin ? strstr(origin, "://") : NULL;

	return origin && !(from && host && strcmp(from + 3, host) == 0);
}

struct run_route {
	const char *method, *rest;
	void (*answer)(struct api *api, struct http_exchange *exchange,
		const struct ledger_run *run);
};

static const struct run_route run_routes[] = {
	{"GET", "", answer_run},
	{"GET", "/log", answer_log},
	{"POST", "/cancel", cancel_run},
};

static const char runs_prefix[] = "/api/v1/runs/";

/* /api/v1/runs/NUMBER and what lies below it. */
static void handle_run(struct api *api, struct http_exchange *exchange)
{
	struct str rest = str_of(http_exchange_path(exchange) + strlen(runs_prefix));
	struct str number = str_cut(&rest, '/');
	scoped(text_free) char *below =
		memory_format("%s%.*s", rest.data ? "/" : "", str_args(rest));
	scoped(ledger_run_free) struct ledger_run run = {0};
	scoped(error_free) struct error err = {0};
	bool known = false;
	int64_t id = 0;

	if (!str_to_int(number, &id)) {
		refuse(exchange, 404, "a run has a number");
		return;
	}
	if (!ledger_run_get(api->options.ledger, id, &run, &err)) {
		answer_error(exchange, status_of(&err), &err);
		return;
	}
	for (size_t i = 0; i < countof(run_routes); i++) {
		const struct run_route *route = &run_routes[i];

		if (strcmp(route->rest, below) != 0)
			continue;
		known = true;
		if (strcmp(route->method, http_exchange_method(exchange)) == 0) {
			route->answer(api, exchange, &run);
			return;
		}
	}
	refuse(exchange, known ? 405 : 404,
		known ? "not with this method" : "there is no such page");
}

static void begin_events(struct api *api, struct http_exchange *exchange)
{
	const char *last = http_exchange_header(exchange, "Last-Event-ID");
	int64_t after = -1;

	if (!number_of_query(exchange, "after", -1, &after) ||
		(last && !str_to_int(str_of(last), &after))) {
		refuse(exchange, 400, "after must be the number of an event");
		return;
	}
	live_events_begin(api->events, exchange, after);
}

struct route {
	const char *path;
	void (*answer)(struct api *api, struct http_exchange *exchange);
};

static const struct route routes[] = {
	{"/", answer_root},
	{"/api/v1/events", begin_events},
	{"/api/v1/runs", answer_runs},
	{"/healthz", answer_health},
	{"/metrics", answer_metrics},
	{"/readyz", answer_ready},
};

static void handle(void *context, struct http_exchange *exchange)
{
	struct api *api = context;
	const char *path = http_exchange_path(exchange), *method = http_exchange_method(exchange);

	if (strcmp(method, "GET") != 0 && is_of_other_origin(exchange)) {
		refuse(exchange, 403, "a page of another origin may not change anything here");
		return;
	}
	if (text_starts_with(path, runs_prefix)) {
		handle_run(api, exchange);
		return;
	}
	for (size_t i = 0; i < countof(routes); i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		if (strcmp(method, "GET") == 0)
			routes[i].answer(api, exchange);
		else
			refuse(exchange, 405, "not with this method");
		return;
	}
	refuse(exchange, 404, "there is no such page");
}

static void closed(void *context, struct http_exchange *exchange)
{
	struct api *api = context;

	live_events_end(api->events, exchange);
}

bool api_start(const struct api_options *options, struct api **out_api, struct error *err)
{
	struct api *api = memory_new(sizeof(*api));
	struct http_server_options server = {
		.host = options->host,
		.port = options->port,
		.body_limit_bytes = 64 * 1024,
		.handle = handle,
		.closed = closed,
		.context = api,
	};

	api->options = *options;
	api->events = live_events_new(options->loop, options->ledger);
	if (!http_server_start(options->loop, &server, &api->server, err)) {
		api_free(&api);
		return error_next(err, "choose another address: --listen HOST:PORT");
	}
	*out_api = api;
	return true;
}

int api_port(const struct api *api)
{
	return http_server_port(api->server);
}

void api_free(struct api **api)
{
	if (!*api)
		return;
	live_events_close((*api)->events);
	http_server_free(&(*api)->server);
	live_events_free(&(*api)->events);
	free(*api);
	*api = NULL;
}
