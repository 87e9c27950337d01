#include "tests/test.h"

#include "base/aws/query.h"
#include "base/memory.h"

static void check_encoded(const char *input, const char *expected)
{
	scoped(json_free) struct json *value = NULL;
	scoped(buf_free) struct buf out = {0};
	struct error err = {0};

	REQUIRE_OK(json_parse(str_of(input), "input", NULL, &value, &err));
	query_encode("Op", "2015-12-01", value, &out);
	CHECK_TEXT(buf_text(&out), expected);
}

/* The examples of our reference, section 1. */
TEST(inputs_become_forms)
{
	check_encoded("{}", "Action=Op&Version=2015-12-01");
	check_encoded("{\"RuleArn\":\"arn:a/b c\"}",
		"Action=Op&Version=2015-12-01&RuleArn=arn%3Aa%2Fb%20c");
	check_encoded("{\"Actions\":[{\"ForwardConfig\":{\"TargetGroups\":"
		      "[{\"Weight\":1},{\"Weight\":10}]}}]}",
		"Action=Op&Version=2015-12-01"
		"&Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1"
		"&Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight=10");
	check_encoded("{\"Names\":[],\"Enabled\":true,\"Other\":null,\"Rate\":0.5}",
		"Action=Op&Version=2015-12-01&Names=&Enabled=true&Rate=0.5");
}

static char *decoded(const char *xml)
{
	scoped(json_free) struct json *value = NULL;
	struct buf out = {0};
	struct error err = {0};

	CHECK_OK(query_decode(str_of(xml), &value, &err));
	error_free(&err);
	json_write(value, &out);
	return buf_take(&out);
}

static void check_decoded(const char *xml, const char *expected)
{
	scoped(text_free) char *got = decoded(xml);

	CHECK_TEXT(got, expected);
}

TEST(answers_become_the_model_s_json)
{
	check_decoded(
		"<?xml version=\"1.0\"?>\n"
		"<DescribeRulesResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/"
		"2015-12-01/\">\n"
		" <DescribeRulesResult>\n"
		"  <Rules>\n"
		"   <member>\n"
		"    <RuleArn>arn:1</RuleArn><Priority>10</Priority><IsDefault>false</IsDefault>\n"
		"    <Conditions/>\n"
		"    <Actions><member><Type>forward</Type><Order>1</Order>\n"
		"     <ForwardConfig><TargetGroups>\n"
		"      "
		"<member><TargetGroupArn>arn:t</TargetGroupArn><Weight>100</Weight></member>\n"
		"     </TargetGroups></ForwardConfig></member></Actions>\n"
		"   </member>\n"
		"  </Rules>\n"
		" </DescribeRulesResult>\n"
		" <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\n"
		"</DescribeRulesResponse>",
		"{\"Rules\":[{\"RuleArn\":\"arn:1\",\"Priority\":\"10\",\"IsDefault\":false,"
		"\"Conditions\":[],\"Actions\":[{\"Type\":\"forward\",\"Order\":1,"
		"\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"arn:t\","
		"\"Weight\":100}]}}]}]}");
}

TEST(small_answers)
{
	check_decoded("<R><GetCallerIdentityResult><Arn>a&amp;b&lt;</Arn><Account>000000000000"
		      "</Account></GetCallerIdentityResult></R>",
		"{\"Arn\":\"a&b<\",\"Account\":\"000000000000\"}");
	check_decoded("<R><XResult/><ResponseMetadata/></R>", "{}");
	check_decoded("<R><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></R>", "{}");
	check_decoded("<R><XResult><RedirectConfig><Port>#{port}</Port></RedirectConfig>"
		      "<Target><Port>8080</Port></Target></XResult></R>",
		"{\"RedirectConfig\":{\"Port\":\"#{port}\"},\"Target\":{\"Port\":8080}}");
	check_decoded("<R><XResult><AuthenticationRequestExtraParams><entry><key>a</key>"
		      "<value>1</value></entry></AuthenticationRequestExtraParams></XResult></R>",
		"{\"AuthenticationRequestExtraParams\":{\"a\":\"1\"}}");
	check_decoded("<ErrorResponse><Error><Type>Sender</Type><Code>RuleNotFound</Code>"
		      "<Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>",
		"{\"Type\":\"Sender\",\"Code\":\"RuleNotFound\",\"Message\":\"no\"}");
}

TEST(what_is_no_answer_is_refused)
{
	scoped(buf_free) struct buf deep = {0};
	struct json *value = NULL;
	struct error err = {0};
	static const char *const rows[] = {"", "not xml", "<a>", "<a></b>",
		"<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>"};

	for (size_t i = 0; i < countof(rows); i++)
		CHECK_FAILS(query_decode(str_of(rows[i]), &value, &err), ERROR_PROTOCOL);
	for (int i = 0; i < 100; i++)
		buf_append_text(&deep, "<a>");
	CHECK_FAILS(query_decode(buf_str(&deep), &value, &err), ERROR_PROTOCOL);
	CHECK(!value);
}

TEST_MAIN()
