#include "tests/test.h"

#include "base/http_client.h"
#include "base/memory.h"

static void check_url(const char *url_text, const char *host, const char *port, const char *path,
	const char *query)
{
	struct http_url parts = {0};
	struct error err = {0};

	REQUIRE_OK(http_url_parse(url_text, &parts, &err));
	CHECK(str_equal_text(parts.host, host));
	CHECK(str_equal_text(parts.port, port));
	CHECK(str_equal_text(parts.path, path));
	CHECK(str_equal_text(parts.query, query));
}

TEST(urls_are_cut_into_pieces)
{
	static const char *const refused[] = {"", "host", "ftp://h/", "http://", "http:///p",
		"http://u:p@h/", "http://h:x/", "http://h:0/", "http://h:65536/", "http://[::1/",
		"http://[::1]x/", "http://a b/"};

	check_url("http://h", "h", "", "", "");
	check_url("HTTPS://h:8443/a/b?c=d?e#f", "h", "8443", "/a/b", "c=d?e");
	check_url("http://[::1]:80/?", "::1", "80", "/", "");
	check_url("http://h?q", "h", "", "", "q");
	for (size_t i = 0; i < countof(refused); i++) {
		struct http_url parts;

		if (http_url_parse(refused[i], &parts, NULL))
			TEST_FAIL("\"%s\" was accepted", refused[i]);
	}
}

TEST(loopback_is_known)
{
	CHECK(http_host_is_loopback(str_of("localhost")));
	CHECK(http_host_is_loopback(str_of("127.0.0.1")));
	CHECK(http_host_is_loopback(str_of("127.9.9.9")));
	CHECK(http_host_is_loopback(str_of("::1")));
	CHECK(!http_host_is_loopback(str_of("127.0.0.1.example.org")));
	CHECK(!http_host_is_loopback(str_of("128.0.0.1")));
	CHECK(!http_host_is_loopback(str_of("")));
}

TEST(locations_are_resolved)
{
	struct error err = {0};
	char *got = NULL;

	REQUIRE_OK(
		http_url_resolve("http://h:5000/v2/x/blobs/uploads/", "../../y?a=b", &got, &err));
	CHECK_TEXT(got, "http://h:5000/v2/x/y?a=b");
	text_free(&got);
	CHECK_FAILS(http_url_resolve("http://h/", "mailto:a@b", &got, &err), ERROR_PROTOCOL);
	CHECK(!got);
}

TEST_MAIN()
