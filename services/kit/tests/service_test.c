#include "tests/test.h"

#include "base/log.h"
#include "services/kit/request.h"
#include "services/kit/trial.h"

#include <fcntl.h>
#include <unistd.h>

struct state {
	struct request *kept;
	bool is_ready;
	int gone;
};

static void answer_hello(struct request *request)
{
	struct buf body = {0};

	buf_printf(&body, "{\"hello\":\"%s\"}", request_parameter(request, 0));
	request_answer(request, 200, &body);
}

static void answer_failure(struct request *request)
{
	struct error err = {0};

	error_raise(&err, request_query(request, "busy") ? ERROR_UNAVAILABLE : ERROR_SYSTEM,
		"the disk said no to secret-path");
	request_fail(request, &err);
}

static void forget(struct request *request, void *keeper)
{
	(void)request;
	((struct state *)keeper)->gone++;
	((struct state *)keeper)->kept = NULL;
}

static void keep(struct request *request)
{
	struct state *state = request->context;

	state->kept = request;
	request->gone = forget;
	request->keeper = state;
}

static const struct route routes[] = {
	{"GET", "/hello/{name}", answer_hello},
	{"GET", "/failure", answer_failure},
	{"GET", "/keep", keep},
};

static bool is_ready(void *context, struct error *err)
{
	return ((struct state *)context)->is_ready ||
	       error_raise(err, ERROR_UNAVAILABLE, "the store is gone");
}

static void open_trial(struct trial *trial, struct state *state)
{
	*state = (struct state){.is_ready = true};
	trial_open(trial, &(struct service_plan){.name = "trial",
				  .routes = routes,
				  .route_count = countof(routes),
				  .context = state,
				  .ready = is_ready});
}

TEST(a_request_finds_its_route_and_errors_have_a_code)
{
	scoped(trial_close) struct trial trial;
	struct state state;

	open_trial(&trial, &state);
	scoped(reply_free) struct reply hello =
		trial_ask(&trial, "GET", "/hello/a%20b", "X-Request-Id: r-1\r\n", NULL);
	CHECK_INT(hello.status, 200);
	CHECK_TEXT(buf_text(&hello.body), "{\"hello\":\"a b\"}\n");
	CHECK_CONTAINS(buf_text(&hello.head), "\r\nContent-Type: application/json\r\n");
	CHECK_CONTAINS(buf_text(&hello.head), "\r\nX-Request-Id: r-1\r\n");
	scoped(reply_free) struct reply nothing = trial_ask(&trial, "GET", "/x", "", NULL);
	CHECK_INT(nothing.status, 404);
	CHECK_TEXT(reply_error_code(&nothing), "not_found");
	scoped(reply_free) struct reply method = trial_ask(&trial, "PUT", "/hello/a", "", "{}");
	CHECK_INT(method.status, 405);
	CHECK_CONTAINS(buf_text(&method.head), "\r\nAllow: GET, HEAD\r\n");
}

TEST(what_the_server_refuses_has_a_code_too)
{
	scoped(trial_close) struct trial trial;
	scoped(buf_free) struct buf large = {0};
	struct state state;

	open_trial(&trial, &state);
	memset(buf_reserve(&large, 70000), 'x', 70000);
	large.size = 70000;
	scoped(reply_free) struct reply body =
		trial_ask(&trial, "GET", "/hello/a", "", buf_text(&large));
	CHECK_INT(body.status, 413);
	CHECK_TEXT(reply_error_code(&body), "too_large");
	scoped(reply_free) struct reply gate =
		trial_ask(&trial, "GET", "/hello/a", "Host: another\r\n", NULL);
	CHECK_INT(gate.status, 400);
	CHECK_TEXT(reply_error_code(&gate), "bad_request");
}

TEST(a_failure_of_ours_tells_the_client_nothing_but_whether_to_try_again)
{
	scoped(trial_close) struct trial trial;
	struct state state;
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	log_setup(LOG_JSON, LOG_ERROR, nowhere);
	open_trial(&trial, &state);
	scoped(reply_free) struct reply broken = trial_ask(&trial, "GET", "/failure", "", NULL);
	CHECK_INT(broken.status, 500);
	CHECK_TEXT(reply_error_code(&broken), "internal");
	CHECK(strstr(buf_text(&broken.body), "secret-path") == NULL);
	scoped(reply_free) struct reply busy = trial_ask(&trial, "GET", "/failure?busy", "", NULL);
	CHECK_INT(busy.status, 503);
	CHECK_CONTAINS(buf_text(&busy.head), "\r\nRetry-After: 1\r\n");
	log_setup(LOG_JSON, LOG_ERROR, 2);
	close(nowhere);
}

TEST(each_request_is_one_line_of_json_with_its_ids)
{
	scoped(trial_close) struct trial trial;
	scoped(json_free) struct json *line = NULL;
	struct error err = {0};
	struct state state;
	char text[4096] = "";
	int pipe_fds[2];

	REQUIRE(pipe2(pipe_fds, O_CLOEXEC) == 0);
	open_trial(&trial, &state);
	log_setup(LOG_JSON, LOG_INFO, pipe_fds[1]);
	scoped(reply_free) struct reply health = trial_ask(&trial, "GET", "/health", "", NULL);
	CHECK_INT(health.status, 200);
	scoped(reply_free) struct reply hello = trial_ask(&trial, "GET", "/hello/x?token=secret",
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
		"X-Request-Id: r-1\r\n",
		NULL);
	CHECK_INT(hello.status, 200);
	log_setup(LOG_JSON, LOG_ERROR, 2);
	close(pipe_fds[1]);
	CHECK(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	close(pipe_fds[0]);
	/* One line only: /health is not worth one. The query may hold secrets and is left out. */
	REQUIRE_OK(json_parse(str_trim(str_of(text)), "log", NULL, &line, &err));
	CHECK_TEXT(json_get_text(line, "path", ""), "/hello/x");
	CHECK_TEXT(json_get_text(line, "status", ""), "200");
	CHECK_TEXT(json_get_text(line, "request_id", ""), "r-1");
	CHECK_TEXT(json_get_text(line, "trace_id", ""), "0af7651916cd43dd8448eb211c80319c");
}

TEST(ready_follows_the_service_and_fails_first_when_it_leaves)
{
	scoped(trial_close) struct trial trial;
	struct state state;

	open_trial(&trial, &state);
	scoped(reply_free) struct reply ready = trial_ask(&trial, "GET", "/ready", "", NULL);
	CHECK_INT(ready.status, 200);
	state.is_ready = false;
	scoped(reply_free) struct reply broken = trial_ask(&trial, "GET", "/ready", "", NULL);
	CHECK_INT(broken.status, 503);
	CHECK_TEXT(json_get_text(broken.json, "reason", ""), "the store is gone");
}

TEST(metrics_count_by_route)
{
	scoped(trial_close) struct trial trial;
	struct state state;

	open_trial(&trial, &state);
	scoped(reply_free) struct reply one = trial_ask(&trial, "GET", "/hello/1", "", NULL);
	scoped(reply_free) struct reply two = trial_ask(&trial, "GET", "/hello/2", "", NULL);
	scoped(reply_free) struct reply metrics = trial_ask(&trial, "GET", "/metrics", "", NULL);
	CHECK_CONTAINS(buf_text(&metrics.body),
		"http_requests_total{method=\"GET\",route=\"/hello/{name}\",status=\"200\"} 2\n");
}

static void ask_and_leave(struct trial *trial, struct state *state)
{
	struct error err = {0};

	service_leave(trial->service);
	service_leave(trial->service);
	/* Both are served: the port is still open. */
	scoped(reply_free) struct reply ready = trial_ask(trial, "GET", "/ready", "", NULL);
	CHECK_INT(ready.status, 503);
	scoped(reply_free) struct reply health = trial_ask(trial, "GET", "/health", "", NULL);
	CHECK_INT(health.status, 200);
	CHECK_CONTAINS(buf_text(&health.head), "\r\nConnection: close\r\n");
	REQUIRE_OK(loop_run(trial->loop, &err));
	CHECK(state->kept == NULL);
}

TEST(a_service_that_leaves_serves_on_for_a_while_and_then_stops_its_loop)
{
	struct trial trial = {0};
	struct state state = {.is_ready = true};
	struct error err = {0};
	struct service_settings settings = {.host = "127.0.0.1",
		.drain_delay_ms = 200,
		.drain_timeout_ms = 5000};

	REQUIRE_OK(loop_new(&trial.loop, &err));
	REQUIRE_OK(service_open(trial.loop,
		&(struct service_plan){.name = "trial",
			.routes = routes,
			.route_count = countof(routes),
			.context = &state},
		&settings, &trial.service, &err));
	ask_and_leave(&trial, &state);
	trial_close(&trial);
}

TEST_MAIN()
