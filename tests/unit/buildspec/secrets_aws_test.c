#include "tests/test.h"

#include "base/memory.h"
#include "buildspec/secrets.h"
#include "buildspec/secrets_aws.h"
#include "tests/unit/base/fake_server.h"

/* Answers in order, ended by status 0; the last one stays. */
struct reply {
	int status;
	const char *body;
};

struct script {
	const struct reply *answers;
	int served;
	struct strings heads, bodies;
};

static void answer(void *context, struct fake_request *request, struct buf *out)
{
	struct script *script = context;
	const struct reply *reply = &script->answers[script->served];

	strings_add(&script->heads, request->head);
	strings_add_owned(&script->bodies, str_copy(request->body));
	if (script->answers[script->served + 1].status)
		script->served++;
	fake_reply(out, reply->status, "", str_of(reply->body));
}

struct scene {
	struct script script;
	struct fake_server *server;
	struct aws *aws;
	struct test_clock clock;
	struct arena arena;
	struct buildspec spec;
	struct buildspec_findings findings;
	struct json *secrets;
	struct error err;
};

static void scene_free(struct scene *scene)
{
	aws_free(&scene->aws);
	fake_server_stop(&scene->server);
	strings_free(&scene->script.heads);
	strings_free(&scene->script.bodies);
	buildspec_findings_free(&scene->findings);
	arena_free(&scene->arena);
	json_free(&scene->secrets);
	error_free(&scene->err);
}

static void set_environment(void)
{
	static const char *const cleared[] = {"AWS_ENDPOINT_URL", "AWS_PROFILE",
		"AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS", "http_proxy"};

	for (size_t i = 0; i < countof(cleared); i++)
		unsetenv(cleared[i]);
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key", 1);
	setenv("AWS_REGION", "us-east-1", 1);
}

/* env is what stands below "env:". */
static bool fetch(struct scene *scene, const char *env, const struct strings *given,
	const struct reply *answers)
{
	scoped(buf_free) struct buf text = {0};

	set_environment();
	buf_printf(&text, "version: 0.2\nphases: {build: {commands: [x]}}\nenv:\n%s", env);
	buildspec_parse(buf_str(&text), &scene->arena, &scene->spec, &scene->findings);
	scene->script.answers = answers;
	scene->server = fake_server_start(NULL, answer, &scene->script);
	scoped(text_free) char *url =
		memory_format("http://127.0.0.1:%d", fake_server_port(scene->server));

	test_clock_init(&scene->clock, 1795161600000); /* 2026-11-20T08:00:00Z */
	return aws_new(&(struct aws_options){.endpoint = url, .clock = &scene->clock.clock},
		       &scene->aws, &scene->err) &&
	       secrets_fetch(scene->aws, &scene->spec, given, &scene->secrets, &scene->err);
}

static void check_secret(struct scene *scene, const char *reference, const char *expected)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *value = NULL;

	CHECK_OK(secrets_secret(scene->secrets, reference, &value, &err));
	CHECK_TEXT(value, expected);
}

TEST(parameters_come_decrypted_by_their_names)
{
	static const struct reply answers[] =
		{{200, "{\"Parameters\":[{\"Name\":\"/a/url\",\"Value\":\"http://"
		       "x\",\"Type\":\"String\"},"
		       "{\"Name\":\"key\",\"Selector\":\":3\",\"Value\":\"third\"}],"
		       "\"InvalidParameters\":[\"missing\"]}"},
			{0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(text_free) char *value = NULL;
	const char *body;

	CHECK(fetch(&scene,
		"  parameter-store: {URL: /a/url, AGAIN: /a/url, KEY: 'key:3', GONE: missing}\n",
		NULL, answers));
	REQUIRE(scene.script.bodies.count == 1);
	body = scene.script.bodies.items[0];
	/* The shape of GetParameters in the published model. */
	CHECK_TEXT(body, "{\"Names\":[\"/a/url\",\"key:3\",\"missing\"],\"WithDecryption\":true}");
	CHECK_CONTAINS(scene.script.heads.items[0], "AmazonSSM.GetParameters");
	CHECK(secrets_parameter(scene.secrets, "/a/url", &value, &scene.err));
	CHECK_TEXT(value, "http://x");
	text_free(&value);
	CHECK(secrets_parameter(scene.secrets, "key:3", &value, &scene.err));
	CHECK_TEXT(value, "third");
	text_free(&value);
	CHECK(!secrets_parameter(scene.secrets, "missing", &value, &scene.err));
	CHECK_INT(scene.err.kind, ERROR_NOT_FOUND);
}

TEST(ten_names_are_asked_at_a_time)
{
	static const struct reply answers[] = {{200, "{\"Parameters\":[]}"}, {0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(buf_free) struct buf env = {0};

	buf_append_text(&env, "  parameter-store:\n");
	for (int i = 0; i < 21; i++)
		buf_printf(&env, "    V%d: p%d\n", i, i);
	CHECK(fetch(&scene, buf_text(&env), NULL, answers));
	REQUIRE(scene.script.bodies.count == 3);
	CHECK_CONTAINS(scene.script.bodies.items[1], "\"p10\"");
	CHECK_CONTAINS(scene.script.bodies.items[2], "[\"p20\"]");
}

TEST(secrets_come_at_their_stage_or_version)
{
	static const struct reply answers[] = {{200, "{\"Name\":\"db\",\"SecretString\":\"{"
						     "\\\"user\\\":\\\"u\\\",\\\"port\\\":5}\"}"},
		{200, "{\"Name\":\"db\",\"SecretString\":\"old text\"}"},
		{200, "{\"Name\":\"db\",\"SecretString\":\"exact\"}"}, {0}};
	scoped(scene_free) struct scene scene = {0};

	CHECK(fetch(&scene,
		"  secrets-manager: {USER: 'db:user', PORT: 'db:port', OLD: 'db::AWSPREVIOUS',\n"
		"    EXACT: 'db:::v-1'}\n",
		NULL, answers));
	/* user and port are one secret */
	REQUIRE(scene.script.bodies.count == 3);
	CHECK_CONTAINS(scene.script.heads.items[0], "secretsmanager.GetSecretValue");
	CHECK_TEXT(scene.script.bodies.items[0], "{\"SecretId\":\"db\"}");
	CHECK_TEXT(scene.script.bodies.items[1],
		"{\"SecretId\":\"db\",\"VersionStage\":\"AWSPREVIOUS\"}");
	CHECK_TEXT(scene.script.bodies.items[2], "{\"SecretId\":\"db\",\"VersionId\":\"v-1\"}");
	check_secret(&scene, "db:user", "u");
	check_secret(&scene, "db:port", "5");
	check_secret(&scene, "db::AWSPREVIOUS", "old text");
	check_secret(&scene, "db:::v-1", "exact");
}

TEST(what_is_given_is_not_asked_for)
{
	static const struct reply answers[] = {{500, ""}, {0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(strings_free) struct strings given = {0};

	strings_add(&given, "P=mine");
	strings_add(&given, "S=mine");
	CHECK(fetch(&scene, "  parameter-store: {P: p}\n  secrets-manager: {S: s}\n", &given,
		answers));
	CHECK_INT(scene.script.bodies.count, 0);
}

TEST(a_secret_that_does_not_exist_is_named_when_it_is_needed)
{
	static const struct reply answers[] = {{400, "{\"__type\":\"ResourceNotFoundException\","
						     "\"Message\":\"Secrets Manager can't find "
						     "the specified secret.\"}"},
		{0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(text_free) char *value = NULL;

	CHECK(fetch(&scene, "  secrets-manager: {S: 'gone:key'}\n", NULL, answers));
	CHECK(!secrets_secret(scene.secrets, "gone:key", &value, &scene.err));
	CHECK_INT(scene.err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(scene.err.message, "gone:key");
}

TEST(a_refusal_is_told)
{
	static const struct reply denied[] = {{400, "{\"__type\":\"AccessDeniedException\","
						    "\"Message\":\"User: x is not authorized to "
						    "perform: ssm:GetParameters\"}"},
		{0}};
	scoped(scene_free) struct scene scene = {0};

	CHECK(!fetch(&scene, "  parameter-store: {P: /secret/place}\n", NULL, denied));
	CHECK_INT(scene.err.kind, ERROR_DENIED);
	CHECK_CONTAINS(scene.err.message, "ssm:GetParameters");
}

TEST(a_busy_service_is_asked_again)
{
	static const struct reply busy[] =
		{{400, "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"},
			{400, "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"},
			{200, "{\"SecretString\":\"at last\"}"}, {0}};
	static const struct reply always[] =
		{{400, "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"}, {0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(scene_free) struct scene hopeless = {0};

	CHECK(fetch(&scene, "  secrets-manager: {S: s}\n", NULL, busy));
	check_secret(&scene, "s", "at last");
	CHECK(!fetch(&hopeless, "  secrets-manager: {S: s}\n", NULL, always));
	CHECK_INT(hopeless.err.kind, ERROR_UNAVAILABLE);
	CHECK_INT(hopeless.script.bodies.count, 3); /* attempts of the standard mode */
}

TEST(a_binary_secret_is_refused)
{
	static const struct reply answers[] =
		{{200, "{\"Name\":\"s\",\"SecretBinary\":\"c2VjcmV0\"}"}, {0}};
	scoped(scene_free) struct scene scene = {0};

	CHECK(!fetch(&scene, "  secrets-manager: {S: s}\n", NULL, answers));
	CHECK_INT(scene.err.kind, ERROR_INVALID);
	CHECK_CONTAINS(scene.err.message, "binary");
	CHECK(!strstr(scene.err.message, "c2VjcmV0"));
}

TEST(what_was_asked_is_written_without_values_and_asked_again_for_what_is_secret)
{
	static const struct reply answers[] =
		{{200, "{\"Parameters\":[{\"Name\":\"/a/url\",\"Value\":\"http://x\",\"Type\":"
		       "\"String\"},"
		       "{\"Name\":\"key\",\"Value\":\"third\",\"Type\":\"SecureString\"}]}"},
			{200, "{\"SecretString\":\"open\"}"}, {0}};
	scoped(scene_free) struct scene scene = {0};
	scoped(json_free) struct json *result = NULL, *values = NULL;
	scoped(secret_names_free) struct secret_names asked = {0}, read = {0}, none = {0};
	scoped(buf_free) struct buf text = {0}, empty = {0};
	struct json_writer w = json_writer_start(&text), nothing = json_writer_start(&empty);

	strings_add(&asked.parameters, "/a/url");
	strings_add(&asked.parameters, "key");
	strings_add(&asked.secrets, "door:code");
	json_object_begin(&w);
	secret_names_write(&asked, &w);
	json_object_end(&w);
	CHECK_TEXT(buf_text(&text), "{\"asked_of_aws\":{\"parameter-store\":[\"/a/url\",\"key\"],"
				    "\"secrets-manager\":[\"door:code\"]}}");
	json_object_begin(&nothing);
	secret_names_write(&none, &nothing);
	json_object_end(&nothing);
	CHECK_TEXT(buf_text(&empty), "{}");
	REQUIRE(json_parse(buf_str(&text), "a result", NULL, &result, &scene.err));
	secret_names_read(result, &read);
	secret_names_read(result, &read); /* two tasks may have asked for the same */
	CHECK_INT(read.parameters.count, 2);
	REQUIRE(fetch(&scene, "  variables: {A: b}\n", NULL, answers));
	REQUIRE(secrets_fetch_again(scene.aws, &read, &values, &scene.err));
	CHECK_TEXT(json_get_text(json_get(values, "parameter-store"), "key", ""), "third");
	CHECK(!json_get(json_get(values, "parameter-store"), "/a/url"));
	CHECK_TEXT(json_get_text(json_get(json_get(values, "secrets-manager"), "door"),
			   "AWSCURRENT", ""),
		"open");
}

TEST_MAIN()
