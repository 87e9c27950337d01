#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/task_definition.h"

static struct json *parse(const char *text)
{
	struct json *value = NULL;
	struct error err = {0};

	CHECK_OK(json_parse(str_of(text), "test", NULL, &value, &err));
	error_free(&err);
	return value;
}

static char *written(const struct json *value)
{
	struct buf out = {0};

	json_write(value, &out);
	return buf_take(&out);
}

/* The nine members that only answers have; everything else stays, also what we do not know. */
TEST(a_running_definition_can_be_registered_again)
{
	scoped(json_free) struct json *answer =
		parse("{\"taskDefinition\":{\"taskDefinitionArn\":\"arn\",\"family\":\"rooms\","
		      "\"revision\":7,\"status\":\"ACTIVE\",\"requiresAttributes\":[],"
		      "\"compatibilities\":[],\"registeredAt\":1.5,\"deregisteredAt\":1,"
		      "\"deleteRequestedAt\":1,\"registeredBy\":\"me\",\"pidMode\":\"task\","
		      "\"newMember\":{\"x\":1}},\"tags\":[{\"key\":\"team\",\"value\":\"a\"},"
		      "{\"key\":\"aws:cloudformation:stack\",\"value\":\"b\"}]}");
	scoped(json_free) struct json *definition = definition_of_answer(answer);
	scoped(text_free) char *text = written(definition);

	CHECK_TEXT(text, "{\"family\":\"rooms\",\"pidMode\":\"task\",\"newMember\":{\"x\":1},"
			 "\"tags\":[{\"key\":\"team\",\"value\":\"a\"}]}");
}

static void check_same(const char *a, const char *b, bool expected)
{
	scoped(json_free) struct json *x = parse(a), *y = parse(b);

	if (definition_equal(x, y) != expected)
		TEST_FAIL("%s and %s: expected %s", a, b, expected ? "equal" : "different");
}

TEST(what_ecs_fills_in_makes_no_difference)
{
	check_same("{\"family\":\"r\",\"cpu\":256,\"containerDefinitions\":[{\"name\":\"app\","
		   "\"image\":\"i\",\"portMappings\":[{\"containerPort\":8080}],"
		   "\"environment\":[{\"name\":\"B\",\"value\":\"2\"},{\"name\":\"A\",\"value\":"
		   "\"1\"}],\"healthCheck\":{\"command\":[\"CMD\",\"x\"]}}]}",
		"{\"family\":\"r\",\"cpu\":\"256\",\"revision\":3,\"volumes\":[],"
		"\"placementConstraints\":[],\"containerDefinitions\":[{\"name\":\"app\","
		"\"image\":\"i\",\"cpu\":0,\"essential\":true,\"mountPoints\":[],"
		"\"portMappings\":[{\"containerPort\":8080,\"hostPort\":8080,\"protocol\":\"tcp\"}]"
		","
		"\"environment\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":"
		"\"2\"}],\"volumesFrom\":[],\"healthCheck\":{\"command\":[\"CMD\",\"x\"],"
		"\"interval\":30,\"timeout\":5,\"retries\":3}}]}",
		true);
}

TEST(what_matters_makes_a_difference)
{
	check_same("{\"family\":\"a\"}", "{\"family\":\"b\"}", false);
	check_same("{\"cpu\":256}", "{\"cpu\":512}", false);
	check_same("{\"containerDefinitions\":[{\"name\":\"a\",\"command\":[\"x\",\"y\"]}]}",
		"{\"containerDefinitions\":[{\"name\":\"a\",\"command\":[\"y\",\"x\"]}]}", false);
	check_same("{\"containerDefinitions\":[{\"name\":\"a\",\"essential\":false}]}",
		"{\"containerDefinitions\":[{\"name\":\"a\"}]}", false);
	check_same("{\"containerDefinitions\":[{\"portMappings\":[{\"containerPort\":80,"
		   "\"hostPort\":8080}]}]}",
		"{\"containerDefinitions\":[{\"portMappings\":[{\"containerPort\":80}]}]}", false);
	check_same("{\"newMember\":1}", "{}", false);
}

TEST(the_image_goes_where_it_belongs)
{
	scoped(json_free) struct json *one =
		parse("{\"containerDefinitions\":[{\"name\":\"app\"}]}");
	scoped(json_free) struct json *two = parse("{\"containerDefinitions\":[{\"name\":\"proxy\","
						   "\"image\":\"p\"},{\"name\":\"rooms\"}]}");
	struct error err = {0};

	CHECK_OK(definition_set_image(one, "rooms", "i@sha256:1", &err));
	CHECK(definition_has_image(one, "i@sha256:1"));
	CHECK_OK(definition_set_image(two, "rooms", "i@sha256:1", &err));
	CHECK(definition_has_image(two, "i@sha256:1") && definition_has_image(two, "p"));
	CHECK_FAILS(definition_set_image(two, "bookings", "i", &err), ERROR_USAGE);
}

TEST(a_definition_without_a_name_is_refused)
{
	static const char *const rows[] = {"[]", "{}", "{\"family\":\"x\"}",
		"{\"family\":\"x\",\"containerDefinitions\":[]}",
		"{\"family\":\"x\",\"containerDefinitions\":[{}]}"};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(json_free) struct json *value = parse(rows[i]);
		struct error err = {0};

		CHECK_FAILS(definition_check(value, "task.json", &err), ERROR_USAGE);
	}
}

TEST_MAIN()
