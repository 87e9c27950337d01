#include "tests/test.h"

#include "builders/evidence/dsse.h"

TEST(the_pae_is_that_of_the_specification)
{
	scoped(buf_free) struct buf pae = {0}, empty = {0};

	/* secure-systems-lab/dsse, protocol.md, "Test Vectors". */
	dsse_pae(str_of("http://example.com/HelloWorld"), str_of("hello world"), &pae);
	CHECK_TEXT(buf_text(&pae), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
	dsse_pae(str_of(""), str_of(""), &empty);
	CHECK_TEXT(buf_text(&empty), "DSSEv1 0  0 ");
}

TEST(both_alphabets_of_base64_are_read)
{
	static const struct {
		const char *text;
		bool ok;
		size_t size;
	} cases[] = {{"+/+/", true, 3}, {"-_-_", true, 3}, {"aGk=", true, 2}, {"aGk", true, 2},
		{"", true, 0}, {"a", false, 0}, {"a*bc", false, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scoped(buf_free) struct buf out = {0};
		CHECK_INT(dsse_decode(str_of(cases[i].text), &out), cases[i].ok);
		CHECK_INT((long long)out.size, (long long)cases[i].size);
	}
}

TEST(an_envelope_reads_back_as_it_was_written)
{
	const char *text = "{\"payload\":\"aGVsbG8gd29ybGQ=\",\"payloadType\":\"http://example.com/"
			   "HelloWorld\",\"signatures\":[{\"sig\":\"QUJD\"}]}";
	scoped(dsse_free) struct dsse envelope = {0};
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);
	struct error err = {0};

	REQUIRE_OK(dsse_parse(str_of(text), "it", &envelope, &err));
	CHECK_TEXT(buf_text(&envelope.payload), "hello world");
	CHECK_TEXT(buf_text(&envelope.signatures[0]), "ABC");
	dsse_write(&envelope, &w);
	CHECK_TEXT(buf_text(&out), text);
}

TEST(what_is_no_envelope_is_refused)
{
	static const char *const bad[] = {"{}", "[]", "{\"payload\":\"\"}",
		"{\"payload\":1,\"payloadType\":\"x\",\"signatures\":[]}",
		"{\"payload\":\"*\",\"payloadType\":\"x\",\"signatures\":[]}",
		"{\"payload\":\"\",\"payloadType\":\"x\",\"signatures\":{}}",
		"{\"payload\":\"\",\"payloadType\":\"x\",\"signatures\":[{}]}",
		"{\"payload\":\"\",\"payloadType\":\"x\",\"signatures\":[{\"sig\":\"*\"}]}",
		"{\"payload\":\"\",\"payload\":\"\",\"payloadType\":\"x\",\"signatures\":[]}"};
	struct error err = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dsse envelope = {0};
		CHECK_FAILS(dsse_parse(str_of(bad[i]), "it", &envelope, &err), ERROR_INVALID);
	}
}

TEST_MAIN()
