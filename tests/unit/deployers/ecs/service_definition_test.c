#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/service_definition.h"
#include "deployers/ecs/strategies.h"

static struct json *parse(const char *text)
{
	struct json *value = NULL;
	struct error err = {0};

	CHECK_OK(json_parse(str_of(text), "test", NULL, &value, &err));
	error_free(&err);
	return value;
}

#define CHECK_JSON(value, expected)                                                                \
	do {                                                                                       \
		scoped(buf_free) struct buf out_ = {0};                                            \
		json_write(value, &out_);                                                          \
		CHECK_TEXT(buf_text(&out_), expected);                                             \
	} while (0)

TEST(what_describe_services_prints_can_be_the_file)
{
	scoped(json_free) struct json *file = parse(
		"{\"serviceArn\":\"a\",\"status\":\"ACTIVE\",\"runningCount\":1,\"events\":[],"
		"\"deployments\":[],\"desiredCount\":2,\"propagateTags\":\"NONE\"}");
	scoped(json_free) struct json *service = service_of_file(file);
	scoped(json_free) struct json *input =
		service_create_input(service, "c", "rooms", "td:1", "token");

	CHECK_JSON(input, "{\"desiredCount\":2,\"propagateTags\":\"NONE\",\"cluster\":\"c\","
			  "\"serviceName\":\"rooms\",\"taskDefinition\":\"td:1\","
			  "\"clientToken\":\"token\"}");
}

static void check_update(const char *wanted, const char *running, const char *expected)
{
	scoped(json_free) struct json *w = parse(wanted), *r = parse(running);
	scoped(json_free) struct json *input = service_update_input(w, r, "c", "rooms", "td:2");

	if (expected)
		CHECK_JSON(input, expected);
	else
		CHECK(!input);
}

TEST(only_what_differs_is_sent)
{
	check_update("{\"desiredCount\":3}", "{\"taskDefinition\":\"td:2\",\"desiredCount\":1}",
		NULL);
	check_update("{}", "{\"taskDefinition\":\"td:1\"}",
		"{\"cluster\":\"c\",\"service\":\"rooms\",\"taskDefinition\":\"td:2\"}");
	check_update("{\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"s\"],"
		     "\"securityGroups\":[]}}}",
		"{\"taskDefinition\":\"td:2\",\"networkConfiguration\":{\"awsvpcConfiguration\":"
		"{\"subnets\":[\"s\"],\"assignPublicIp\":\"DISABLED\"}}}",
		NULL);
}

TEST(a_partial_object_keeps_the_rest_of_what_runs)
{
	check_update("{\"deploymentConfiguration\":{\"maximumPercent\":150}}",
		"{\"taskDefinition\":\"td:2\",\"deploymentConfiguration\":{\"maximumPercent\":200,"
		"\"minimumHealthyPercent\":100}}",
		"{\"cluster\":\"c\",\"service\":\"rooms\",\"deploymentConfiguration\":"
		"{\"maximumPercent\":150,\"minimumHealthyPercent\":100}}");
}

static char *configured(const char *name, struct deploy_strategy_choice choice, const char *given)
{
	scoped(json_free) struct json *configuration = parse(given);
	const struct deploy_strategy *strategy = NULL;
	struct error err = {0};
	struct buf out = {0};

	CHECK_OK(deploy_strategy_find(name, &strategy, &err));
	if (strategy)
		deploy_strategy_apply(strategy, &choice, configuration);
	json_write(configuration, &out);
	error_free(&err);
	return buf_take(&out);
}

static void check_configured(const char *name, struct deploy_strategy_choice choice,
	const char *given, const char *expected)
{
	scoped(text_free) char *got = configured(name, choice, given);

	CHECK_TEXT(got, expected);
}

#define BREAKER "\"deploymentCircuitBreaker\":{\"enable\":true,\"rollback\":true}"

TEST(strategies_are_written_as_ecs_has_them)
{
	check_configured("rolling", (struct deploy_strategy_choice){0}, "{}",
		"{\"strategy\":\"ROLLING\"," BREAKER "}");
	/* ECS counts whole minutes: 90 s are two. */
	check_configured("blue_green", (struct deploy_strategy_choice){.bake_ms = 90000}, "{}",
		"{\"strategy\":\"BLUE_GREEN\",\"bakeTimeInMinutes\":2," BREAKER "}");
	check_configured("canary",
		(struct deploy_strategy_choice){.percent = 10, .step_ms = 300000}, "{}",
		"{\"strategy\":\"CANARY\",\"bakeTimeInMinutes\":0,\"canaryConfiguration\":"
		"{\"canaryPercent\":10.0,\"canaryBakeTimeInMinutes\":5}," BREAKER "}");
	check_configured("rolling", (struct deploy_strategy_choice){0},
		"{\"deploymentCircuitBreaker\":{\"enable\":false}}",
		"{\"deploymentCircuitBreaker\":{\"enable\":false},\"strategy\":\"ROLLING\"}");
}

TEST(an_unknown_strategy_gets_a_suggestion)
{
	const struct deploy_strategy *strategy = NULL;
	struct error err = {0};

	CHECK(!deploy_strategy_find("bluegreen", &strategy, &err));
	CHECK_CONTAINS(err.next, "blue_green");
	error_free(&err);
}

TEST_MAIN()
