#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/site.h"

struct world {
	char *state; /* owned */
};

static void world_free(struct world *world)
{
	if (world->state && !folder_remove(world->state, NULL))
		printf("# \"%s\" is left behind\n", world->state);
	free(world->state);
}

static bool world_start(struct world *world, const char *credentials, struct error *err)
{
	if (!folder_make_temporary(NULL, "site", &world->state, err))
		return false;
	scoped(text_free) char *folder = path_join(world->state, "local");
	scoped(text_free) char *path = path_join(folder, "credentials.json");

	return folder_make(folder, 0700, err) &&
	       file_write(path, str_of(credentials), 0600, false, err);
}

static const struct project_environment local = {.name = "local", .target = "local"};

TEST(the_local_cloud_is_where_its_credentials_say)
{
	scoped(world_free) struct world world = {0};
	scoped(error_free) struct error err = {0};
	scoped(site_free) struct site site = {0};
	scoped(strings_free) struct strings env = {0}, extra = {0};

	REQUIRE_OK(world_start(&world,
		"{\"endpoint\":\"http://127.0.0.1:4567/\",\"region\":\"us-east-1\","
		"\"access_key_id\":\"AKIA1\",\"secret_access_key\":\"s3cret\"}",
		&err));
	REQUIRE_OK(site_of(&local, world.state, &site, &err));
	CHECK_TEXT(site.registry, "127.0.0.1:4567");
	/* the identity goes into keys, which are kept and shown */
	CHECK(strstr(site.identity, "AKIA1") && !strstr(site.identity, "s3cret"));
	setenv("AWS_ACCESS_KEY_ID", "somebody's", 1);
	setenv("DOGSHORE_CRASH_AFTER_WRITE", "1", 1);
	strings_add(&extra, "DOGSHORE_RUN=7");
	site_environment(&site, &extra, &env);
	CHECK(strings_contain(&env, "AWS_ACCESS_KEY_ID=AKIA1"));
	CHECK(!strings_contain(&env, "AWS_ACCESS_KEY_ID=somebody's"));
	CHECK(strings_contain(&env, "AWS_SECRET_ACCESS_KEY=s3cret"));
	CHECK(strings_contain(&env, "DOGSHORE_RUN=7"));
	CHECK(!strings_contain(&env, "DOGSHORE_CRASH_AFTER_WRITE=1"));
	unsetenv("DOGSHORE_CRASH_AFTER_WRITE");
	unsetenv("AWS_ACCESS_KEY_ID");
}

TEST(credentials_that_make_no_sense_are_named)
{
	scoped(world_free) struct world world = {0}, half = {0};
	scoped(error_free) struct error err = {0};
	struct site site = {0};

	REQUIRE_OK(world_start(&world, "{", &err));
	CHECK_FAILS(site_of(&local, world.state, &site, &err), ERROR_INVALID);
	REQUIRE_OK(world_start(&half, "{\"endpoint\":\"x\"}", &err));
	CHECK(!site_of(&local, half.state, &site, &err));
	CHECK_CONTAINS(err.message, "credentials.json");
	CHECK_CONTAINS(err.next, "dogshore local up");
}

TEST(no_environment_is_nowhere)
{
	scoped(site_free) struct site site = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(site_of(NULL, "/nonexistent", &site, &err));
	CHECK_TEXT(site.identity, "");
	CHECK(site.registry == NULL);
}

TEST(on_aws_the_environment_decides)
{
	const struct project_environment aws = {.name = "production",
		.target = "aws",
		.region = "eu-central-1"};
	scoped(site_free) struct site site = {0}, other = {0};
	scoped(error_free) struct error err = {0};

	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("DOGSHORE_REGISTRY");
	REQUIRE_OK(site_of(&aws, "/nonexistent", &site, &err));
	CHECK(site.registry == NULL);
	CHECK(strings_contain(&site.env, "AWS_REGION=eu-central-1"));
	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9999", 1);
	REQUIRE_OK(site_of(&aws, "/nonexistent", &other, &err));
	unsetenv("AWS_ENDPOINT_URL");
	CHECK_TEXT(other.registry, "127.0.0.1:9999");
	CHECK(strcmp(site.identity, other.identity) != 0);
}

TEST_MAIN()
