#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/registry/credentials.h"
#include "builders/registry/ecr.h"

static bool find(const char *config, const char *host, struct credentials *out)
{
	struct error err = {0};
	bool ok =
		credentials_from_config(str_of(config), "config.json", host, "team/app", out, &err);

	error_free(&err);
	return ok;
}

TEST(a_pair_in_auths_is_found_under_every_spelling_of_its_host)
{
	/* base64 of "ann:secret:with:colons" */
	static const char pair[] = "YW5uOnNlY3JldDp3aXRoOmNvbG9ucw==";
	static const char *const keys[] = {"r.example.com", "https://r.example.com",
		"https://r.example.com/v1/", "http://r.example.com/v2"};

	for (size_t i = 0; i < countof(keys); i++) {
		scoped(credentials_free) struct credentials found = {0};
		scoped(text_free) char *config =
			memory_format("{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}", keys[i], pair);

		REQUIRE(find(config, "r.example.com", &found));
		CHECK_TEXT(found.user, "ann");
		CHECK_TEXT(found.password, "secret:with:colons");
	}
}

TEST(other_hosts_get_nothing)
{
	scoped(credentials_free) struct credentials found = {0};

	CHECK(find("{\"auths\":{\"r.example.com\":{\"auth\":\"YTpi\"}}}", "r.example.com:5000",
		&found));
	CHECK(!credentials_known(&found));
	CHECK(find("{}", "r.example.com", &found));
	CHECK(!credentials_known(&found));
}

/* containers-auth.json(5): the most specific key that fits wins. */
TEST(a_key_may_name_a_repository_or_a_part_of_one)
{
	static const char config[] = "{\"auths\":{\"r\":{\"auth\":\"aG9zdDp4\"}," /* host:x */
				     "\"r/team\":{\"auth\":\"dGVhbTp4\"},"        /* team:x */
				     "\"r/team/app\":{\"auth\":\"YXBwOng=\"},"    /* app:x */
				     "\"r/v1beta\":{\"auth\":\"djE6eA==\"}}}";    /* v1:x */
	static const struct {
		const char *repository, *user;
	} rows[] = {{"team/app", "app"}, {"team/app/sub", "app"}, {"team/apples", "team"},
		{"teams", "host"}, {"v1beta/x", "v1"}, {"other", "host"}};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(credentials_free) struct credentials found = {0};
		struct error err = {0};

		REQUIRE_OK(credentials_from_config(str_of(config), "auth.json", "r",
			rows[i].repository, &found, &err));
		CHECK_TEXT(found.user, rows[i].user);
	}
}

TEST(docker_hub_has_a_key_of_its_own)
{
	scoped(credentials_free) struct credentials found = {0};

	CHECK(find("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YTpi\"}}}",
		"registry-1.docker.io", &found));
	CHECK_TEXT(found.user, "a");
	CHECK_TEXT(found.password, "b");
}

TEST(an_identity_token_is_no_password)
{
	scoped(credentials_free) struct credentials found = {0};

	CHECK(find("{\"auths\":{\"r\":{\"auth\":\"YTpi\",\"identitytoken\":\"tok\"}}}", "r",
		&found));
	CHECK_TEXT(found.identity_token, "tok");
	CHECK(found.password == NULL);
}

TEST(damaged_files_are_errors_that_show_no_secret)
{
	struct credentials found = {0};
	struct error err = {0};

	CHECK(!credentials_from_config(str_of("{\"auths\":{\"r\":{\"auth\":\"hunter2hunter2!\"}}}"),
		"config.json", "r", "a", &found, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "config.json");
	CHECK(!strstr(err.message, "hunter2"));
	error_free(&err);
	CHECK_FAILS(credentials_from_config(str_of("{"), "config.json", "r", "a", &found, &err),
		ERROR_INVALID);
	CHECK_FAILS(credentials_from_config(str_of("{\"credHelpers\":{\"r\":\"../x\"}}"),
			    "config.json", "r", "a", &found, &err),
		ERROR_INVALID);
}

TEST(an_empty_file_knows_no_host)
{
	scoped(credentials_free) struct credentials found = {0};

	CHECK(find("", "r", &found));
	CHECK(find("\n", "r", &found));
	CHECK(!credentials_known(&found));
}

static void remove_folder(char **path)
{
	struct error err = {0};

	if (*path && !folder_remove(*path, &err))
		error_free(&err);
	text_free(path);
}

TEST(helpers_are_asked_and_their_refusal_means_none)
{
	scoped(remove_folder) char *root = NULL;
	scoped(credentials_free) struct credentials known = {0}, unknown = {0}, token = {0},
						    empty = {0};
	struct error err = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "helper-", &root, &err));
	scoped(text_free) char *helper = path_join(root, "docker-credential-test");
	REQUIRE_OK(file_write(helper,
		str_of("#!/bin/sh\nread host\ncase $host in\n"
		       "r) echo '{\"Username\":\"u\",\"Secret\":\"s\"}';;\n"
		       "t) echo '{\"Username\":\"<token>\",\"Secret\":\"tok\"}';;\n"
		       "e) echo '{\"Username\":\"u\",\"Secret\":\"\"}';;\n"
		       "*) echo credentials not found; exit 1;;\nesac\n"),
		0755, false, &err));
	scoped(text_free) char *old = memory_copy_text(getenv("PATH"));
	scoped(text_free) char *path = memory_format("%s:%s", root, old);
	setenv("PATH", path, 1);
	CHECK(find("{\"credHelpers\":{\"r\":\"test\"}}", "r", &known));
	CHECK(find("{\"credsStore\":\"test\"}", "other", &unknown));
	CHECK(find("{\"credsStore\":\"test\"}", "t", &token));
	CHECK(find("{\"credsStore\":\"test\"}", "e", &empty));
	setenv("PATH", old, 1);
	CHECK_TEXT(known.user, "u");
	CHECK_TEXT(known.password, "s");
	CHECK(!credentials_known(&unknown));
	CHECK(!credentials_known(&empty));
	CHECK_TEXT(unknown.silent_helper, "docker-credential-test");
	CHECK(known.silent_helper == NULL);
	CHECK_TEXT(token.identity_token, "tok");
}

TEST(ecr_is_known_by_its_name_or_by_the_endpoint)
{
	char region[64];

	CHECK(ecr_region_of("123456789012.dkr.ecr.eu-central-1.amazonaws.com", region,
		sizeof(region)));
	CHECK_TEXT(region, "eu-central-1");
	CHECK(ecr_region_of("1.dkr.ecr.cn-north-1.amazonaws.com.cn", region, sizeof(region)));
	CHECK(!ecr_region_of("1.dkr.ecr.eu.amazonaws.com.evil.org", region, sizeof(region)));
	CHECK(!ecr_region_of("r.example.com", region, sizeof(region)));
	unsetenv("AWS_ENDPOINT_URL");
	CHECK(!ecr_is_host("127.0.0.1:4566"));
	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566", 1);
	CHECK(ecr_is_host("127.0.0.1:4566"));
	CHECK(!ecr_is_host("127.0.0.1:5000"));
	unsetenv("AWS_ENDPOINT_URL");
}

TEST_MAIN()
