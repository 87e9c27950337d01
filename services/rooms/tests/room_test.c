#include "tests/test.h"

#include "services/rooms/room.h"

#include "base/memory.h"

/* What is wrong with the room in the body; "" when it is fine. Owned by a static buffer. */
static const char *problem_of(const char *body)
{
	static char text[200];
	scoped(json_free) struct json *json = NULL;
	scoped(text_free) char *why = NULL;
	scoped(room_free) struct room room = {0};
	struct error err = {0};

	if (!json_parse(str_of(body), "body", NULL, &json, &err)) {
		error_free(&err);
		return "not JSON";
	}
	snprintf(text, sizeof(text), "%s", room_read(json, &room, &why) ? "" : why);
	return text;
}

TEST(a_room_is_read_with_its_equipment_sorted_and_each_once)
{
	scoped(json_free) struct json *json = NULL;
	scoped(text_free) char *why = NULL;
	scoped(room_free) struct room room = {0};
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);
	struct error err = {0};

	REQUIRE_OK(json_parse(str_of("{\"name\":\"Oak\",\"capacity\":12,\"floor\":-1,"
				     "\"equipment\":[\"video\",\"phone\",\"video\"]}"),
		"body", NULL, &json, &err));
	REQUIRE(room_read(json, &room, &why));
	memcpy(room.id, "0123456789abcdef", 17);
	room.version = 2;
	room_write(&w, &room);
	CHECK_TEXT(buf_text(&out),
		"{\"id\":\"0123456789abcdef\",\"name\":\"Oak\",\"capacity\":12,\"floor\":-1,"
		"\"equipment\":[\"phone\",\"video\"],\"version\":2,"
		"\"changed_at\":\"1970-01-01T00:00:00.000Z\"}");
}

TEST(floor_and_equipment_may_be_left_out)
{
	CHECK_TEXT(problem_of("{\"name\":\"Oak\",\"capacity\":1}"), "");
}

TEST(each_wrong_value_is_named)
{
	static const struct {
		const char *body, *word;
	} rows[] = {
		{"{\"capacity\":1}", "name"},
		{"{\"name\":\"\",\"capacity\":1}", "name"},
		{"{\"name\":\" Oak\",\"capacity\":1}", "name"},
		{"{\"name\":\"O\\nk\",\"capacity\":1}", "name"},
		{"{\"name\":7,\"capacity\":1}", "name"},
		{"{\"name\":\"Oak\"}", "capacity"},
		{"{\"name\":\"Oak\",\"capacity\":0}", "capacity"},
		{"{\"name\":\"Oak\",\"capacity\":10001}", "capacity"},
		{"{\"name\":\"Oak\",\"capacity\":1.5}", "capacity"},
		{"{\"name\":\"Oak\",\"capacity\":\"1\"}", "capacity"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"floor\":201}", "floor"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"floor\":null}", "floor"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"equipment\":\"tv\"}", "equipment"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"equipment\":[\"Big TV\"]}", "equipment"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"equipment\":[7]}", "equipment"},
		{"{\"name\":\"Oak\",\"capacity\":1,\"id\":\"x\"}", "\"id\" is unknown"},
	};

	for (size_t i = 0; i < countof(rows); i++)
		CHECK_CONTAINS(problem_of(rows[i].body), rows[i].word);
}

TEST_MAIN()
