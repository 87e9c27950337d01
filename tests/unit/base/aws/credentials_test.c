#include "tests/test.h"

#include "base/aws/client.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "tests/unit/base/fake_server.h"

/* 2026-11-20T08:00:00Z */
static const int64_t start_ms = 1795161600000;

/* A private folder for files, a server for everything that hands out keys, a clock. */
struct scene {
	char *folder;
	struct fake_server *server;
	char *url;
	struct strings heads, bodies;
	struct test_clock clock;
	struct aws *aws;
	int failures; /* so many answers are 500 first */
	bool no_role; /* the instance has none */
};

#define KEYS(id)                                                                                   \
	"{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","                   \
	"\"Expiration\":\"2026-11-20T09:00:00Z\"}"
#define STS_KEYS(operation, id)                                                                    \
	"<R><" operation "Result><Credentials><AccessKeyId>" id "</AccessKeyId>"                   \
	"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"                       \
	"<Expiration>2026-11-20T09:00:00Z</Expiration></Credentials></" operation "Result></R>"

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct scene *scene = context;
	struct str body = request->body;

	strings_add(&scene->heads, request->head);
	strings_add_owned(&scene->bodies, str_copy(body));
	const char *form = scene->bodies.items[scene->bodies.count - 1];

	if (scene->failures-- > 0)
		fake_reply(out, 500, "", str_of("later"));
	else if (text_equal(request->target, "/container"))
		fake_reply(out, 200, "", str_of(KEYS("CONTAINER")));
	else if (text_equal(request->target, "/latest/api/token"))
		fake_reply(out, 200, "", str_of("imds-token"));
	else if (text_equal(request->target, "/latest/meta-data/iam/security-credentials/"))
		fake_reply(out, scene->no_role ? 404 : 200, "", str_of("builder\n"));
	else if (text_equal(request->target, "/latest/meta-data/iam/security-credentials/builder"))
		fake_reply(out, 200, "", str_of(KEYS("INSTANCE")));
	else if (text_equal(request->target, "/latest/meta-data/placement/availability-zone"))
		fake_reply(out, 200, "", str_of("eu-central-1b"));
	else if (strstr(form, "Action=AssumeRoleWithWebIdentity&"))
		fake_reply(out, 200, "", str_of(STS_KEYS("AssumeRoleWithWebIdentity", "WEB")));
	else if (strstr(form, "Action=AssumeRole&") && strstr(form, "role%2Fouter"))
		fake_reply(out, 200, "", str_of(STS_KEYS("AssumeRole", "OUTER")));
	else if (strstr(form, "Action=AssumeRole&"))
		fake_reply(out, 200, "", str_of(STS_KEYS("AssumeRole", "INNER")));
	else
		fake_reply(out, 404, "", str_of("nothing here"));
}

static void put(struct scene *scene, const char *name, const char *text)
{
	scoped(text_free) char *path = path_join(scene->folder, name);
	struct error err = {0};

	CHECK_OK(file_write(path, str_of(text), 0600, false, &err));
	error_free(&err);
}

static void set_path(struct scene *scene, const char *variable, const char *name)
{
	scoped(text_free) char *path = path_join(scene->folder, name);

	setenv(variable, path, 1);
}

static bool scene_start(struct scene *scene)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_DEFAULT_REGION",
		"AWS_EC2_METADATA_DISABLED", "AWS_MAX_ATTEMPTS", "http_proxy"};
	struct error err = {0};

	for (size_t i = 0; i < countof(names); i++)
		unsetenv(names[i]);
	CHECK_OK(folder_make_temporary(NULL, "dogshore-keys-", &scene->folder, &err));
	scene->server = fake_server_start(NULL, answer, scene);
	scene->url = memory_format("http://127.0.0.1:%d", fake_server_port(scene->server));
	set_path(scene, "AWS_CONFIG_FILE", "config");
	set_path(scene, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
	setenv("AWS_REGION", "us-east-1", 1);
	setenv("AWS_ENDPOINT_URL", scene->url, 1);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", scene->url, 1);
	test_clock_init(&scene->clock, start_ms);
	error_free(&err);
	return scene->folder != NULL;
}

static void scene_free(struct scene *scene)
{
	struct error err = {0};

	aws_free(&scene->aws);
	fake_server_stop(&scene->server);
	if (scene->folder)
		CHECK_OK(folder_remove(scene->folder, &err));
	error_free(&err);
	text_free(&scene->folder);
	text_free(&scene->url);
	strings_free(&scene->heads);
	strings_free(&scene->bodies);
}

#define SCENE                                                                                      \
	scoped(scene_free) struct scene scene = {0};                                               \
	struct error err __attribute__((unused)) = {0};                                            \
	REQUIRE(scene_start(&scene))

/* Which keys a new client comes to, for the profile given by option (NULL: none). */
static bool find(struct scene *scene, const char *profile, struct error *err)
{
	aws_free(&scene->aws);
	return aws_new(&(struct aws_options){.profile = profile, .clock = &scene->clock.clock},
		       &scene->aws, err) &&
	       credentials_refresh(scene->aws, err);
}

static void check_found(struct scene *scene, const char *profile, const char *id,
	const char *source)
{
	struct error err = {0};

	REQUIRE_OK(find(scene, profile, &err));
	CHECK_TEXT(scene->aws->credentials.access_key_id, id);
	CHECK_TEXT(scene->aws->credentials.source, source);
}

TEST(the_environment_comes_first)
{
	SCENE;

	put(&scene, "credentials",
		"[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n");
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	CHECK_FAILS(find(&scene, NULL, &err), ERROR_USAGE);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_SESSION_TOKEN", "token", 1);
	check_found(&scene, NULL, "ENV", "environment");
	CHECK_TEXT(scene.aws->credentials.session_token, "token");
	/* A profile given by option means that profile. */
	check_found(&scene, "default", "FILE", "profile");
}

TEST(profiles_are_read_from_both_files)
{
	SCENE;

	put(&scene, "config",
		"# a comment\n[default]\nregion = eu-west-1\n"
		"[profile \"two words\"]\naws_access_key_id=WORDS ; comment\n"
		"aws_secret_access_key = a=b#c\n");
	put(&scene, "credentials",
		"[default]\r\naws_access_key_id = DEFAULT\r\naws_secret_access_key = s\r\n"
		"[other]\naws_access_key_id = OTHER\naws_secret_access_key = s\n");
	unsetenv("AWS_REGION");
	check_found(&scene, NULL, "DEFAULT", "profile");
	CHECK_TEXT(aws_region(scene.aws), "eu-west-1");
	setenv("AWS_REGION", "us-east-1", 1);
	check_found(&scene, "two words", "WORDS", "profile");
	CHECK_TEXT(scene.aws->credentials.secret_access_key, "a=b#c");
	setenv("AWS_PROFILE", "other", 1);
	check_found(&scene, NULL, "OTHER", "profile");
	setenv("AWS_PROFILE", "nobody", 1);
	CHECK_FAILS(find(&scene, NULL, &err), ERROR_USAGE);
	unsetenv("AWS_PROFILE");
	put(&scene, "config", "[default]\nnonsense\n");
	CHECK(!find(&scene, NULL, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "config:2:");
	error_free(&err);
}

TEST(a_role_is_assumed_with_the_keys_of_its_source)
{
	SCENE;

	put(&scene, "config",
		"[profile outer]\nrole_arn = arn:aws:iam::1:role/outer\nsource_profile = inner\n"
		"external_id = ext\nduration_seconds = 900\n"
		"[profile inner]\nrole_arn = arn:aws:iam::1:role/inner\nsource_profile = base\n"
		"role_session_name = me\n");
	put(&scene, "credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = s\n");
	check_found(&scene, "outer", "OUTER", "assumed role");
	REQUIRE(scene.heads.count == 2);
	CHECK_CONTAINS(scene.heads.items[0], "Credential=BASE/");
	CHECK_CONTAINS(scene.bodies.items[0], "RoleSessionName=me");
	CHECK_CONTAINS(scene.heads.items[1], "Credential=INNER/");
	CHECK_CONTAINS(scene.heads.items[1], "X-Amz-Security-Token: t\r\n");
	CHECK_CONTAINS(scene.bodies.items[1], "ExternalId=ext");
	CHECK_CONTAINS(scene.bodies.items[1], "DurationSeconds=900");
	CHECK_TEXT(scene.aws->credentials.session_token, "t");
	CHECK_INT(scene.aws->credentials.expires_ms, start_ms + 3600 * 1000);
}

TEST(sources_that_lead_nowhere_are_refused)
{
	SCENE;

	put(&scene, "config",
		"[profile a]\nrole_arn = r\nsource_profile = b\n"
		"[profile b]\nrole_arn = r\nsource_profile = a\n"
		"[profile none]\nrole_arn = r\n"
		"[profile missing]\nrole_arn = r\nsource_profile = nobody\n"
		"[profile both]\nrole_arn = r\nsource_profile = a\ncredential_source = "
		"Environment\n"
		"[profile env]\nrole_arn = r\ncredential_source = Environment\n"
		"[profile mfa]\nrole_arn = r\nsource_profile = a\nmfa_serial = m\n"
		"[profile self]\nrole_arn = arn:aws:iam::1:role/outer\nsource_profile = self\n"
		"aws_access_key_id = SELF\naws_secret_access_key = s\n");
	static const char *const wrong[] = {"a", "none", "missing", "both", "env", "mfa"};

	for (size_t i = 0; i < countof(wrong); i++)
		CHECK_FAILS(find(&scene, wrong[i], &err), ERROR_USAGE);
	CHECK_INT(fake_server_requests(scene.server), 0);
	/* Naming itself means its own keys. */
	check_found(&scene, "self", "OUTER", "assumed role");
}

TEST(a_web_identity_is_not_signed)
{
	SCENE;

	put(&scene, "token", "header.payload.signature\n");
	set_path(&scene, "AWS_WEB_IDENTITY_TOKEN_FILE", "token");
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/ci", 1);
	setenv("AWS_ROLE_SESSION_NAME", "build-7", 1);
	check_found(&scene, NULL, "WEB", "web identity");
	CHECK(!strcasestr(scene.heads.items[0], "authorization"));
	CHECK_CONTAINS(scene.bodies.items[0], "WebIdentityToken=header.payload.signature");
	CHECK_CONTAINS(scene.bodies.items[0], "RoleSessionName=build-7");
}

TEST(a_container_hands_out_keys)
{
	SCENE;
	scoped(text_free) char *url = memory_format("%s/container", scene.url);

	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "plain", 1);
	put(&scene, "token", "from-file\n");
	set_path(&scene, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token");
	scene.failures = 2;
	check_found(&scene, NULL, "CONTAINER", "container");
	CHECK_INT(fake_server_requests(scene.server), 3);
	CHECK_CONTAINS(scene.heads.items[2], "Authorization: from-file\r\n");
	put(&scene, "token", "two\r\nlines");
	CHECK_FAILS(find(&scene, NULL, &err), ERROR_INVALID);
	/* Keys do not cross a network in plain text. */
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/keys", 1);
	CHECK_FAILS(find(&scene, NULL, &err), ERROR_DENIED);
}

TEST(an_instance_hands_out_keys_and_its_region)
{
	SCENE;

	check_found(&scene, NULL, "INSTANCE", "instance");
	CHECK_CONTAINS(scene.heads.items[0], "PUT /latest/api/token HTTP/1.1\r\n");
	CHECK_CONTAINS(scene.heads.items[0], "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
	CHECK_CONTAINS(scene.heads.items[1], "x-aws-ec2-metadata-token: imds-token\r\n");
	unsetenv("AWS_REGION");
	check_found(&scene, NULL, "INSTANCE", "instance");
	CHECK_TEXT(aws_region(scene.aws), "eu-central-1");
}

TEST(nothing_found_says_where_it_was_looked_for)
{
	SCENE;

	scene.no_role = true;
	CHECK(!find(&scene, NULL, &err));
	CHECK_INT(err.kind, ERROR_DENIED);
	CHECK_CONTAINS(err.next, "AWS_ACCESS_KEY_ID");
	error_free(&err);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	put(&scene, "config", "[default]\nsso_session = corp\n");
	CHECK(!find(&scene, NULL, &err));
	CHECK_CONTAINS(err.next, "aws configure export-credentials");
	error_free(&err);
}

/* They expire at 09:00: tried again from 08:45 on, given up at 08:50. */
TEST(keys_are_renewed_before_they_expire)
{
	SCENE;

	check_found(&scene, NULL, "INSTANCE", "instance");
	int requests = fake_server_requests(scene.server);

	clock_sleep(&scene.clock.clock, 44 * 60 * 1000);
	CHECK_OK(credentials_refresh(scene.aws, &err));
	CHECK_INT(fake_server_requests(scene.server), requests);
	clock_sleep(&scene.clock.clock, 2 * 60 * 1000);
	scene.failures = 1; /* the service fails: those we have are still good */
	CHECK_OK(credentials_refresh(scene.aws, &err));
	CHECK(fake_server_requests(scene.server) > requests);
	clock_sleep(&scene.clock.clock, 5 * 60 * 1000);
	scene.failures = 1;
	CHECK(!credentials_refresh(scene.aws, &err));
	error_free(&err);
	CHECK_OK(credentials_refresh(scene.aws, &err));
}

TEST(endpoints_of_profiles)
{
	SCENE;
	scoped(text_free) char *url = NULL;

	put(&scene, "config",
		"[default]\nservices = local\nendpoint_url = http://127.0.0.1:2\n"
		"[services local]\necs =\n  endpoint_url = http://127.0.0.1:3\n"
		"elastic_load_balancing_v2 =\n  endpoint_url = http://127.0.0.1:4/\n");
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	check_found(&scene, NULL, "ENV", "environment");
	CHECK_OK(endpoint_find(scene.aws, aws_service_find("ecs"), &url, &err));
	CHECK_TEXT(url + strlen(url) - 1, "/"); /* AWS_ENDPOINT_URL wins over the files */
	CHECK(text_starts_with(url, scene.url));
	unsetenv("AWS_ENDPOINT_URL");
	static const struct {
		const char *service, *url;
	} rows[] = {{"ecs", "http://127.0.0.1:3/"}, {"elbv2", "http://127.0.0.1:4/"},
		{"ecr", "http://127.0.0.1:2/"}};

	for (size_t i = 0; i < countof(rows); i++) {
		text_free(&url);
		CHECK_OK(endpoint_find(scene.aws, aws_service_find(rows[i].service), &url, &err));
		CHECK_TEXT(url, rows[i].url);
	}
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	text_free(&url);
	CHECK_OK(endpoint_find(scene.aws, aws_service_find("ecr"), &url, &err));
	CHECK_TEXT(url, "https://api.ecr.us-east-1.amazonaws.com/");
	unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

TEST_MAIN()
