#include "tests/test.h"

#include "base/memory.h"
#include "services/kit/trial.h"
#include "services/rooms/api.h"

#include <unistd.h>

/* The service on a fresh folder, at 2026-11-20T08:00:00Z. */
struct fixture {
	struct trial trial;
	struct rooms rooms;
	struct test_clock clock;
	char folder[64];
};

static void open_fixture(struct fixture *f)
{
	const char *temporary = getenv("TMPDIR");

	*f = (struct fixture){0};
	snprintf(f->folder, sizeof(f->folder), "%s/rooms-XXXXXX", temporary ? temporary : "/tmp");
	if (!mkdtemp(f->folder))
		abort();
	test_clock_init(&f->clock, 1795161600000);
	f->rooms.data_dir = f->folder;
	f->rooms.clock = &f->clock.clock;
	struct service_plan plan = rooms_plan(&f->rooms);
	trial_open(&f->trial, &plan);
}

static void close_fixture(struct fixture *f)
{
	static const char *const files[] = {"rooms.db", "rooms.db-wal", "rooms.db-shm"};

	trial_close(&f->trial);
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

/* Adds a room; its id is in a static buffer until the next call. */
static const char *add(struct fixture *f, const char *body)
{
	static char path[64];
	scoped(reply_free) struct reply reply = ask(f, "POST", "/rooms", body);

	if (reply.status != 201)
		TEST_FAIL("POST answered %d: %s", reply.status, buf_text(&reply.body));
	snprintf(path, sizeof(path), "/rooms/%s", json_get_text(reply.json, "id", ""));
	return path;
}

TEST(a_room_is_created_read_changed_and_deleted)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply made = ask(&f, "POST", "/rooms",
		"{\"name\":\"Oak\",\"capacity\":8,\"equipment\":[\"video\"]}");
	CHECK_INT(made.status, 201);
	const char *id = json_get_text(made.json, "id", "");
	scoped(text_free) char *path = memory_format("/rooms/%s", id);
	scoped(text_free) char *location = memory_format("\r\nLocation: %s\r\n", path);
	CHECK_CONTAINS(buf_text(&made.head), location);
	CHECK_CONTAINS(buf_text(&made.head), "\r\nETag: \"1\"\r\n");
	CHECK_TEXT(json_get_text(made.json, "changed_at", ""), "2026-11-20T08:00:00.000Z");

	scoped(reply_free) struct reply got = ask(&f, "GET", path, NULL);
	CHECK_INT(got.status, 200);
	CHECK(json_equal(got.json, made.json));

	scoped(reply_free) struct reply put =
		ask(&f, "PUT", path, "{\"name\":\"Elm\",\"capacity\":9}");
	CHECK_INT(put.status, 200);
	CHECK_TEXT(json_get_text(put.json, "name", ""), "Elm");
	CHECK_INT(json_get_int(put.json, "version", 0), 2);
	CHECK_INT(json_count(json_get(put.json, "equipment")), 0);

	scoped(reply_free) struct reply gone = ask(&f, "DELETE", path, NULL);
	CHECK_INT(gone.status, 204);
	CHECK_INT(gone.body.size, 0);
	scoped(reply_free) struct reply missing = ask(&f, "GET", path, NULL);
	CHECK_INT(missing.status, 404);
	CHECK_TEXT(reply_error_code(&missing), "room_not_found");
}

TEST(names_are_unique)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	add(&f, "{\"name\":\"Oak\",\"capacity\":8}");
	const char *elm = add(&f, "{\"name\":\"Elm\",\"capacity\":8}");
	scoped(reply_free) struct reply post =
		ask(&f, "POST", "/rooms", "{\"name\":\"Oak\",\"capacity\":1}");
	CHECK_INT(post.status, 409);
	CHECK_TEXT(reply_error_code(&post), "name_taken");
	scoped(reply_free) struct reply put =
		ask(&f, "PUT", elm, "{\"name\":\"Oak\",\"capacity\":1}");
	CHECK_INT(put.status, 409);
}

TEST(a_change_made_for_another_version_is_refused)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	const char *path = add(&f, "{\"name\":\"Oak\",\"capacity\":8}");
	const char *body = "{\"name\":\"Oak\",\"capacity\":9}";
	scoped(reply_free) struct reply first =
		trial_ask(&f.trial, "PUT", path, "If-Match: \"1\"\r\n", body);
	CHECK_INT(first.status, 200);
	scoped(reply_free) struct reply second =
		trial_ask(&f.trial, "PUT", path, "If-Match: \"1\"\r\n", body);
	CHECK_INT(second.status, 412);
	CHECK_TEXT(reply_error_code(&second), "version_changed");
	scoped(reply_free) struct reply deletion =
		trial_ask(&f.trial, "DELETE", path, "If-Match: \"1\"\r\n", NULL);
	CHECK_INT(deletion.status, 412);
	scoped(reply_free) struct reply nonsense =
		trial_ask(&f.trial, "PUT", path, "If-Match: 1\r\n", body);
	CHECK_INT(nonsense.status, 400);
}

TEST(what_does_not_exist_is_not_changed_or_deleted)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply put =
		ask(&f, "PUT", "/rooms/0123456789abcdef", "{\"name\":\"Oak\",\"capacity\":9}");
	CHECK_INT(put.status, 404);
	scoped(reply_free) struct reply long_id = ask(&f, "PUT",
		"/rooms/0123456789abcdef0123456789abcdef", "{\"name\":\"Oak\",\"capacity\":9}");
	CHECK_INT(long_id.status, 404);
	scoped(reply_free) struct reply deletion = ask(&f, "DELETE", "/rooms/x", NULL);
	CHECK_INT(deletion.status, 404);
}

TEST(bodies_that_make_no_sense_are_refused)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply none = ask(&f, "POST", "/rooms", "");
	CHECK_INT(none.status, 400);
	CHECK_TEXT(reply_error_code(&none), "invalid_json");
	scoped(reply_free) struct reply list = ask(&f, "POST", "/rooms", "[1]");
	CHECK_INT(list.status, 400);
	scoped(reply_free) struct reply wrong = ask(&f, "POST", "/rooms", "{\"name\":\"Oak\"}");
	CHECK_INT(wrong.status, 422);
	CHECK_TEXT(reply_error_code(&wrong), "invalid_room");
}

/* The names that a search gives, joined by ','; then "next" if there is more. */
static const char *search(struct fixture *f, const char *target)
{
	static char names[500];
	scoped(reply_free) struct reply reply = ask(f, "GET", target, NULL);
	const struct json *rooms = json_get(reply.json, "rooms");
	size_t size = 0;

	if (reply.status != 200) {
		snprintf(names, sizeof(names), "%d", reply.status);
		return names;
	}
	names[0] = '\0';
	for (size_t i = 0; i < json_count(rooms); i++)
		size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s", i ? "," : "",
			json_get_text(json_at(rooms, i), "name", "?"));
	snprintf(names + size, sizeof(names) - size, "%s%s",
		json_is_text(json_get(reply.json, "next")) ? " next " : "",
		json_get_text(reply.json, "next", ""));
	return names;
}

static void add_five(struct fixture *f)
{
	add(f, "{\"name\":\"Oak\",\"capacity\":4,\"equipment\":[\"video\"]}");
	add(f, "{\"name\":\"Ash\",\"capacity\":8,\"floor\":2,\"equipment\":[\"video\",\"phone\"]}");
	add(f, "{\"name\":\"Elm\",\"capacity\":12,\"floor\":2}");
	add(f, "{\"name\":\"Fir 100%\",\"capacity\":20,\"equipment\":[\"video-wall\"]}");
	add(f, "{\"name\":\"Yew_1\",\"capacity\":2}");
}

TEST(rooms_are_found_by_size_floor_equipment_and_name)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	add_five(&f);
	CHECK_TEXT(search(&f, "/rooms"), "Ash,Elm,Fir 100%,Oak,Yew_1");
	CHECK_TEXT(search(&f, "/rooms?min_capacity=8"), "Ash,Elm,Fir 100%");
	CHECK_TEXT(search(&f, "/rooms?floor=2&min_capacity=10"), "Elm");
	CHECK_TEXT(search(&f, "/rooms?equipment=video"), "Ash,Oak");
	CHECK_TEXT(search(&f, "/rooms?equipment=phone,video"), "Ash");
	CHECK_TEXT(search(&f, "/rooms?equipment=screen"), "");
	CHECK_TEXT(search(&f, "/rooms?q=a"), "Ash,Oak");
	CHECK_TEXT(search(&f, "/rooms?q=0%25"), "Fir 100%");
	CHECK_TEXT(search(&f, "/rooms?q=w_1"), "Yew_1");
	CHECK_TEXT(search(&f, "/rooms?q=_"), "Yew_1");
}

TEST(a_long_list_comes_in_pages)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	add_five(&f);
	CHECK_TEXT(search(&f, "/rooms?limit=2"), "Ash,Elm next Elm");
	CHECK_TEXT(search(&f, "/rooms?limit=2&after=Elm"), "Fir 100%,Oak next Oak");
	CHECK_TEXT(search(&f, "/rooms?limit=2&after=Oak"), "Yew_1");
	/* Exactly as many as fit is the last page, also with a filter. */
	CHECK_TEXT(search(&f, "/rooms?limit=5"), "Ash,Elm,Fir 100%,Oak,Yew_1");
	CHECK_TEXT(search(&f, "/rooms?limit=2&equipment=video"), "Ash,Oak");
	CHECK_TEXT(search(&f, "/rooms?limit=0"), "400");
	CHECK_TEXT(search(&f, "/rooms?limit=201"), "400");
	CHECK_TEXT(search(&f, "/rooms?equipment=Big%20TV"), "400");
}

TEST(two_tasks_share_one_database)
{
	scoped(close_fixture) struct fixture f;
	struct trial second;

	open_fixture(&f);
	struct rooms state = {.data_dir = f.folder};
	struct service_plan plan = rooms_plan(&state);
	trial_open(&second, &plan);
	const char *path = add(&f, "{\"name\":\"Oak\",\"capacity\":4}");
	scoped(reply_free) struct reply seen = trial_ask(&second, "GET", path, "", NULL);
	CHECK_INT(seen.status, 200);
	trial_close(&second);
}

TEST(it_is_ready_once_its_database_is_open)
{
	scoped(close_fixture) struct fixture f;

	open_fixture(&f);
	scoped(reply_free) struct reply reply = ask(&f, "GET", "/ready", NULL);
	CHECK_INT(reply.status, 200);
}

TEST_MAIN()
