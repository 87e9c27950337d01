#include "tests/test.h"

#include "builders/evidence/provenance.h"

#include <stdlib.h>

TEST(facts_become_slsa_provenance_and_are_read_from_it)
{
	const char *text = "{\"repository\":\"https://git.example.com/a\",\"commit\":"
			   "\"0123456789012345678901234567890123456789\",\"service\":\"rooms\","
			   "\"buildspec\":{\"path\":\"buildspec.yml\"},\"toolchain\":\"debian 12\","
			   "\"invocation\":\"run 7\",\"builder\":\"https://ci.example.com\"}";
	scoped(provenance_facts_free) struct provenance_facts facts = {0};
	scoped(provenance_items_free) struct provenance_items packages = {0}, made = {0};
	scoped(statement_free) struct statement statement = {0};
	scoped(buf_free) struct buf out = {0};
	struct digest digest = digest_of("", 0);
	struct provenance read;
	struct error err = {0};

	REQUIRE_OK(provenance_facts_parse(str_of(text), "facts", &facts, &err));
	provenance_items_add(&packages, "libc6", "pkg:deb/debian/libc6@2?arch=amd64", NULL, NULL);
	provenance_items_add(&made, "application/spdx+json", NULL, "m", &digest);
	provenance_write(&facts, "zstd 1.5.4 level 1, blocks of 5, matches from 6", &packages,
		&made, &statement);
	json_write(statement.predicate, &out);
	/* slsa.dev/spec/v1.0/provenance: the names of the members and their nesting. */
	CHECK_TEXT(buf_text(&out),
		"{\"buildDefinition\":{\"buildType\":\"urn:dogshore:image-build:v1\","
		"\"externalParameters\":{\"repository\":\"https://git.example.com/a\",\"commit\":"
		"\"0123456789012345678901234567890123456789\",\"service\":\"rooms\",\"buildspec\":"
		"{\"path\":\"buildspec.yml\"}},\"internalParameters\":{\"compressor\":{\"name\":"
		"\"zstd\",\"version\":\"1.5.4\",\"level\":1,\"parameters\":"
		"\"blocks of 5, matches from 6\"}},"
		"\"resolvedDependencies\":[{\"name\":\"source\",\"uri\":"
		"\"git+https://git.example.com/a@0123456789012345678901234567890123456789\","
		"\"digest\":{\"gitCommit\":\"0123456789012345678901234567890123456789\"}},"
		"{\"name\":\"toolchain\",\"annotations\":{\"identity\":\"debian 12\"}},"
		"{\"name\":\"libc6\",\"uri\":\"pkg:deb/debian/libc6@2?arch=amd64\"}]},"
		"\"runDetails\":{\"builder\":{\"id\":\"https://ci.example.com\",\"version\":"
		"{\"dogshore\":\"" DOGSHORE_VERSION
		"\"}},\"metadata\":{\"invocationId\":\"run 7\"},"
		"\"byproducts\":[{\"name\":\"application/spdx+json\",\"digest\":{\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
		"\"mediaType\":\"m\"}]}}");
	provenance_read(statement.predicate, &read);
	CHECK_TEXT(read.repository, "https://git.example.com/a");
	CHECK_TEXT(read.builder, "https://ci.example.com");
	CHECK_TEXT(read.service, "rooms");
	CHECK_TEXT(read.toolchain, "debian 12");
	CHECK(read.key == NULL);
}

TEST(wrong_facts_are_named)
{
	static const struct {
		const char *text, *said;
	} cases[] = {{"{\"comit\":\"x\"}", "f: there is no fact \"comit\""},
		{"{\"commit\":\"abc\"}", "f: \"commit\" is \"abc\", expected 40 hex digits"},
		{"{\"service\":7}", "f: \"service\" is no text"},
		{"{\"buildspec\":\"x\"}", "f: there is no fact \"buildspec\""},
		{"{\"buildspec\":{\"key\":\"x\"}}", "f: there is no fact \"key\""},
		{"[]", "f is no JSON object"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct provenance_facts facts = {0};
		struct error err = {0};
		CHECK(!provenance_facts_parse(str_of(cases[i].text), "f", &facts, &err));
		CHECK_TEXT(err.message, cases[i].said);
		error_free(&err);
	}
}

TEST(a_statement_names_its_subjects)
{
	const char *text =
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"rooms\","
		"\"digest\":{\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}],"
		"\"predicateType\":\"x:y\",\"predicate\":{\"a\":1}}";
	scoped(statement_free) struct statement statement = {0};
	scoped(buf_free) struct buf out = {0};
	struct digest digest = digest_of("", 0), other = digest_of("a", 1);
	struct error err = {0};

	REQUIRE_OK(statement_parse(str_of(text), "it", &statement, &err));
	CHECK(statement_find(&statement, &digest) != NULL);
	CHECK(statement_find(&statement, &other) == NULL);
	statement_write(&statement, &out);
	CHECK_TEXT(buf_text(&out), text);
	statement_free(&statement);
	CHECK_FAILS(statement_parse(str_of("{\"_type\":\"https://in-toto.io/Statement/v0.1\"}"),
			    "it", &statement, &err),
		ERROR_INVALID);
	CHECK_FAILS(statement_parse(str_of("{\"_type\":\"https://in-toto.io/Statement/v1\","
					   "\"subject\":[],\"predicateType\":\"x\"}"),
			    "it", &statement, &err),
		ERROR_INVALID);
}

TEST_MAIN()
