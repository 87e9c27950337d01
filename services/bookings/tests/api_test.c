#include "tests/test.h"

#include "base/log.h"
#include "base/memory.h"
#include "services/bookings/api.h"
#include "services/kit/request.h"
#include "services/kit/trial.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* A stand-in for rooms, on the same loop: has r1 to r3, and can be made to fail. */
struct neighbour {
	bool fails, is_silent;
	int asked;
	char trace_id[TRACE_ID_SIZE];
	char query[100];
};

static void answer_room(struct request *request)
{
	struct neighbour *neighbour = request->context;
	const char *id = request_parameter(request, 0);
	struct buf body = {0};

	neighbour->asked++;
	memcpy(neighbour->trace_id, request->trace.trace_id, TRACE_ID_SIZE);
	if (neighbour->is_silent)
		return;
	if (neighbour->fails) {
		request_refuse(request, 500, "internal", "broken");
	} else if (strlen(id) == 2 && id[0] == 'r' && id[1] >= '1' && id[1] <= '3') {
		buf_printf(&body, "{\"id\":\"%s\"}", id);
		request_answer(request, 200, &body);
	} else {
		request_refuse(request, 404, "room_not_found", "no");
	}
}

static void answer_rooms(struct request *request)
{
	struct neighbour *neighbour = request->context;
	struct buf body = {0};

	snprintf(neighbour->query, sizeof(neighbour->query), "%s",
		http_exchange_target(request->exchange));
	if (request_query(request, "floor")) {
		request_refuse(request, 400, "invalid_parameter", "floor is wrong");
		return;
	}
	buf_append_text(&body,
		"{\"rooms\":[{\"id\":\"r1\"},{\"id\":\"r2\"},{\"id\":\"r3\"}],\"next\":\"Oak\"}");
	request_answer(request, 200, &body);
}

static const struct route neighbour_routes[] = {
	{"GET", "/rooms", answer_rooms},
	{"GET", "/rooms/{id}", answer_room},
};

/* bookings on a fresh folder, at 2026-11-20T08:00:00Z; rooms beside it on the same loop. */
struct fixture {
	struct trial trial;
	struct service *rooms;
	struct neighbour neighbour;
	struct bookings bookings;
	struct test_clock clock;
	char folder[64], url[64];
};

static void must(bool done, struct error *err)
{
	if (done)
		return;
	error_print(stderr, err, true);
	abort();
}

static void open_fixture_with_timeout(struct fixture *f, int64_t rooms_timeout_ms)
{
	static const struct service_settings settings = {.host = "127.0.0.1"};
	const char *temporary = getenv("TMPDIR");
	struct error err = {0};

	*f = (struct fixture){0};
	snprintf(f->folder, sizeof(f->folder), "%s/bookings-XXXXXX",
		temporary ? temporary : "/tmp");
	if (!mkdtemp(f->folder))
		abort();
	log_setup(LOG_PLAIN, LOG_ERROR, 2);
	must(loop_new(&f->trial.loop, &err), &err);
	must(service_open(f->trial.loop,
		     &(struct service_plan){.name = "rooms",
			     .routes = neighbour_routes,
			     .route_count = countof(neighbour_routes),
			     .context = &f->neighbour},
		     &settings, &f->rooms, &err),
		&err);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", service_port(f->rooms));
	test_clock_init(&f->clock, 1795161600000);
	f->bookings = (struct bookings){.data_dir = f->folder,
		.rooms_url = f->url,
		.rooms_timeout_ms = rooms_timeout_ms,
		.rooms_cache_ms = 10000,
		.clock = &f->clock.clock};
	struct service_plan plan = bookings_plan(&f->bookings);
	must(service_open(f->trial.loop, &plan, &settings, &f->trial.service, &err), &err);
}

static void open_fixture(struct fixture *f)
{
	open_fixture_with_timeout(f, 5000);
}

static void close_fixture(struct fixture *f)
{
	static const char *const files[] = {"bookings.db", "bookings.db-wal", "bookings.db-shm"};

	service_close(&f->trial.service);
	service_close(&f->rooms);
	loop_free(&f->trial.loop);
	for (size_t i = 0; i < countof(files); i++) {
		scoped(text_free) char *path = memory_format("%s/%s", f->folder, files[i]);

		unlink(path);
	}
	rmdir(f->folder);
}

static struct reply ask(struct fixture *f, const char *method, const char *target, const char *body)
{
	return trial_ask(&f->trial, method, target, "", body);
}

/* On the 21st of November 2026, between two full hours. */
static const char *booking_of(const char *room, int from_hour, int to_hour)
{
	static char body[200];

	snprintf(body, sizeof(body),
		"{\"room_id\":\"%s\",\"starts\":\"2026-11-21T%02d:00:00Z\","
		"\"ends\":\"2026-11-21T%02d:00:00Z\"}",
		room, from_hour, to_hour);
	return body;
}

TEST(a_booking_is_made_read_and_cancelled)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply made =
		ask(&f, "POST", "/bookings", booking_of("r1", 9, 10));
	CHECK_INT(made.status, 201);
	scoped(text_free) char *path =
		memory_format("/bookings/%s", json_get_text(made.json, "id", ""));
	CHECK_CONTAINS(buf_text(&made.head), path);
	CHECK_TEXT(json_get_text(made.json, "status", ""), "booked");
	scoped(reply_free) struct reply taken =
		ask(&f, "POST", "/bookings", booking_of("r1", 9, 10));
	CHECK_INT(taken.status, 409);
	CHECK_TEXT(reply_error_code(&taken), "room_taken");
	scoped(reply_free) struct reply cancelled = ask(&f, "DELETE", path, NULL);
	CHECK_INT(cancelled.status, 204);
	scoped(reply_free) struct reply again = ask(&f, "DELETE", path, NULL);
	CHECK_INT(again.status, 204);
	scoped(reply_free) struct reply got = ask(&f, "GET", path, NULL);
	CHECK_TEXT(json_get_text(got.json, "status", ""), "cancelled");
	scoped(reply_free) struct reply free_again =
		ask(&f, "POST", "/bookings", booking_of("r1", 9, 10));
	CHECK_INT(free_again.status, 201);
	scoped(reply_free) struct reply nobody = ask(&f, "DELETE", "/bookings/x", NULL);
	CHECK_INT(nobody.status, 404);
}

TEST(rooms_is_asked_once_and_again_when_the_memory_is_old)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	for (int hour = 1; hour < 6; hour++) {
		scoped(reply_free) struct reply reply =
			ask(&f, "POST", "/bookings", booking_of("r1", hour, hour + 1));
		CHECK_INT(reply.status, 201);
	}
	CHECK_INT(f.neighbour.asked, 1);
	f.clock.time_ms += 10000;
	scoped(reply_free) struct reply reply =
		ask(&f, "POST", "/bookings", booking_of("r1", 6, 7));
	CHECK_INT(reply.status, 201);
	CHECK_INT(f.neighbour.asked, 2);
}

TEST(the_trace_reaches_rooms)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply reply = trial_ask(&f.trial, "POST", "/bookings",
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
		booking_of("r1", 9, 10));
	CHECK_INT(reply.status, 201);
	CHECK_TEXT(f.neighbour.trace_id, "0af7651916cd43dd8448eb211c80319c");
}

TEST(an_unknown_room_and_a_neighbour_that_fails_are_told_apart)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply unknown =
		ask(&f, "POST", "/bookings", booking_of("r9", 9, 10));
	CHECK_INT(unknown.status, 422);
	CHECK_TEXT(reply_error_code(&unknown), "room_unknown");
	f.neighbour.fails = true;
	scoped(reply_free) struct reply broken =
		ask(&f, "POST", "/bookings", booking_of("r1", 9, 10));
	CHECK_INT(broken.status, 503);
	CHECK_TEXT(reply_error_code(&broken), "rooms_unavailable");
	CHECK_CONTAINS(buf_text(&broken.head), "\r\nRetry-After: 1\r\n");
	service_close(&f.rooms);
	scoped(reply_free) struct reply down =
		ask(&f, "POST", "/bookings", booking_of("r2", 9, 10));
	CHECK_INT(down.status, 503);
	/* What needs no rooms goes on. */
	scoped(reply_free) struct reply ready = ask(&f, "GET", "/ready", NULL);
	CHECK_INT(ready.status, 200);
}

TEST(a_request_made_again_with_its_key_is_answered_the_same)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply first = trial_ask(&f.trial, "POST", "/bookings",
		"Idempotency-Key: k-1\r\n", booking_of("r1", 9, 10));
	CHECK_INT(first.status, 201);
	scoped(reply_free) struct reply again = trial_ask(&f.trial, "POST", "/bookings",
		"Idempotency-Key: k-1\r\n", booking_of("r1", 9, 10));
	CHECK_INT(again.status, 201);
	CHECK_CONTAINS(buf_text(&again.head), "\r\nIdempotency-Replayed: true\r\n");
	CHECK_TEXT(buf_text(&again.body), buf_text(&first.body));
	scoped(reply_free) struct reply other = trial_ask(&f.trial, "POST", "/bookings",
		"Idempotency-Key: k-1\r\n", booking_of("r1", 11, 12));
	CHECK_INT(other.status, 422);
	CHECK_TEXT(reply_error_code(&other), "idempotency_key_reused");
	scoped(reply_free) struct reply nonsense = trial_ask(&f.trial, "POST", "/bookings",
		"Idempotency-Key: a b\r\n", booking_of("r1", 11, 12));
	CHECK_INT(nonsense.status, 400);
}

TEST(of_two_hundred_at_once_one_wins_and_nobody_gets_an_error_of_ours)
{
	enum { COUNT = 200 };
	scoped(close_fixture) struct fixture f;
	struct reply replies[COUNT];
	int made = 0, taken = 0;

	open_fixture(&f);
	trial_ask_all(&f.trial, "POST", "/bookings", "", booking_of("r1", 9, 10), replies, COUNT);
	for (int i = 0; i < COUNT; i++) {
		made += replies[i].status == 201;
		taken += replies[i].status == 409;
		reply_free(&replies[i]);
	}
	CHECK_INT(made, 1);
	CHECK_INT(taken, COUNT - 1);
	/* All of them waited for one answer of rooms. */
	CHECK_INT(f.neighbour.asked, 1);
}

TEST(a_service_that_ends_while_rooms_is_asked_leaves_nothing_behind)
{
	scoped(close_fixture) struct fixture f;
	const char *body = booking_of("r1", 9, 10);
	char request[500];

	open_fixture_with_timeout(&f, 50);
	f.neighbour.is_silent = true;
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)service_port(f.trial.service)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int size = snprintf(request, sizeof(request),
		"POST /bookings HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
		body);
	REQUIRE(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
	REQUIRE(send(client, request, (size_t)size, 0) == size);
	while (f.neighbour.asked == 0)
		if (!loop_turn(f.trial.loop, -1, NULL))
			abort();
	/* The address sanitizer sees what would be left. */
	service_close(&f.trial.service);
	CHECK_INT(read(client, request, sizeof(request)), 0);
	close(client);
}

TEST(free_rooms_are_those_of_rooms_without_a_booking_then)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply booked =
		ask(&f, "POST", "/bookings", booking_of("r2", 9, 11));
	scoped(reply_free) struct reply found = ask(&f, "GET",
		"/bookings/free-rooms?starts=2026-11-21T10:00:00Z&ends=2026-11-21T12:00:00Z"
		"&min_capacity=4&equipment=video,phone&q=a%26b",
		NULL);
	CHECK_INT(found.status, 200);
	CHECK_TEXT(buf_text(&found.body),
		"{\"rooms\":[{\"id\":\"r1\"},{\"id\":\"r3\"}],\"next\":\"Oak\"}\n");
	CHECK_TEXT(f.neighbour.query, "/rooms?min_capacity=4&equipment=video,phone&q=a%26b");
	scoped(reply_free) struct reply no_time = ask(&f, "GET", "/bookings/free-rooms", NULL);
	CHECK_INT(no_time.status, 400);
	scoped(reply_free) struct reply refused = ask(&f, "GET",
		"/bookings/"
		"free-rooms?starts=2026-11-21T10:00:00Z&ends=2026-11-21T12:00:00Z&floor=x",
		NULL);
	CHECK_INT(refused.status, 400);
	CHECK_CONTAINS(buf_text(&refused.body), "floor is wrong");
}

TEST(bookings_are_listed_by_room_and_in_pages)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	for (int hour = 9; hour < 12; hour++) {
		scoped(reply_free) struct reply reply =
			ask(&f, "POST", "/bookings", booking_of("r1", hour, hour + 1));
		CHECK_INT(reply.status, 201);
	}
	scoped(reply_free) struct reply first =
		ask(&f, "GET", "/bookings?room_id=r1&limit=2", NULL);
	CHECK_INT(json_count(json_get(first.json, "bookings")), 2);
	scoped(text_free) char *next = memory_format("/bookings?room_id=r1&limit=2&after=%s",
		json_get_text(first.json, "next", ""));
	scoped(reply_free) struct reply second = ask(&f, "GET", next, NULL);
	CHECK_INT(json_count(json_get(second.json, "bookings")), 1);
	CHECK_TEXT(json_get_text(json_at(json_get(second.json, "bookings"), 0), "starts", ""),
		"2026-11-21T11:00:00.000Z");
	CHECK(json_get_text(second.json, "next", NULL) == NULL);
	scoped(reply_free) struct reply none = ask(&f, "GET", "/bookings?room_id=r2", NULL);
	CHECK_INT(json_count(json_get(none.json, "bookings")), 0);
	scoped(reply_free) struct reply wrong = ask(&f, "GET", "/bookings?from=now", NULL);
	CHECK_INT(wrong.status, 400);
	scoped(reply_free) struct reply after = ask(&f, "GET", "/bookings?after=x", NULL);
	CHECK_INT(after.status, 400);
}

TEST(bodies_that_make_no_sense_are_refused)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply none = ask(&f, "POST", "/bookings", "");
	CHECK_INT(none.status, 400);
	scoped(reply_free) struct reply wrong =
		ask(&f, "POST", "/bookings", booking_of("r1", 10, 9));
	CHECK_INT(wrong.status, 422);
	CHECK_TEXT(reply_error_code(&wrong), "invalid_booking");
	CHECK_INT(f.neighbour.asked, 0);
}

TEST_MAIN()
