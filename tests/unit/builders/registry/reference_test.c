#include "tests/test.h"

#include "base/memory.h"
#include "builders/registry/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(the_parts_of_a_reference_are_told_apart)
{
	static const struct {
		const char *text, *host, *repository, *tag, *key, *written;
	} cases[] = {
		{"127.0.0.1:5000/booking/rooms:1.4", "127.0.0.1:5000", "booking/rooms", "1.4",
			"1.4", "127.0.0.1:5000/booking/rooms:1.4"},
		{"localhost/rooms", "localhost", "rooms", NULL, "latest", "localhost/rooms:latest"},
		{"[::1]:5000/a/b_c__d--e.f", "[::1]:5000", "a/b_c__d--e.f", NULL, "latest",
			"[::1]:5000/a/b_c__d--e.f:latest"},
		{"r.example.com/a:t@sha256:" HEX, "r.example.com", "a", "t", "sha256:" HEX,
			"r.example.com/a@sha256:" HEX},
		{"docker.io/nginx:1", "registry-1.docker.io", "library/nginx", "1", "1",
			"registry-1.docker.io/library/nginx:1"},
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:y",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com", "x", "y", "y",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:y"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(reference_free) struct reference reference = {0};
		struct error err = {0};

		REQUIRE_OK(reference_parse(cases[i].text, &reference, &err));
		scoped(text_free) char *key = reference_key(&reference);
		scoped(text_free) char *written = reference_text(&reference);
		CHECK_TEXT(reference.host, cases[i].host);
		CHECK_TEXT(reference.repository, cases[i].repository);
		CHECK_TEXT(reference.tag, cases[i].tag);
		CHECK_TEXT(key, cases[i].key);
		CHECK_TEXT(written, cases[i].written);
	}
}

TEST(what_is_no_reference_is_refused_with_an_example)
{
	/* The grammar of distribution-spec 1.1. */
	static const char *const bad[] = {
		"",
		"/",
		"rooms",
		"rooms:1",
		"booking/rooms",
		"localhost",
		"localhost/",
		"localhost/Rooms",
		"localhost/a//b",
		"localhost/-a",
		"localhost/a-",
		"localhost/a..b",
		"localhost/a___b",
		"localhost/a:",
		"localhost/a:-x",
		"localhost/a:b c",
		"localhost/a@sha256:12",
		"localhost/a@md5:0123456789abcdef0123456789abcdef",
		"localhost:0/a",
		"localhost:99999/a",
		"localhost:+5/a",
		"local host/a",
		"[::1/a",
		"[x]/a",
		"a.b/\xc3\xbc",
		"http://localhost/a",
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct reference reference = {0};
		struct error err = {0};

		CHECK(!reference_parse(bad[i], &reference, &err));
		CHECK_INT(err.kind, ERROR_USAGE);
		CHECK_CONTAINS(err.next, "HOST/REPOSITORY:TAG");
		error_free(&err);
		reference_free(&reference);
	}
}

TEST(long_names_end_at_the_limits_of_the_specification)
{
	scoped(reference_free) struct reference reference = {0};
	struct error err = {0};
	char repository[300], tag[200];

	memset(repository, 'a', sizeof(repository));
	memset(tag, 't', sizeof(tag));
	repository[255] = tag[128] = 0;
	scoped(text_free) char *longest = memory_format("localhost/%s:%s", repository, tag);
	CHECK_OK(reference_parse(longest, &reference, &err));
	tag[128] = 't';
	tag[129] = 0;
	scoped(text_free) char *long_tag = memory_format("localhost/a:%s", tag);
	CHECK_FAILS(reference_parse(long_tag, &reference, &err), ERROR_USAGE);
	repository[255] = 'a';
	repository[256] = 0;
	scoped(text_free) char *long_name = memory_format("localhost/%s", repository);
	CHECK_FAILS(reference_parse(long_name, &reference, &err), ERROR_USAGE);
}

TEST_MAIN()
