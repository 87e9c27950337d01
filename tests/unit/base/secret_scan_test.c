#include "tests/test.h"

#include "base/memory.h"
#include "base/secret_scan.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Made up, and cut in two so that scanners of source code leave them alone. */
#define GITHUB_TOKEN                                                                               \
	"ghp"                                                                                      \
	"_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
#define AWS_ID                                                                                     \
	"AKIA"                                                                                     \
	"QWERTY7UIOPASDF3"
#define AWS_SECRET                                                                                 \
	"q8Zr3+TnL0vB"                                                                             \
	"x/7yHk2MwPd9sJf4GcA1uE6iRoWn"
#define PEM_LINE                                                                                   \
	"MC4CAQAwBQYDK2VwBCIEIHc1aOb8b0Gk"                                                         \
	"z7Tq2yVnP5Xw3uLrE9dSf6Jm4Q0Z"
#define PEM_BEGIN                                                                                  \
	"-----BEGIN "                                                                              \
	"PRIVATE KEY-----"
#define PEM_END                                                                                    \
	"-----END "                                                                                \
	"PRIVATE KEY-----"
#define HEADER                                                                                     \
	"eyJhbGciOi"                                                                               \
	"JIUzI1NiJ9"

static const char *found(const struct strings *given, const char *text)
{
	struct secret_rules *rules = secret_rules_new(given);
	struct secret_hit hit = {.kind = "nothing"};

	secret_scan_text(rules, str_of(text), &hit);
	secret_rules_free(&rules);
	return hit.kind;
}

#define CHECK_FOUND(text, kind) CHECK_TEXT(found(NULL, text), kind)

TEST(private_keys_are_found_as_they_are_written)
{
	CHECK_FOUND(PEM_BEGIN "\n" PEM_LINE "\n" PEM_END "\n", "a private key");
	CHECK_FOUND("-----BEGIN RSA "
		    "PRIVATE KEY-----\r\n" PEM_LINE "\r\n",
		"a private key");
	CHECK_FOUND("-----BEGIN OPENSSH "
		    "PRIVATE KEY-----\n" PEM_LINE PEM_LINE,
		"a private key");
	CHECK_FOUND("-----BEGIN PGP "
		    "PRIVATE KEY BLOCK-----\nVersion: 2\n\n" PEM_LINE,
		"a private key");
	CHECK_FOUND("{\"private_key\": \"" PEM_BEGIN "\\n" PEM_LINE "\\n\"}", "a private key");
	CHECK_FOUND("-----BEGIN EC "
		    "PRIVATE KEY-----" PEM_LINE,
		"a private key");
}

TEST(an_encrypted_private_key_is_one)
{
	CHECK_FOUND("-----BEGIN ENCRYPTED "
		    "PRIVATE KEY-----\n" PEM_LINE "\n",
		"a private key");
	CHECK_FOUND("-----BEGIN RSA "
		    "PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n" PEM_LINE "\n",
		"a private key");
}

TEST(what_programs_say_about_keys_is_none)
{
	CHECK_FOUND("-----BEGIN RSA "
		    "PRIVATE KEY-----\0",
		"nothing");
	CHECK_FOUND("-----BEGIN %s "
		    "PRIVATE KEY-----\n%s",
		"nothing");
	CHECK_FOUND("-----BEGIN CERTIFICATE-----\n" PEM_LINE "\n-----END CERTIFICATE-----\n",
		"nothing");
	CHECK_FOUND("-----BEGIN PUBLIC KEY-----\n" PEM_LINE "\n-----END PUBLIC KEY-----\n",
		"nothing");
	CHECK_FOUND(PEM_BEGIN "\n"
			      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"nothing");
}

/* Each is in libgnutls: of Debian 12 the second, of Debian 13 both. */
TEST(keys_that_libraries_test_themselves_with_are_none)
{
	CHECK_FOUND(PEM_BEGIN
		"\n"
		"MC4CAQAwBQYDK2VwBCIEIH4WeqmZGZQlSY/8H85ZZimVd26h6I68gFNyBvyh3Vcy\n" PEM_END "\n",
		"nothing");
	CHECK_FOUND(PEM_BEGIN
		"\n"
		"MGoCAQAwIQYIKoUDBwEBAQIwFQYJKoUDBwECAQIBBggqhQMHAQECAwRCBECjFpvp\n" PEM_END "\n",
		"nothing");
	CHECK_FOUND(PEM_BEGIN
		"\n"
		"MC4CAQAwBQYDK2VwBCIEIH4WeqmZGZQlSY/8H85ZZimVd26h6I68gFNyBvyh3Vcz\n" PEM_END "\n",
		"a private key");
}

TEST(an_aws_key_is_found_by_its_id_or_its_name)
{
	CHECK_FOUND("id " AWS_ID "\nkey " AWS_SECRET "\n", "an AWS access key with its secret");
	CHECK_FOUND("{\"" AWS_SECRET "\",\"" AWS_ID "\"}", "an AWS access key with its secret");
	CHECK_FOUND("aws_secret_access_key = " AWS_SECRET "\n", "an AWS secret access key");
	CHECK_FOUND("\"SecretAccessKey\": \"" AWS_SECRET "\"", "an AWS secret access key");
	CHECK_FOUND("AWS_SECRET_ACCESS_KEY='" AWS_SECRET "'", "an AWS secret access key");
}

TEST(an_aws_id_alone_an_example_or_a_hash_is_none)
{
	CHECK_FOUND("id " AWS_ID " and no key\n", "nothing");
	CHECK_FOUND("AKIA"
		    "IOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"nothing");
	CHECK_FOUND(AWS_ID " da39a3ee5e6b4b0d3255bfef95601890afd80709", "nothing");
	CHECK_FOUND("aws_secret_access_key = ${KEY}", "nothing");
}

TEST(tokens_are_found_by_their_beginning)
{
	CHECK_FOUND("x=" GITHUB_TOKEN ";", "a GitHub token");
	CHECK_FOUND("github"
		    "_pat_11ABCDEFG0aBcDeFgHiJkL_"
		    "mNoPqRsTuVwXyZ0123456789aBcDeFgHiJkLmNoPqRsTuVwXyZ0123",
		"a GitHub token");
	CHECK_FOUND("glpat"
		    "-aB3dE5fG7hJ9kL1mN3pQ",
		"a GitLab token");
	CHECK_FOUND("xoxb"
		    "-123456789012-abcdefGHIJKL",
		"a Slack token");
	CHECK_FOUND("key: AIza"
		    "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
		"a Google API key");
	CHECK_FOUND("//r/:_authToken=npm"
		    "_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5",
		"an npm token");
	CHECK_FOUND("hvs"
		    ".CAESIJ3x7Kq9Vb2Nn5Mm8Pp1",
		"a Vault token");
	CHECK_FOUND("Bearer " HEADER
		    ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
		"a JSON web token");
}

TEST(what_only_begins_like_a_token_is_none)
{
	CHECK_FOUND("ghp"
		    "_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"nothing");
	CHECK_FOUND("ghp"
		    "_short",
		"nothing");
	CHECK_FOUND("laughp"
		    "_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5",
		"nothing");
	CHECK_FOUND("npm_config_registry_and_then_some_more_words", "nothing");
	CHECK_FOUND("AIza"
		    "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6QandMore",
		"nothing");
	CHECK_FOUND(HEADER ".not an object", "nothing");
	CHECK_FOUND("", "nothing");
	CHECK_FOUND("ghp", "nothing");
}

TEST(files_with_passwords_are_known)
{
	/* "user:password" */
	CHECK_FOUND("{\"auths\":{\"r.example\":{\"auth\": \"dXNlcjpwYXNzd29yZA==\"}}}",
		"the credentials of a docker config.json");
	CHECK_FOUND("{\"auths\":{\"r.example\":{\"auth\": \"\"}}}", "nothing");
	CHECK_FOUND("{\"auth\": \"oauth2\"}", "nothing");
	CHECK_FOUND("machine r.example\n  login me\n  password Tr0ub4dor\n",
		"a password of a .netrc");
	CHECK_FOUND("the machine is a login server, its password unknown", "nothing");
}

TEST(a_secret_of_the_run_is_found_in_clear_and_as_base64)
{
	scoped(strings_free) struct strings given = {0};

	strings_add(&given, "correct-horse-42");
	strings_add(&given, "short");
	strings_add(&given, "-----------------");
	CHECK_TEXT(found(&given, "x correct-horse-42 y"), "a secret of this run");
	/* base64 of "correct-horse-42" */
	CHECK_TEXT(found(&given, "data: Y29ycmVjdC1ob3JzZS00Mg=="), "a secret of this run");
	CHECK_TEXT(found(&given, "correct-horse-43"), "nothing");
	CHECK_TEXT(found(&given, "short"), "nothing");
	CHECK_TEXT(found(&given, "----------------"), "nothing");
	CHECK_TEXT(found(&given, "+-----------------+"), "a secret of this run");
}

TEST(a_secret_of_the_run_comes_before_a_credential)
{
	scoped(strings_free) struct strings given = {0};

	strings_add(&given, "correct-horse-42");
	CHECK_TEXT(found(&given, GITHUB_TOKEN " correct-horse-42"), "a secret of this run");
}

/* A stream of zeros with text at offset, fed in pieces of step bytes. */
static void check_stream(size_t total, const char *text, size_t offset, size_t step,
	const char *kind)
{
	scoped(text_free) char *stream = memory_new(total + 1);
	struct secret_rules *rules = secret_rules_new(NULL);
	struct secret_scan *scan = secret_scan_new(rules);
	struct secret_hit hit = {.kind = "nothing", .offset = (int64_t)offset};

	memcpy(stream + offset, text, strlen(text));
	secret_scan_begin(scan);
	for (size_t at = 0; at < total; at += step)
		secret_scan_feed(scan, stream + at, step < total - at ? step : total - at);
	secret_scan_end(scan, &hit);
	if (strcmp(hit.kind, kind) != 0 || hit.offset != (int64_t)offset)
		printf("# in pieces of %zu\n", step);
	CHECK_TEXT(hit.kind, kind);
	CHECK_INT(hit.offset, offset);
	secret_scan_free(&scan);
	secret_rules_free(&rules);
}

TEST(a_secret_is_found_wherever_pieces_end)
{
	for (size_t step = 1; step < 300; step++)
		check_stream(4000, GITHUB_TOKEN, 1771, step, "a GitHub token");
	/* Around what is held back: 1280 bytes. */
	for (size_t step = 1240; step < 1340; step++)
		check_stream(4000, PEM_BEGIN "\n" PEM_LINE "\n", 1271, step, "a private key");
	for (size_t offset = 2990; offset < 3100; offset++)
		check_stream(6000, "/" AWS_SECRET " " AWS_ID, offset, 3072,
			"nothing"); /* the first is of 41 characters */
	for (size_t offset = 2990; offset < 3100; offset++)
		check_stream(6000, GITHUB_TOKEN, offset, 3072, "a GitHub token");
}

TEST(a_secret_at_either_end_of_a_stream_is_found)
{
	check_stream(strlen(GITHUB_TOKEN), GITHUB_TOKEN, 0, 7, "a GitHub token");
	check_stream(5000, GITHUB_TOKEN, 0, 4096, "a GitHub token");
	check_stream(5000, GITHUB_TOKEN, 5000 - strlen(GITHUB_TOKEN), 4096, "a GitHub token");
	check_stream(5000, "none", 12, 4096, "nothing");
}

TEST(streams_do_not_flow_into_each_other)
{
	struct secret_rules *rules = secret_rules_new(NULL);
	struct secret_scan *scan = secret_scan_new(rules);
	struct secret_hit hit;

	secret_scan_begin(scan);
	secret_scan_feed(scan, GITHUB_TOKEN, 20);
	CHECK(!secret_scan_end(scan, &hit));
	secret_scan_begin(scan);
	secret_scan_feed(scan, &GITHUB_TOKEN[20], strlen(GITHUB_TOKEN) - 20);
	CHECK(!secret_scan_end(scan, &hit));
	secret_scan_free(&scan);
	secret_rules_free(&rules);
}

static struct digest identity(const char *first, const char *second, const char *key)
{
	scoped(strings_free) struct strings given = {0};

	strings_add(&given, first);
	strings_add(&given, second);
	struct secret_rules *rules = secret_rules_new(&given);
	struct digest digest = secret_rules_identity(rules, str_of(key));
	secret_rules_free(&rules);
	return digest;
}

TEST(rules_are_told_apart_without_their_secrets)
{
	struct digest one = identity("correct-horse-42", "battery-staple", "k");
	struct digest turned = identity("battery-staple", "correct-horse-42", "k");
	struct digest more = identity("battery-staple", "correct-horse-43", "k");
	struct digest other_key = identity("correct-horse-42", "battery-staple", "l");

	CHECK(digest_equal(&one, &turned));
	CHECK(!digest_equal(&one, &more));
	CHECK(!digest_equal(&one, &other_key));
}

TEST_MAIN()
