#include "tests/test.h"

#include "services/kit/caller.h"
#include "services/kit/request.h"
#include "services/kit/trial.h"

/* The neighbour: fails as often as told, then answers with what it was asked. */
struct neighbour {
	int failures_left;
	int asked;
};

static void answer_echo(struct request *request)
{
	struct neighbour *neighbour = request->context;
	struct buf body = {0};

	neighbour->asked++;
	if (neighbour->failures_left-- > 0) {
		request_refuse(request, 503, "unavailable", "not now");
		return;
	}
	buf_printf(&body, "%s %s %s", request_query(request, "q"), request->trace.trace_id,
		request->trace.request_id);
	request_answer(request, 200, &body);
}

static const struct route routes[] = {{"GET", "/echo", answer_echo}};

struct fixture {
	struct trial trial;
	struct neighbour neighbour;
	struct caller *caller;
	struct buf answers; /* "status body" of each */
	int count;
};

static void open_fixture(struct fixture *f)
{
	char url[64];
	struct error err = {0};

	*f = (struct fixture){0};
	trial_open(&f->trial, &(struct service_plan){.name = "neighbour",
				      .routes = routes,
				      .route_count = countof(routes),
				      .context = &f->neighbour});
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", service_port(f->trial.service));
	REQUIRE_OK(caller_new(f->trial.loop,
		&(struct caller_options){.base_url = url, .timeout_ms = 5000}, &f->caller, &err));
}

static void close_fixture(struct fixture *f)
{
	caller_free(&f->caller);
	trial_close(&f->trial);
	buf_free(&f->answers);
}

static void remember(void *context, const struct call_answer *answer)
{
	struct fixture *f = context;

	f->count++;
	buf_printf(&f->answers, "%d %.*s|", answer->status, str_args(str_trim(answer->body)));
}

static void wait_for(struct fixture *f, int count)
{
	while (f->count < count)
		if (!loop_turn(f->trial.loop, -1, NULL))
			abort();
}

static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(a_call_carries_the_trace_and_is_answered_on_the_loop)
{
	scoped(close_fixture) struct fixture f;
	struct trace trace = trace_start(parent, NULL, "r-1");

	open_fixture(&f);
	caller_get(f.caller, "/echo?q=hello", &trace, remember, &f);
	CHECK_INT(f.count, 0);
	wait_for(&f, 1);
	CHECK_TEXT(buf_text(&f.answers), "200 hello 0af7651916cd43dd8448eb211c80319c r-1|");
}

TEST(a_call_is_made_again_once)
{
	scoped(close_fixture) struct fixture f;
	struct trace trace = trace_start(parent, NULL, "r-1");

	open_fixture(&f);
	f.neighbour.failures_left = 1;
	caller_get(f.caller, "/echo?q=1", &trace, remember, &f);
	wait_for(&f, 1);
	CHECK_INT(f.neighbour.asked, 2);
	CHECK_CONTAINS(buf_text(&f.answers), "200 1 ");
	f.neighbour.failures_left = 2;
	caller_get(f.caller, "/echo?q=2", &trace, remember, &f);
	wait_for(&f, 2);
	CHECK_INT(f.neighbour.asked, 4);
	CHECK_CONTAINS(buf_text(&f.answers), "|503 ");
}

TEST(many_calls_are_all_answered)
{
	enum { COUNT = 100 };
	scoped(close_fixture) struct fixture f;
	struct trace trace = trace_start(parent, NULL, "r-1");

	open_fixture(&f);
	for (int i = 0; i < COUNT; i++)
		caller_get(f.caller, "/echo?q=x", &trace, remember, &f);
	wait_for(&f, COUNT);
	CHECK_INT(f.neighbour.asked, COUNT);
}

TEST(a_neighbour_that_is_down_gives_no_answer_and_soon_is_not_asked)
{
	scoped(close_fixture) struct fixture f;
	struct trace trace = trace_start(parent, NULL, "r-1");

	open_fixture(&f);
	service_close(&f.trial.service);
	for (int i = 1; i <= 3; i++) {
		caller_get(f.caller, "/echo?q=x", &trace, remember, &f);
		wait_for(&f, i);
	}
	CHECK_TEXT(buf_text(&f.answers), "0 |0 |0 |");
}

TEST(a_caller_that_ends_tells_all_who_wait)
{
	scoped(close_fixture) struct fixture f;
	struct trace trace = trace_start(parent, NULL, "r-1");

	open_fixture(&f);
	service_close(&f.trial.service);
	for (int i = 0; i < 20; i++)
		caller_get(f.caller, "/echo?q=x", &trace, remember, &f);
	CHECK_INT(f.count, 0);
	caller_free(&f.caller);
	CHECK_INT(f.count, 20);
}

TEST_MAIN()
