#include "tests/test.h"

#include "base/aws.h"
#include "base/memory.h"
#include "base/sigv4.h"
#include "tests/unit/base/fake_server.h"

/* 2026-11-20T08:00:00Z */
static const int64_t start_ms = 1795161600000;

struct reply {
	int status; /* -1: the connection is closed without an answer */
	const char *headers, *body;
};

/* Answers in order, ended by status 0; the last one stays. */
struct script {
	const struct reply *answers;
	int served;
	struct strings heads, bodies;
};

static void script_free(struct script *script)
{
	strings_free(&script->heads);
	strings_free(&script->bodies);
}

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct script *script = context;
	const struct reply *reply = &script->answers[script->served];

	strings_add(&script->heads, request->head);
	strings_add_owned(&script->bodies, str_copy(request->body));
	if (script->answers[script->served + 1].status)
		script->served++;
	if (reply->status > 0)
		fake_reply(out, reply->status, reply->headers, str_of(reply->body));
}

#define OK_JSON                                                                                    \
	{                                                                                          \
		200, "", "{\"services\":[{}]}"                                                     \
	}
#define BUSY                                                                                       \
	{                                                                                          \
		503, "", ""                                                                        \
	}
#define THROTTLED                                                                                  \
	{                                                                                          \
		400, "", "{\"__type\":\"ns#ThrottlingException\",\"message\":\"Rate exceeded\"}"   \
	}

static void clean_environment(void)
{
	static const char *const names[] = {"AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN",
		"AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL_ECS", "http_proxy", "AWS_DEFAULT_REGION"};

	for (size_t i = 0; i < countof(names); i++)
		unsetenv(names[i]);
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key", 1);
	setenv("AWS_REGION", "us-east-1", 1);
}

struct scene {
	struct script script;
	struct fake_server *server;
	struct aws *aws;
	struct test_clock clock;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	aws_free(&scene->aws);
	fake_server_stop(&scene->server);
	script_free(&scene->script);
	error_free(&scene->err);
}

static bool scene_start(struct scene *scene, const struct reply *answers)
{
	clean_environment();
	scene->script.answers = answers;
	scene->server = fake_server_start(NULL, answer, &scene->script);
	scoped(text_free) char *url =
		memory_format("http://127.0.0.1:%d", fake_server_port(scene->server));

	test_clock_init(&scene->clock, start_ms);
	struct error err = {0};

	CHECK_OK(aws_new(&(struct aws_options){.endpoint = url, .clock = &scene->clock.clock},
		&scene->aws, &err));
	error_free(&err);
	return scene->aws != NULL;
}

#define SCENE(...)                                                                                 \
	static const struct reply answers[] = {__VA_ARGS__, {0}};                                  \
	scoped(scene_free) struct scene scene = {0};                                               \
	scoped(json_free) struct json *output = NULL;                                              \
	struct aws_failure failure = {0};                                                          \
	struct error err = {0};                                                                    \
	REQUIRE(scene_start(&scene, answers))

TEST(a_json_call_is_signed_and_answered)
{
	SCENE(OK_JSON);
	scoped(json_free) struct json *input = json_object_of("cluster", json_text_new("c"), NULL);

	REQUIRE_OK(aws_call(scene.aws, "ecs", "DescribeServices", input, &output, &failure, &err));
	CHECK_INT(json_count(json_get(output, "services")), 1);
	const char *head = scene.script.heads.items[0];

	CHECK_CONTAINS(head, "POST / HTTP/1.1\r\n");
	CHECK_CONTAINS(head, "Content-Type: application/x-amz-json-1.1\r\n");
	CHECK_CONTAINS(head,
		"X-Amz-Target: AmazonEC2ContainerServiceV20141113.DescribeServices\r\n");
	CHECK_CONTAINS(head, "X-Amz-Date: 20261120T080000Z\r\n");
	CHECK_CONTAINS(head, "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/"
			     "us-east-1/ecs/aws4_request, SignedHeaders=content-type;host;"
			     "x-amz-date;x-amz-target, Signature=");
	CHECK_CONTAINS(head, "amz-sdk-request: attempt=1; max=3\r\n");
	CHECK_TEXT(scene.script.bodies.items[0], "{\"cluster\":\"c\"}");
}

TEST(a_query_call_is_a_form)
{
	SCENE({200, "",
		"<R><DescribeTargetGroupsResult><TargetGroups><member><Port>80</Port></member>"
		"</TargetGroups></DescribeTargetGroupsResult></R>"});

	REQUIRE_OK(aws_call(scene.aws, "elbv2", "DescribeTargetGroups", NULL, &output, &failure,
		&err));
	CHECK_INT(json_get_int(json_at(json_get(output, "TargetGroups"), 0), "Port", 0), 80);
	CHECK_TEXT(scene.script.bodies.items[0], "Action=DescribeTargetGroups&Version=2015-12-01");
	CHECK_CONTAINS(scene.script.heads.items[0], "/us-east-1/elasticloadbalancing/aws4_request");
	CHECK_CONTAINS(scene.script.heads.items[0],
		"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n");
}

TEST(a_refusal_has_a_code_and_a_kind)
{
	SCENE({400, "",
		"{\"__type\":\"com.amazonaws.ecs#ServiceNotFoundException\","
		"\"message\":\"Service not found.\"}"});

	CHECK(!aws_call(scene.aws, "ecs", "UpdateService", NULL, &output, &failure, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.message, "ecs UpdateService: ServiceNotFoundException: Service not found.");
	CHECK_TEXT(failure.code, "ServiceNotFoundException");
	CHECK_INT(failure.status, 400);
	CHECK(failure.known);
	CHECK_INT(fake_server_requests(scene.server), 1);
	error_free(&err);
}

TEST(a_denied_call_names_the_key_and_never_the_secret)
{
	SCENE({403, "",
		"{\"__type\":\"UnrecognizedClientException\",\"message\":\"invalid token\"}"});

	CHECK(!aws_call(scene.aws, "ecs", "ListClusters", NULL, &output, &failure, &err));
	CHECK_INT(err.kind, ERROR_DENIED);
	CHECK_CONTAINS(err.next, "AKIDEXAMPLE");
	CHECK_CONTAINS(err.next, "environment");
	CHECK(!strstr(err.message, "the-secret-key") && !strstr(err.next, "the-secret-key"));
	error_free(&err);
}

TEST(a_query_refusal_is_read_too)
{
	SCENE({400, "",
		"<ErrorResponse><Error><Code>RuleNotFound</Code><Message>no</Message></Error>"
		"</ErrorResponse>"});

	CHECK_FAILS(aws_call(scene.aws, "elbv2", "DeleteRule", NULL, &output, &failure, &err),
		ERROR_NOT_FOUND);
	CHECK_TEXT(failure.code, "RuleNotFound");
}

TEST(a_busy_service_is_asked_again)
{
	SCENE(BUSY, BUSY, OK_JSON);

	REQUIRE_OK(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err));
	CHECK_INT(fake_server_requests(scene.server), 3);
	CHECK_CONTAINS(scene.script.heads.items[2], "amz-sdk-request: attempt=3; max=3\r\n");
	/* At most 1 s and 2 s were waited, on the test's clock. */
	CHECK(scene.clock.time_ms - start_ms <= 3000);
}

TEST(attempts_end)
{
	SCENE(BUSY);

	CHECK_FAILS(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err),
		ERROR_UNAVAILABLE);
	CHECK_INT(fake_server_requests(scene.server), 3);
}

TEST(a_call_that_may_have_been_carried_out_is_not_repeated)
{
	SCENE(BUSY);

	CHECK_FAILS(aws_call(scene.aws, "ecs", "RegisterTaskDefinition", NULL, &output, &failure,
			    &err),
		ERROR_UNAVAILABLE);
	CHECK_INT(fake_server_requests(scene.server), 1);
}

TEST(a_lost_connection_is_no_reason_to_register_twice)
{
	SCENE({-1, NULL, NULL});

	CHECK_FAILS(aws_call(scene.aws, "ecs", "RegisterTaskDefinition", NULL, &output, &failure,
			    &err),
		ERROR_UNAVAILABLE);
	CHECK_INT(fake_server_requests(scene.server), 1);
	CHECK(!failure.known);
}

TEST(a_throttled_call_is_repeated_whatever_it_is)
{
	SCENE(THROTTLED, OK_JSON);

	REQUIRE_OK(aws_call(scene.aws, "ecs", "RegisterTaskDefinition", NULL, &output, &failure,
		&err));
	CHECK_INT(fake_server_requests(scene.server), 2);
}

TEST(a_clock_that_is_off_is_corrected_once)
{
	SCENE({403, "Date: Fri, 20 Nov 2026 09:00:00 GMT\r\n",
		      "{\"__type\":\"InvalidSignatureException\"}"},
		OK_JSON);

	REQUIRE_OK(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err));
	CHECK_CONTAINS(scene.script.heads.items[0], "X-Amz-Date: 20261120T080000Z\r\n");
	CHECK_CONTAINS(scene.script.heads.items[1], "X-Amz-Date: 20261120T090000Z\r\n");
	json_free(&output);
	REQUIRE_OK(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err));
	CHECK_CONTAINS(scene.script.heads.items[2], "X-Amz-Date: 20261120T090000Z\r\n");
}

TEST(a_wrong_key_is_no_wrong_clock)
{
	SCENE({403, "Date: Fri, 20 Nov 2026 08:00:02 GMT\r\n",
		"{\"__type\":\"InvalidSignatureException\"}"});

	CHECK_FAILS(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err),
		ERROR_DENIED);
	CHECK_INT(fake_server_requests(scene.server), 1);
}

TEST(an_answer_that_is_no_json_is_a_protocol_error)
{
	SCENE({200, "", "<xml>"});

	CHECK_FAILS(aws_call(scene.aws, "ecs", "ListServices", NULL, &output, &failure, &err),
		ERROR_PROTOCOL);
	CHECK_FAILS(aws_call(scene.aws, "nosuch", "X", NULL, &output, &failure, &err), ERROR_USAGE);
}

TEST(the_endpoint_of_a_service_wins_over_the_general_one)
{
	SCENE(OK_JSON);
	scoped(aws_free) struct aws *aws = NULL;
	scoped(text_free) char *url =
		memory_format("http://127.0.0.1:%d/base/", fake_server_port(scene.server));

	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
	setenv("AWS_ENDPOINT_URL_ECS", url, 1);
	REQUIRE_OK(aws_new(NULL, &aws, &err));
	REQUIRE_OK(aws_call(aws, "ecs", "ListServices", NULL, &output, &failure, &err));
	CHECK_CONTAINS(scene.script.heads.items[0], "POST /base/ HTTP/1.1\r\n");
	clean_environment();
}

TEST(without_a_region_nothing_begins)
{
	struct error err = {0};
	struct aws *aws = NULL;

	clean_environment();
	unsetenv("AWS_REGION");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	CHECK(!aws_new(NULL, &aws, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_CONTAINS(err.next, "AWS_REGION");
	error_free(&err);
	setenv("AWS_REGION", "us-east-1/../x", 1);
	CHECK_FAILS(aws_new(NULL, &aws, &err), ERROR_USAGE);
	clean_environment();
}

TEST_MAIN()
