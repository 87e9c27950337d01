/* Requests are signed with base/sigv4, which is tested against AWS's published vectors. */
#include "tests/test.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/auth.h"

#include <sys/stat.h>

enum { NOON = 1795176000 }; /* 2026-11-20T12:00:00Z */

struct world {
	struct test_clock clock;
	struct cloud cloud;
	struct auth *auth;
	char *key, *secret; /* owned: from credentials.json */
};

static void read_credentials(struct world *world)
{
	scoped(text_free) char *path = path_join(world->cloud.state, "credentials.json");
	scoped(json_free) struct json *file = NULL;
	struct error err = {0};

	if (!json_read_file(path, 0, &file, &err))
		abort();
	world->key = memory_copy_text(json_get_text(file, "access_key_id", NULL));
	world->secret = memory_copy_text(json_get_text(file, "secret_access_key", NULL));
}

static void world_open(struct world *world)
{
	struct error err = {0};

	test_clock_init(&world->clock, (int64_t)NOON * 1000);
	world->cloud = (struct cloud){
		.clock = &world->clock.clock,
		.host = memory_copy_text("127.0.0.1"),
		.port = 4566,
		.account = memory_copy_text("000000000000"),
		.region = memory_copy_text("us-east-1"),
	};
	if (!folder_make_temporary(NULL, "auth", &world->cloud.state, &err) ||
		!auth_open(&world->cloud, &world->auth, &err) ||
		!auth_announce(world->auth, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	read_credentials(world);
}

static void world_close(struct world *world)
{
	struct error err = {0};

	auth_free(&world->auth);
	if (!folder_remove(world->cloud.state, &err))
		abort();
	free(world->cloud.state);
	free(world->cloud.host);
	free(world->cloud.account);
	free(world->cloud.region);
	free(world->key);
	free(world->secret);
}

/* What a client does: all that a test changes about it is here. */
struct client {
	const char *key, *secret, *region, *service, *body, *sent_body, *token;
	int64_t time_ms;
	bool unsigned_date;
};

static struct client client_of(const struct world *world)
{
	return (struct client){.key = world->key,
		.secret = world->secret,
		.region = "us-east-1",
		.service = "ecs",
		.body = "{}",
		.time_ms = (int64_t)NOON * 1000};
}

static char *code_of(struct world *world, const struct client *client, bool json)
{
	scoped(buf_free) struct buf authorization = {0};
	char date[TIME_TEXT_SIZE], hex[DIGEST_HEX_SIZE];
	struct digest body = digest_of_str(str_of(client->body));
	struct sigv4_header headers[4] = {{str_literal("host"), str_literal("127.0.0.1:4566")}};
	size_t count = 2;
	char *secret = memory_copy_text(client->secret), *key = memory_copy_text(client->key);
	struct refusal refusal = {0};
	char *code;

	time_to_basic(client->time_ms, date);
	digest_to_hex(&body, hex);
	headers[1] = (struct sigv4_header){str_literal("x-amz-date"), str_of(date)};
	if (client->token)
		headers[count++] = (struct sigv4_header){str_literal("x-amz-security-token"),
			str_of(client->token)};
	sigv4_authorization(
		&(struct sigv4_request){
			.method = str_literal("POST"),
			.path = str_literal("/"),
			.headers = headers,
			.header_count = client->unsigned_date ? 1 : count,
			.payload_sha256 = str_of(hex),
			.normalise_path = true,
			.escape_path_twice = true,
		},
		&(struct sigv4_scope){str_of(client->region), str_of(client->service),
			client->time_ms},
		&(struct aws_credentials){.access_key_id = key, .secret_access_key = secret},
		&authorization);
	headers[count++] =
		(struct sigv4_header){str_literal("Authorization"), buf_str(&authorization)};
	struct auth_request request = {
		.method = str_literal("POST"),
		.target = str_literal("/"),
		.body = str_of(client->sent_body ? client->sent_body : client->body),
		.headers = headers,
		.header_count = count,
	};

	code = auth_verify(world->auth, &request, "ecs", json, &refusal)
		       ? memory_copy_text("")
		       : memory_format("%d %s", refusal.status, refusal.code);
	refusal_free(&refusal);
	free(secret);
	free(key);
	return code;
}

#define CHECK_CODE(world, client, json, expected)                                                  \
	do {                                                                                       \
		scoped(text_free) char *code_ = code_of(world, client, json);                      \
		CHECK_TEXT(code_, expected);                                                       \
	} while (0)

TEST(a_signed_request_passes_and_every_lie_is_refused_with_the_code_of_aws)
{
	scoped(world_close) struct world world = {0};

	world_open(&world);
	struct client honest = client_of(&world), lie = honest;

	CHECK_CODE(&world, &honest, true, "");
	CHECK_CODE(&world, &honest, false, "");
	lie.secret = "wrong";
	CHECK_CODE(&world, &lie, true, "403 InvalidSignatureException");
	CHECK_CODE(&world, &lie, false, "403 SignatureDoesNotMatch");
	lie = honest;
	lie.key = "AKIAUNKNOWN";
	CHECK_CODE(&world, &lie, true, "403 UnrecognizedClientException");
	CHECK_CODE(&world, &lie, false, "403 InvalidClientTokenId");
	lie = honest;
	lie.token = "a session that we never gave out";
	CHECK_CODE(&world, &lie, true, "403 UnrecognizedClientException");
	lie = honest;
	lie.region = "eu-west-1";
	CHECK_CODE(&world, &lie, true, "403 InvalidSignatureException");
	lie = honest;
	lie.service = "ecr";
	CHECK_CODE(&world, &lie, false, "403 SignatureDoesNotMatch");
	lie = honest;
	lie.sent_body = "{\"cluster\":\"another\"}";
	CHECK_CODE(&world, &lie, true, "403 InvalidSignatureException");
	lie = honest;
	lie.unsigned_date = true;
	CHECK_CODE(&world, &lie, true, "403 IncompleteSignatureException");
}

TEST(a_signature_is_good_for_five_minutes_on_both_sides)
{
	scoped(world_close) struct world world = {0};

	world_open(&world);
	struct client client = client_of(&world);
	int64_t noon = client.time_ms;

	client.time_ms = noon - 300 * 1000;
	CHECK_CODE(&world, &client, true, "");
	client.time_ms = noon - 301 * 1000;
	CHECK_CODE(&world, &client, true, "403 InvalidSignatureException");
	client.time_ms = noon + 300 * 1000;
	CHECK_CODE(&world, &client, true, "");
	client.time_ms = noon + 301 * 1000;
	CHECK_CODE(&world, &client, false, "403 SignatureDoesNotMatch");
}

static char *verify_target(struct world *world, const char *target, const char *authorization)
{
	struct sigv4_header headers[] = {{str_literal("Host"), str_literal("127.0.0.1:4566")},
		{str_literal("Authorization"), str_of(authorization)}};
	struct refusal refusal = {0};
	struct auth_request request = {
		.method = str_literal("GET"),
		.target = str_of(target),
		.headers = headers,
		.header_count = authorization ? 2 : 1,
	};
	char *code = auth_verify(world->auth, &request, "sts", false, &refusal)
			     ? memory_copy_text("")
			     : memory_format("%d %s", refusal.status, refusal.code);

	refusal_free(&refusal);
	return code;
}

#define CHECK_TARGET(world, target, authorization, expected)                                       \
	do {                                                                                       \
		scoped(text_free) char *code_ = verify_target(world, target, authorization);       \
		CHECK_TEXT(code_, expected);                                                       \
	} while (0)

/* A presigned GET of sts, good for ten minutes. */
static char *presigned(const struct world *world)
{
	scoped(buf_free) struct buf canonical = {0}, to_sign = {0};
	char *query =
		memory_format("Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-"
			      "HMAC-SHA256&X-Amz-Credential=%s%%2F20261120%%2Fus-east-1%%2Fsts%%"
			      "2Faws4_request&X-Amz-Date=20261120T120000Z&X-Amz-Expires=600&X-"
			      "Amz-SignedHeaders=host",
			world->key);
	struct sigv4_header host = {str_literal("host"), str_literal("127.0.0.1:4566")};
	struct sigv4_scope scope = {str_literal("us-east-1"), str_literal("sts"),
		(int64_t)NOON * 1000};
	char hex[DIGEST_HEX_SIZE], signature[65];
	struct digest empty = digest_of("", 0);

	digest_to_hex(&empty, hex);
	sigv4_canonical_request(
		&(struct sigv4_request){
			.method = str_literal("GET"),
			.path = str_literal("/"),
			.query = str_of(query),
			.headers = &host,
			.header_count = 1,
			.payload_sha256 = str_of(hex),
			.normalise_path = true,
			.escape_path_twice = true,
		},
		&canonical);
	sigv4_string_to_sign(buf_str(&canonical), &scope, &to_sign);
	sigv4_signature(str_of(world->secret), &scope, buf_str(&to_sign), signature);
	char *target = memory_format("/?%s&X-Amz-Signature=%s", query, signature);

	free(query);
	return target;
}

TEST(a_presigned_url_passes_until_it_expires)
{
	scoped(world_close) struct world world = {0};
	scoped(text_free) char *target = NULL, *changed = NULL;

	world_open(&world);
	target = presigned(&world);
	CHECK_TARGET(&world, target, NULL, "");
	changed = memory_copy_text(target);
	changed[2] = 'a'; /* Action -> action */
	CHECK_TARGET(&world, changed, NULL, "403 SignatureDoesNotMatch");
	world.clock.time_ms += 600 * 1000;
	CHECK_TARGET(&world, target, NULL, "");
	world.clock.time_ms += 1000;
	CHECK_TARGET(&world, target, NULL, "403 SignatureDoesNotMatch");
}

TEST(nonsense_and_nothing_are_refused)
{
	scoped(world_close) struct world world = {0};

	world_open(&world);
	CHECK_TARGET(&world, "/", NULL, "403 MissingAuthenticationToken");
	CHECK_TARGET(&world, "/", "Basic QVdTOng=", "403 IncompleteSignature");
	CHECK_TARGET(&world, "/", "AWS4-HMAC-SHA256 Credential=a", "403 IncompleteSignature");
	CHECK_TARGET(&world, "/?X-Amz-Signature=1&X-Amz-Signature=2", NULL,
		"403 IncompleteSignature");
	CHECK_TARGET(&world, "/?X-Amz-Signature=%zz", NULL, "403 IncompleteSignature");
}

TEST(the_key_survives_a_restart_and_only_the_owner_can_read_it)
{
	scoped(world_close) struct world world = {0};
	scoped(text_free) char *path = NULL;
	struct error err = {0};
	struct stat status;

	world_open(&world);
	path = path_join(world.cloud.state, "credentials.json");
	REQUIRE(stat(path, &status) == 0);
	CHECK_INT(status.st_mode & 0777, 0600);
	auth_free(&world.auth);
	REQUIRE_OK(auth_open(&world.cloud, &world.auth, &err));
	CHECK_TEXT(auth_access_key_id(world.auth), world.key);
	CHECK_INT(strlen(world.key), 20);
	CHECK_INT(strlen(world.secret), 40);
}

static bool basic(struct world *world, const char *user, const char *password)
{
	scoped(buf_free) struct buf header = {0};
	scoped(text_free) char *plain = memory_format("%s:%s", user, password);

	buf_append_text(&header, "Basic ");
	base64_append(&header, plain, strlen(plain));
	return auth_registry_check(world->auth, buf_text(&header));
}

TEST(a_registry_password_is_good_for_twelve_hours)
{
	scoped(world_close) struct world world = {0};
	scoped(text_free) char *password = NULL;
	int64_t expires_ms;

	world_open(&world);
	password = auth_registry_password(world.auth, &expires_ms);
	CHECK(basic(&world, "AWS", password));
	CHECK(!basic(&world, "aws", password));
	CHECK(!basic(&world, "AWS", "x"));
	CHECK(!auth_registry_check(world.auth, NULL));
	CHECK(!auth_registry_check(world.auth, "Basic !"));
	CHECK(!auth_registry_check(world.auth, "Bearer x"));
	world.clock.time_ms = expires_ms - 1;
	CHECK(basic(&world, "AWS", password));
	CHECK(expires_ms >= (int64_t)NOON * 1000 + 12 * 3600 * 1000);
	world.clock.time_ms = expires_ms;
	CHECK(!basic(&world, "AWS", password));
	password[strlen(password) - 1] ^= 1;
	world.clock.time_ms = (int64_t)NOON * 1000;
	CHECK(!basic(&world, "AWS", password));
}

TEST_MAIN()
