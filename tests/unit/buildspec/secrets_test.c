#include "tests/test.h"

#include "base/memory.h"
#include "buildspec/secrets.h"

static const char text[] =
	"{\"parameter-store\": {\"/app/url\": \"u\", \"number\": 5},"
	" \"secrets-manager\": {\"plain\": \"p\","
	"  \"object\": \"{\\\"user\\\": \\\"me\\\", \\\"port\\\": 5432, \\\"tags\\\": [1]}\","
	"  \"staged\": {\"AWSCURRENT\": \"now\", \"AWSPREVIOUS\": \"before\", \"v-1\": \"first\"},"
	"  \"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf\": \"{\\\"k\\\": "
	"\\\"v\\\"}\"}}";

typedef bool look_up(const struct json *secrets, const char *name, char **out_value,
	struct error *err);

static void check_value(look_up *find, const char *name, const char *expected)
{
	scoped(error_free) struct error err = {0};
	scoped(json_free) struct json *secrets = NULL;
	scoped(text_free) char *value = NULL;

	REQUIRE_OK(json_parse(str_of(text), "secrets", NULL, &secrets, &err));
	CHECK_OK(find(secrets, name, &value, &err));
	CHECK_TEXT(value, expected);
}

static void check_missing(look_up *find, const char *name, enum error_kind kind)
{
	scoped(error_free) struct error err = {0};
	scoped(json_free) struct json *secrets = NULL;
	scoped(text_free) char *value = NULL;

	REQUIRE_OK(json_parse(str_of(text), "secrets", NULL, &secrets, &err));
	CHECK_FAILS(find(secrets, name, &value, &err), kind);
	CHECK(value == NULL);
}

TEST(parameters_are_texts)
{
	check_value(secrets_parameter, "/app/url", "u");
	check_missing(secrets_parameter, "/app/other", ERROR_NOT_FOUND);
	check_missing(secrets_parameter, "number", ERROR_NOT_FOUND);
}

TEST(a_reference_may_name_key_stage_and_version)
{
	/* Section 3.4 of the buildspec reference. */
	check_value(secrets_secret, "plain", "p");
	check_value(secrets_secret, "plain:::", "p");
	check_value(secrets_secret, "object:user", "me");
	check_value(secrets_secret, "object:port", "5432");
	check_value(secrets_secret, "object:tags", "[1]");
	check_value(secrets_secret, "staged", "now");
	check_value(secrets_secret, "staged::AWSPREVIOUS", "before");
	check_value(secrets_secret, "staged:::v-1", "first");
	check_value(secrets_secret,
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf:k", "v");
	check_missing(secrets_secret, "nowhere", ERROR_NOT_FOUND);
	check_missing(secrets_secret, "plain::AWSPREVIOUS", ERROR_NOT_FOUND);
	check_missing(secrets_secret, "object:other", ERROR_NOT_FOUND);
	check_missing(secrets_secret, "plain:key", ERROR_INVALID);
	check_missing(secrets_secret, "staged::AWSCURRENT:v-1", ERROR_INVALID);
}

TEST(an_error_never_quotes_the_secret)
{
	scoped(error_free) struct error err = {0};
	scoped(json_free) struct json *secrets = NULL;
	scoped(text_free) char *value = NULL;

	REQUIRE_OK(json_parse(str_of("{\"secrets-manager\": {\"a\": \"{hunter2\"}}"), "secrets",
		NULL, &secrets, &err));
	CHECK(!secrets_secret(secrets, "a:key", &value, &err));
	CHECK(!strstr(err.message, "hunter2"));
}

TEST(without_a_file_nothing_is_found)
{
	scoped(error_free) struct error err = {0};
	char *value = NULL;

	CHECK_FAILS(secrets_secret(NULL, "a", &value, &err), ERROR_NOT_FOUND);
	CHECK_FAILS(secrets_parameter(NULL, "a", &value, &err), ERROR_NOT_FOUND);
}

TEST_MAIN()
