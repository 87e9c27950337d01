#include "tests/test.h"

#include "base/memory.h"
#include "builders/registry/answer.h"

#include <stdlib.h>

TEST(challenges_are_read_and_bearer_is_preferred)
{
	static const struct {
		const char *text;
		enum challenge_kind kind;
		const char *realm, *service, *scope;
	} cases[] = {
		{"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
		 "scope=\"repository:a/b:pull,push\"",
			CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
			"repository:a/b:pull,push"},
		{"Basic realm=\"Registry Realm\"", CHALLENGE_BASIC, "Registry Realm", NULL, NULL},
		{"basic realm=x", CHALLENGE_BASIC, "x", NULL, NULL},
		{"Basic realm=\"a\", Bearer realm=\"https://b/\" , service = \"s\"",
			CHALLENGE_BEARER, "https://b/", "s", NULL},
		{"Bearer realm=\"https://b/\", Basic realm=\"a\"", CHALLENGE_BEARER, "https://b/",
			NULL, NULL},
		{"Bearer realm=\"a\\\"b\"", CHALLENGE_BEARER, "a\"b", NULL, NULL},
		/* a bearer challenge that says nothing leaves the other one */
		{"Bearer, Basic realm=x", CHALLENGE_BASIC, "x", NULL, NULL},
		{"Negotiate", CHALLENGE_NONE, NULL, NULL, NULL},
		{"", CHALLENGE_NONE, NULL, NULL, NULL},
		{"Bearer realm=\"unterminated", CHALLENGE_BEARER, "unterminated", NULL, NULL},
		{"=,,\"\x01", CHALLENGE_NONE, NULL, NULL, NULL},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(challenge_free) struct challenge challenge = {0};

		challenge_parse(str_of(cases[i].text), &challenge);
		CHECK_INT(challenge.kind, cases[i].kind);
		if (challenge.kind == CHALLENGE_NONE)
			continue;
		CHECK_TEXT(challenge.realm, cases[i].realm);
		CHECK_TEXT(challenge.service, cases[i].service);
		CHECK_TEXT(challenge.scope, cases[i].scope);
	}
}

TEST(a_better_challenge_in_another_line_replaces_the_first)
{
	scoped(challenge_free) struct challenge challenge = {0};

	challenge_parse(str_of("Basic realm=\"a\""), &challenge);
	challenge_parse(str_of("Bearer realm=\"https://b\""), &challenge);
	challenge_parse(str_of("Basic realm=\"c\""), &challenge);
	CHECK_INT(challenge.kind, CHALLENGE_BEARER);
	CHECK_TEXT(challenge.realm, "https://b");
}

TEST(refusals_are_shown_on_one_line)
{
	struct refusal refusal;

	refusal_parse(str_of("{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\nway\"}]}"),
		&refusal);
	CHECK_TEXT(refusal.code, "DENIED");
	CHECK_TEXT(refusal.message, "no way");
	refusal_parse(str_of("{\"message\":\"Forbidden\"}"), &refusal);
	CHECK_TEXT(refusal.message, "Forbidden");
	refusal_parse(str_of(" too many\r\n requests "), &refusal);
	CHECK_TEXT(refusal.message, "too many requests");
	refusal_parse(str_of("<html><body>502</body></html>"), &refusal);
	CHECK_TEXT(refusal.message, "");
	refusal_parse(str_of("{\"errors\":7}"), &refusal);
	CHECK_TEXT(refusal.code, "");
	refusal_parse((struct str){NULL, 0}, &refusal);
	CHECK_TEXT(refusal.message, "");
}

TEST(locations_are_resolved_and_keep_their_query)
{
	static const char *const cases[][2] = {
		{"/v2/a/blobs/uploads/1",
			"http://r.example.com/v2/a/blobs/uploads/1?digest=sha256%3Aff"},
		{"/v2/a/blobs/uploads/1?_state=x%3D",
			"http://r.example.com/v2/a/blobs/uploads/1?_state=x%3D"
			"&digest=sha256%3Aff"},
		{"https://storage.example.com:443/u?x=1",
			"https://storage.example.com:443/u?x=1&digest=sha256%3Aff"},
	};
	struct error err = {0};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(text_free) char *url = NULL;
		REQUIRE_OK(location_resolve("http://r.example.com/v2/a/blobs/uploads/", cases[i][0],
			"sha256:ff", &url, &err));
		CHECK_TEXT(url, cases[i][1]);
	}
}

TEST(locations_into_private_networks_are_refused_from_public_hosts)
{
	static const char *const private[] = {"http://127.0.0.1/u", "http://10.0.0.1/u",
		"http://172.31.0.1/u", "http://192.168.1.1/u",
		"http://169.254.169.254/latest/meta-data", "http://localhost/u", "http://[::1]/u",
		"http://[fe80::1]/u", "http://[fd00::1]/u", "http://2130706433/u",
		"http://0x7f.1/u", "http://127.0.0.1./u", "http://localhost./u",
		"http://[::ffff:10.0.0.1]/u"};
	/* Instance metadata, from a registry in the private network or on this machine. */
	static const char *const inside[] = {"http://10.0.0.2/x", "http://127.0.0.1:5000/x"};
	char *url = NULL;
	struct error err = {0};

	for (size_t i = 0; i < countof(private); i++)
		CHECK_FAILS(location_resolve("https://r.example.com/x", private[i], "sha256:ff",
				    &url, &err),
			ERROR_DENIED);
	for (size_t i = 0; i < countof(inside); i++)
		CHECK_FAILS(location_resolve(inside[i], "http://169.254.169.254/latest",
				    "sha256:ff", &url, &err),
			ERROR_DENIED);
	CHECK_FAILS(location_resolve("http://10.0.0.2/x", "http://127.0.0.1/u", "sha256:ff", &url,
			    &err),
		ERROR_DENIED);
	/* a registry in the private network may name its neighbours */
	CHECK_OK(location_resolve("http://10.0.0.2/x", "http://10.0.0.1/u", NULL, &url, &err));
	CHECK_TEXT(url, "http://10.0.0.1/u");
	text_free(&url);
	CHECK_FAILS(location_resolve("http://a.b/x", NULL, "sha256:ff", &url, &err),
		ERROR_PROTOCOL);
	CHECK_FAILS(location_resolve("http://a.b/x", "ftp://a/u", "sha256:ff", &url, &err),
		ERROR_PROTOCOL);
}

TEST(credentials_belong_to_scheme_host_and_port)
{
	CHECK(url_same_origin("https://a.b/x", "https://A.B:443/y"));
	CHECK(url_same_origin("http://a.b/", "http://a.b:80/"));
	CHECK(!url_same_origin("https://a.b/", "http://a.b/"));
	CHECK(!url_same_origin("https://a.b:5000/", "http://a.b:5000/"));
	CHECK(!url_same_origin("https://a.b/", "https://a.b:444/"));
	CHECK(!url_same_origin("https://a.b/", "https://a.bc/"));
	CHECK(!url_same_origin("https://a.b/", "nonsense"));
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

TEST(all_blobs_that_a_refusal_names_are_found)
{
	static const struct {
		const char *body;
		size_t count;
	} cases[] = {
		/* docker-registry 2.8.2 */
		{"{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown to "
		 "registry\",\"detail\":\"sha256:" A64 "\"},{\"code\":\"MANIFEST_BLOB_UNKNOWN\","
		 "\"message\":\"blob unknown to registry\",\"detail\":\"sha256:" B64 "\"}]}",
			2},
		/* the specification shows an object */
		{"{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"detail\":{\"digest\":\"sha256:" A64
		 "\"}}]}",
			1},
		{"{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob sha256:" A64
		 " is missing\"}]}",
			1},
		{"{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"some\"}]}", 0},
		{"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"sha256:" A64 "\"}]}", 0},
		{"{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"sha256:xyz\"}]}", 0},
		{"{\"errors\":{}}", 0},
		{"<html>", 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct digest *digests = NULL;
		struct digest wanted;

		CHECK_INT(refusal_missing(str_of(cases[i].body), &digests), cases[i].count);
		REQUIRE(digest_parse(str_of("sha256:" A64), &wanted));
		CHECK(cases[i].count == 0 || digest_equal(&digests[0], &wanted));
		free(digests);
	}
}

TEST_MAIN()
