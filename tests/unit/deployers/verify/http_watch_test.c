#include "tests/test.h"

#include "base/memory.h"
#include "deployers/verify/http_watch.h"
#include "tests/unit/base/fake_server.h"

#include <unistd.h>

static const struct http_check two_seconds = {.http = "/health", .for_ms = 2000};

/* Refuses so many requests, then answers so many with 200, all others with 503. */
struct service {
	struct fake_server *server;
	int good, refused;
	char *host; /* owned: the Host header that came last */
};

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct service *service = context;

	text_free(&service->host);
	service->host = fake_header(request, "Host");
	if (service->refused-- > 0)
		return;
	fake_reply(out, service->good-- > 0 ? 200 : 503, "", str_literal("text"));
}

static void service_free(struct service *service)
{
	fake_server_stop(&service->server);
	text_free(&service->host);
}

struct scene {
	struct service service;
	struct test_clock clock;
	struct http_watch watch;
	char *url; /* owned */
};

static void scene_free(struct scene *scene)
{
	http_watch_free(&scene->watch);
	service_free(&scene->service);
	text_free(&scene->url);
}

static void scene_start(struct scene *scene, int good, int refused)
{
	scene->service = (struct service){.good = good, .refused = refused};
	scene->service.server = fake_server_start(NULL, answer, &scene->service);
	test_clock_init(&scene->clock, 0);
	scene->watch.clock = &scene->clock.clock;
	scene->url = memory_format("http://127.0.0.1:%d/health",
		fake_server_port(scene->service.server));
}

TEST(what_holds_passes)
{
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};

	scene_start(&scene, 1000, 3);
	http_watch_add(&scene.watch, &two_seconds, memory_copy_text(scene.url), "rooms.example");
	REQUIRE_OK(http_watch_run(&scene.watch, &err));
	CHECK_INT(scene.watch.probes[0].step, HTTP_CHECK_PASSED);
	CHECK(!scene.watch.probes[0].cause);
	CHECK(scene.watch.probes[0].state.answers > 10);
	CHECK(fake_server_requests(scene.service.server) > 10); /* and takes its lock */
	CHECK_TEXT(scene.service.host, "rooms.example");
}

TEST(what_turns_bad_fails_and_ends_the_others)
{
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};

	scene_start(&scene, 5, 0);
	http_watch_add(&scene.watch, &two_seconds, memory_copy_text(scene.url), NULL);
	http_watch_add(&scene.watch,
		&(const struct http_check){.http = "/health", .expect = 503, .for_ms = 3600000},
		memory_copy_text(scene.url), NULL);
	REQUIRE_OK(http_watch_run(&scene.watch, &err));
	CHECK_INT(scene.watch.probes[0].step, HTTP_CHECK_FAILED);
	scoped(text_free) char *expected =
		memory_format("GET %s answered 503, expected 200 (2 times)", scene.url);

	CHECK_TEXT(scene.watch.probes[0].cause, expected);
	CHECK_INT(scene.watch.probes[1].step, HTTP_CHECK_GO_ON);
}

TEST(nobody_there_is_waited_for_and_then_told)
{
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};

	scene_start(&scene, 0, 0);
	fake_server_stop(&scene.service.server);
	http_watch_add(&scene.watch, &two_seconds, memory_copy_text(scene.url), NULL);
	REQUIRE_OK(http_watch_run(&scene.watch, &err));
	CHECK_INT(scene.watch.probes[0].step, HTTP_CHECK_FAILED);
	CHECK_CONTAINS(scene.watch.probes[0].cause, " got no answer, expected 200 (");
	CHECK(scene.clock.time_ms >= HTTP_CHECK_GRACE_MS);
}

TEST(told_to_stop_it_stops)
{
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};
	int ends[2];

	scene_start(&scene, 1000, 0);
	REQUIRE(pipe(ends) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	scene.watch.cancel_fd = ends[0];
	http_watch_add(&scene.watch, &two_seconds, memory_copy_text(scene.url), NULL);
	CHECK_FAILS(http_watch_run(&scene.watch, &err), ERROR_CANCELLED);
	close(ends[0]);
	close(ends[1]);
}

/* Looks for us: cannot for so many times, sees nothing to judge as often, then all is right. */
struct looking {
	int failing, unknown;
	enum error_kind kind;
};

static bool look(void *context, struct http_seen *out_seen, struct error *err)
{
	struct looking *looking = context;

	if (looking->failing && looking->failing--)
		return error_raise(err, looking->kind, "no answer");
	if (looking->unknown && looking->unknown--)
		*out_seen = (struct http_seen){.trouble = memory_copy_text("it is new")};
	else
		*out_seen = (struct http_seen){.known = true, .right = true};
	return true;
}

static bool watch(struct scene *scene, struct looking *looking, struct error *err)
{
	struct http_watcher watcher = {.look = look, .context = looking, .least_ms = 1000};

	test_clock_init(&scene->clock, 0);
	scene->watch.clock = &scene->clock.clock;
	http_watch_add(&scene->watch, &two_seconds, memory_copy_text("/health"), NULL)->watcher =
		&watcher;
	return http_watch_run(&scene->watch, err);
}

TEST(a_watcher_may_be_without_an_answer_for_a_while)
{
	scoped(scene_free) struct scene scene = {0}, endless = {0}, silent = {0}, denied = {0};
	struct error err = {0};

	REQUIRE_OK(watch(&scene, &(struct looking){3, 30, ERROR_UNAVAILABLE}, &err));
	CHECK_INT(scene.watch.probes[0].step, HTTP_CHECK_PASSED);
	CHECK_INT(scene.watch.probes[0].state.answers, 3); /* one a second */
	REQUIRE_OK(watch(&endless, &(struct looking){0, 1000, ERROR_NONE}, &err));
	CHECK_INT(endless.watch.probes[0].step, HTTP_CHECK_FAILED);
	CHECK_TEXT(endless.watch.probes[0].cause, "it is new");
	/* Who cannot look does not know that anything is wrong. */
	CHECK_FAILS(watch(&silent, &(struct looking){1000, 0, ERROR_UNAVAILABLE}, &err),
		ERROR_UNAVAILABLE);
	CHECK_FAILS(watch(&denied, &(struct looking){1, 0, ERROR_DENIED}, &err), ERROR_DENIED);
	CHECK_INT(denied.clock.time_ms, 0);
}

TEST_MAIN()
