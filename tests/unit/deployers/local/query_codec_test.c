/* Expected values: the examples of the AWS query protocol in the Smithy specification, by hand. */
#include "tests/test.h"

#include "base/memory.h"
#include "deployers/local/query_codec.h"

static char *parsed(const char *form)
{
	scoped(json_free) struct json *input = NULL;
	struct error err = {0};
	struct buf out = {0};

	if (!query_parse(str_of(form), &input, &err)) {
		buf_append_text(&out, error_kind_name(err.kind));
		error_free(&err);
	} else {
		json_write_canonical(input, &out);
	}
	return buf_take(&out);
}

#define CHECK_PARSED(form, expected)                                                               \
	do {                                                                                       \
		scoped(text_free) char *text_ = parsed(form);                                      \
		CHECK_TEXT(text_, expected);                                                       \
	} while (0)

TEST(parameters_become_objects_lists_and_maps_by_their_names)
{
	CHECK_PARSED("Action=X&Version=1", "{\"Action\":\"X\",\"Version\":\"1\"}");
	CHECK_PARSED("Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups."
		     "member.2.Weight=10&Actions.member.1.ForwardConfig.TargetGroups.member.1."
		     "Weight=90",
		"{\"Actions\":[{\"ForwardConfig\":{\"TargetGroups\":[{\"Weight\":\"90\"},{"
		"\"Weight\":\"10\"}]},\"Type\":\"forward\"}]}");
	CHECK_PARSED("Names.member.10=j&Names.member.9=i", "{\"Names\":[\"i\",\"j\"]}");
	CHECK_PARSED("Tags.entry.1.key=a&Tags.entry.1.value=b+c%26d",
		"{\"Tags\":{\"a\":\"b c&d\"}}");
	CHECK_PARSED("Names=", "{\"Names\":\"\"}");
	CHECK_PARSED("a.member.x=1", "{\"a\":{\"member\":{\"x\":\"1\"}}}");
	CHECK_PARSED("", "{}");
	CHECK_PARSED("&&a=1&", "{\"a\":\"1\"}");
}

TEST(what_does_not_fit_together_is_refused)
{
	CHECK_PARSED("a=1&a=2", "invalid");
	CHECK_PARSED("a=1&a.b=2", "invalid");
	CHECK_PARSED("a.b=1&a=2", "invalid");
	CHECK_PARSED("a..b=1", "invalid");
	CHECK_PARSED("=1", "invalid");
	CHECK_PARSED("a=%zz", "invalid");
	CHECK_PARSED("a=%00", "invalid");
	CHECK_PARSED("a=%ff", "invalid");
	CHECK_PARSED("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=17 levels", "invalid");
}

TEST(more_parameters_than_the_limit_are_refused)
{
	scoped(buf_free) struct buf form = {0};

	for (int i = 0; i < 4097; i++)
		buf_printf(&form, "p%d=1&", i);
	CHECK_PARSED(buf_text(&form), "limit");
}

TEST(answers_are_written_with_member_elements_and_escapes)
{
	scoped(json_free) struct json *output = NULL;
	scoped(buf_free) struct buf xml = {0};
	struct error err = {0};

	REQUIRE_OK(
		json_parse(str_of("{\"Rules\":[{\"Priority\":\"1\",\"IsDefault\":false,\"N\":7,"
				  "\"Gone\":null,\"Text\":\"a<b>&\\\"c\\u0001\"}],\"Empty\":[]}"),
			"test", NULL, &output, &err));
	query_write_answer("DescribeRules", "http://x/", output, "id-1", &xml);
	CHECK_TEXT(buf_text(&xml),
		"<DescribeRulesResponse xmlns=\"http://x/\"><DescribeRulesResult><Rules><member>"
		"<Priority>1</Priority><IsDefault>false</IsDefault><N>7</N><Text>a&lt;b&gt;&amp;"
		"&quot;c?</Text></member></Rules><Empty></Empty></DescribeRulesResult>"
		"<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>"
		"</DescribeRulesResponse>");
}

TEST(errors_say_whose_fault_they_are)
{
	scoped(buf_free) struct buf xml = {0};

	query_write_error("http://x/", 400, "RuleNotFound", "a & b", "id-2", &xml);
	CHECK_TEXT(buf_text(&xml), "<ErrorResponse xmlns=\"http://x/\"><Error><Type>Sender</Type>"
				   "<Code>RuleNotFound</Code><Message>a &amp; b</Message></Error>"
				   "<RequestId>id-2</RequestId></ErrorResponse>");
	buf_clear(&xml);
	query_write_error("http://x/", 500, "InternalFailure", "", "id-3", &xml);
	CHECK_CONTAINS(buf_text(&xml), "<Type>Receiver</Type>");
}

TEST_MAIN()
