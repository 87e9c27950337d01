#include "tests/test.h"

#include "base/event.h"

struct seen {
	int count;
	const char *name;
	int64_t value;
};

static void take(void *self, const struct event *event)
{
	struct seen *seen = self;

	seen->count++;
	seen->name = event->name;
	seen->value = json_int(json_get(event->fields, "n"), -1);
}

TEST(every_sink_sees_every_event_until_it_is_removed)
{
	struct seen a = {0}, b = {0};
	struct event_sink first = {take, &a, NULL}, second = {take, &b, NULL};
	struct json *fields = json_object_new();

	json_set(fields, "n", json_int_new(7));
	event_emit("nobody.listens", NULL);
	event_add_sink(&first);
	event_add_sink(&second);
	event_emit("service.skipped", fields);
	CHECK_TEXT(a.name, "service.skipped");
	CHECK_INT(b.value, 7);
	event_remove_sink(&first);
	event_emit("service.built", NULL);
	CHECK_INT(a.count, 1);
	CHECK_INT(b.count, 2);
	CHECK_INT(b.value, -1);
	event_remove_sink(&second);
	event_remove_sink(&second);
}

TEST_MAIN()
