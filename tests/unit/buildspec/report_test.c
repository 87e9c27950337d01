#include "tests/test.h"

#include "base/memory.h"
#include "buildspec/report.h"

/* What was found, a line each: "status suite/class/name 500us file:3 message|details". */
static void note_case(void *self, const struct report_case *c)
{
	buf_printf(self, "%s%s %s/%s/%s %lldus %s:%d %s|%s\n", report_status_name(c->status),
		c->flaky ? "(flaky)" : "", c->suite, c->class_name, c->name,
		(long long)c->duration_us, c->file, c->line, c->message, c->details);
}

static void note_coverage(void *self, const struct report_coverage *c)
{
	buf_printf(self, "%s %lld/%lld %lld/%lld\n", c->file, (long long)c->lines_covered,
		(long long)c->lines_valid, (long long)c->branches_covered,
		(long long)c->branches_valid);
}

static void check_report(const char *format, const char *text, const char *expected)
{
	scoped(buf_free) struct buf seen = {0};
	const struct report_sink sink = {note_case, note_coverage, &seen};
	struct error err = {0};

	CHECK_OK(report_read(report_format_find(format), str_of(text), &sink, &err));
	error_free(&err);
	CHECK_TEXT(buf_text(&seen), expected);
}

/* The shapes are those of the tools' own writers; the numbers are counted by hand. */

TEST(gtest)
{
	check_report("JUNITXML",
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites tests=\"3\" failures=\"1\" disabled=\"1\" errors=\"0\" time=\"0.004\" "
		"name=\"AllTests\">"
		"<testsuite name=\"Queue\" tests=\"3\" failures=\"1\">"
		"<testcase name=\"IsEmpty\" file=\"q_test.cc\" line=\"12\" status=\"run\" "
		"result=\"completed\" time=\"0.001\" classname=\"Queue\" />"
		"<testcase name=\"Pops\" file=\"q_test.cc\" line=\"20\" status=\"run\" "
		"result=\"completed\" time=\"0.003\" classname=\"Queue\">"
		"<failure message=\"q_test.cc:21&#x0A;Expected equality\" type=\"\">"
		"<![CDATA[q_test.cc:21\nExpected equality]]></failure>"
		"<failure message=\"q_test.cc:22\" "
		"type=\"\"><![CDATA[second]]></failure></testcase>"
		"<testcase name=\"DISABLED_Grows\" status=\"notrun\" result=\"suppressed\" "
		"time=\"0.\" "
		"classname=\"Queue\" /></testsuite></testsuites>",
		"passed Queue/Queue/IsEmpty 1000us q_test.cc:12 |\n"
		"failed Queue/Queue/Pops 3000us q_test.cc:20 q_test.cc:21\nExpected equality|"
		"q_test.cc:21\nExpected equality\n"
		"skipped Queue/Queue/DISABLED_Grows 0us :0 |\n");
}

TEST(pytest)
{
	check_report("junitxml",
		"<testsuites><testsuite name=\"pytest\" errors=\"1\" failures=\"1\" skipped=\"1\">"
		"<testcase classname=\"tests.test_a.TestA\" name=\"test_x[1-2]\" time=\"9.5e-05\"/>"
		"<testcase classname=\"tests.test_a\" name=\"test_y\" time=\"1.25\"><failure "
		"message=\"assert 1 == 2\">def test_y():\n&gt; assert 1 == 2</failure></testcase>"
		"<testcase classname=\"tests.test_a\" name=\"test_z\" time=\"0.000\"><skipped "
		"type=\"pytest.skip\" message=\"no network\">tests/test_a.py:9: no "
		"network</skipped></testcase>"
		"<testcase classname=\"\" name=\"tests.test_b\" time=\"0.000\"><error "
		"message=\"collection failure\">ImportError</error></testcase>"
		"</testsuite></testsuites>",
		"passed pytest/tests.test_a.TestA/test_x[1-2] 95us :0 |\n"
		"failed pytest/tests.test_a/test_y 1250000us :0 assert 1 == 2|def test_y():\n"
		"> assert 1 == 2\n"
		"skipped pytest/tests.test_a/test_z 0us :0 no network|tests/test_a.py:9: no "
		"network\n"
		"error pytest//tests.test_b 0us :0 collection failure|ImportError\n");
}

TEST(surefire_repeats_and_writes_thousands)
{
	check_report("JUNITXML",
		"<testsuite name=\"org.x.ATest\" time=\"1,235.5\" tests=\"2\">"
		"<properties><property name=\"java.version\" value=\"17\"/></properties>"
		"<testcase name=\"slow\" classname=\"org.x.ATest\" time=\"1,234.5\"/>"
		"<testcase name=\"shaky\" classname=\"org.x.ATest\" time=\"0,25\">"
		"<flakyFailure message=\"once\" type=\"x\"><stackTrace>at A</stackTrace>"
		"<system-out>noise</system-out></flakyFailure></testcase>"
		"<testcase name=\"bad\" classname=\"org.x.ATest\" time=\"1\">"
		"<failure type=\"java.lang.AssertionError\">java.lang.AssertionError: no\n\tat "
		"A.java</failure><rerunFailure message=\"again\"/><system-err>x</system-err>"
		"</testcase></testsuite>",
		"passed org.x.ATest/org.x.ATest/slow 1234500000us :0 |\n"
		"passed(flaky) org.x.ATest/org.x.ATest/shaky 250000us :0 once|at Anoise\n"
		"failed org.x.ATest/org.x.ATest/bad 1000000us :0 java.lang.AssertionError: no|"
		"java.lang.AssertionError: no\n\tat A.java\n");
}

TEST(suites_in_suites)
{
	check_report("JUNITXML",
		"<testsuites name=\"jest tests\"><testsuite name=\"outer\"><testsuite "
		"name=\"inner\">"
		"<testcase classname=\"Cart adds\" name=\"Cart adds one\" "
		"time=\"0.004\"/></testsuite>"
		"<testcase name=\"late\"/></testsuite><testcase name=\"alone\"/></testsuites>",
		"passed inner/Cart adds/Cart adds one 4000us :0 |\n"
		"passed outer//late 0us :0 |\n"
		"passed //alone 0us :0 |\n");
}

TEST(nunit_2)
{
	check_report("NUNITXML",
		"<test-results name=\"a.dll\" total=\"3\"><test-suite type=\"Assembly\" "
		"name=\"a.dll\"><results><test-suite type=\"TestFixture\" name=\"Sums\"><results>"
		"<test-case name=\"N.Sums.Adds(1.5,2)\" executed=\"True\" result=\"Success\" "
		"success=\"True\" time=\"0.012\" asserts=\"1\"/>"
		"<test-case name=\"N.Sums.Fails\" executed=\"True\" result=\"Failure\" "
		"success=\"False\" time=\"0.5\"><failure><message><![CDATA[Expected: 3]]></message>"
		"<stack-trace><![CDATA[at N.Sums.Fails()]]></stack-trace></failure></test-case>"
		"<test-case name=\"N.Sums.Later\" executed=\"False\" result=\"Ignored\"><reason>"
		"<message><![CDATA[later]]></message></reason></test-case>"
		"</results></test-suite></results></test-suite></test-results>",
		"passed Sums/N.Sums/Adds(1.5,2) 12000us :0 |\n"
		"failed Sums/N.Sums/Fails 500000us :0 Expected: 3|at N.Sums.Fails()\n"
		"skipped Sums/N.Sums/Later 0us :0 later|\n");
}

TEST(nunit_3)
{
	check_report("NUNIT3XML",
		"<test-run id=\"2\" total=\"3\"><test-suite type=\"TestFixture\" name=\"Sums\" "
		"fullname=\"N.Sums\"><test-case name=\"Adds\" fullname=\"N.Sums.Adds\" "
		"classname=\"N.Sums\" result=\"Passed\" duration=\"0.012345\"/>"
		"<test-case name=\"Throws\" classname=\"N.Sums\" result=\"Failed\" label=\"Error\" "
		"duration=\"0.1\"><failure><message><![CDATA[boom]]></message>"
		"<stack-trace>at X</stack-trace></failure><output>noise</output></test-case>"
		"<test-case name=\"Off\" classname=\"N.Sums\" result=\"Skipped\" "
		"label=\"Ignored\"/>"
		"</test-suite></test-run>",
		"passed Sums/N.Sums/Adds 12345us :0 |\n"
		"error Sums/N.Sums/Throws 100000us :0 boom|at X\n"
		"skipped Sums/N.Sums/Off 0us :0 |\n");
}

TEST(testng)
{
	check_report("TESTNGXML",
		"<testng-results skipped=\"1\" failed=\"1\" passed=\"1\"><reporter-output/>"
		"<suite name=\"all\" duration-ms=\"90\"><groups><group name=\"g\"><method "
		"name=\"ok\"/></group></groups><test name=\"unit\"><class name=\"x.T\">"
		"<test-method status=\"PASS\" name=\"setUp\" is-config=\"true\" duration-ms=\"4\"/>"
		"<test-method status=\"PASS\" name=\"ok\" duration-ms=\"17\"></test-method>"
		"<test-method status=\"FAIL\" name=\"bad\" duration-ms=\"3\"><exception "
		"class=\"java.lang.AssertionError\"><message><![CDATA[\n expected true "
		"]]></message><full-stacktrace><![CDATA[at x.T]]></full-stacktrace></exception>"
		"</test-method><test-method status=\"SKIP\" name=\"off\" duration-ms=\"0\"/>"
		"<test-method status=\"FAIL\" name=\"tearDown\" is-config=\"true\"/>"
		"</class></test></suite></testng-results>",
		"passed unit/x.T/ok 17000us :0 |\n"
		"failed unit/x.T/bad 3000us :0 expected true|at x.T\n"
		"skipped unit/x.T/off 0us :0 |\n"
		"error unit/x.T/tearDown 0us :0 |\n");
}

TEST(visual_studio_names_the_class_later)
{
	check_report("VISUALSTUDIOTRX",
		"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><TestRun name=\"me@box\" "
		"xmlns=\"http://microsoft.com/schemas/VisualStudio/TeamTest/2010\"><Results>"
		"<UnitTestResult testId=\"b-2\" testName=\"Adds\" outcome=\"Passed\" "
		"duration=\"00:01:02.0035000\"/>"
		"<UnitTestResult testId=\"a-1\" testName=\"N.C.Rows\" "
		"outcome=\"Failed\"><InnerResults>"
		"<UnitTestResult testId=\"a-1\" testName=\"N.C.Rows(1)\" outcome=\"Passed\"/>"
		"<UnitTestResult testId=\"a-1\" testName=\"N.C.Rows(2)\" "
		"outcome=\"Failed\"><Output>"
		"<StdOut>x</StdOut><ErrorInfo><Message>no</Message><StackTrace>at C</StackTrace>"
		"</ErrorInfo></Output></UnitTestResult></InnerResults></UnitTestResult>"
		"<UnitTestResult testId=\"c-3\" testName=\"Off\" outcome=\"NotExecuted\"/>"
		"</Results><TestDefinitions><UnitTest name=\"Rows\" id=\"a-1\"><TestMethod "
		"className=\"N.C, Lib, Version=1\" name=\"Rows\"/></UnitTest><UnitTest "
		"name=\"Adds\" "
		"id=\"b-2\"><TestMethod className=\"N.D\" name=\"Adds\"/></UnitTest>"
		"</TestDefinitions></TestRun>",
		"passed /N.D/Adds 62003500us :0 |\n"
		"passed /N.C/Rows(1) 0us :0 |\n"
		"failed /N.C/Rows(2) 0us :0 no|at C\n"
		"skipped //Off 0us :0 |\n");
}

TEST(cucumber)
{
	check_report("CUCUMBERJSON",
		"[{\"uri\":\"f/a.feature\",\"name\":\"Pay\",\"elements\":["
		"{\"type\":\"background\",\"name\":\"\",\"line\":2,\"steps\":[{\"name\":\"a shop\","
		"\"result\":{\"status\":\"passed\",\"duration\":1000000}}]},"
		"{\"type\":\"scenario\",\"name\":\"card\",\"line\":4,\"steps\":["
		"{\"name\":\"I pay\",\"result\":{\"status\":\"failed\",\"duration\":2000000,"
		"\"error_message\":\"Error: no\\n  at x\"}},{\"name\":\"I go\",\"result\":"
		"{\"status\":\"skipped\"}}]},"
		"{\"type\":\"scenario\",\"name\":\"cash\",\"line\":9,\"steps\":[{\"name\":\"I "
		"count\","
		"\"result\":{\"status\":\"undefined\"}}]},"
		"{\"type\":\"scenario\",\"name\":\"fine\",\"line\":12,\"steps\":[{\"name\":\"x\","
		"\"result\":{\"status\":\"passed\",\"duration\":5000}}]}]}]",
		"failed Pay//card 3000us f/a.feature:4 Error: no|Error: no\n  at x\n"
		"error Pay//cash 0us f/a.feature:9 the step \"I count\" is undefined|\n"
		"passed Pay//fine 5us f/a.feature:12 |\n");
}

TEST(cobertura)
{
	check_report("COBERTURAXML",
		"<?xml version=\"1.0\" ?><!DOCTYPE coverage SYSTEM "
		"'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>"
		"<coverage line-rate=\"0.6\"><packages><package name=\"p\"><classes>"
		"<class name=\"A\" filename=\"src/a.c\"><methods><method name=\"f\"><lines>"
		"<line number=\"1\" hits=\"5\"/></lines></method></methods><lines>"
		"<line number=\"1\" hits=\"5\" branch=\"true\" condition-coverage=\"50% (1/2)\"/>"
		"<line number=\"2\" hits=\"0\"/></lines></class>"
		"<class name=\"A$1\" filename=\"src/a.c\"><methods/><lines><line number=\"9\" "
		"hits=\"1\"/></lines></class>"
		"<class name=\"B\" filename=\"src/b.c\"><lines><line number=\"1\" hits=\"0\"/>"
		"</lines></class></classes></package></packages></coverage>",
		"src/a.c 2/3 1/2\nsrc/b.c 0/1 0/0\n");
}

TEST(clover)
{
	check_report("CLOVERXML",
		"<coverage generated=\"1\"><project><metrics statements=\"99\"/>"
		"<package name=\"p\"><file name=\"a.php\" path=\"/x/a.php\"><class "
		"name=\"A\"><metrics "
		"statements=\"50\"/></class><line num=\"1\" type=\"stmt\" count=\"1\"/><metrics "
		"statements=\"4\" coveredstatements=\"3\" conditionals=\"2\" "
		"coveredconditionals=\"1\"/></file></package>"
		"<file name=\"b.js\"><line num=\"1\" type=\"method\" count=\"1\"/><line num=\"2\" "
		"type=\"stmt\" count=\"0\"/><line num=\"3\" type=\"cond\" truecount=\"1\" "
		"falsecount=\"0\"/></file></project></coverage>",
		"/x/a.php 3/4 1/2\nb.js 0/1 1/2\n");
}

TEST(jacoco)
{
	check_report("JACOCOXML",
		"<!DOCTYPE report PUBLIC \"-//JACOCO//DTD Report 1.1//EN\" \"report.dtd\">"
		"<report name=\"x\"><group name=\"g\"><package name=\"org/x\"><class "
		"name=\"org/x/A\" sourcefilename=\"A.java\"><counter type=\"LINE\" missed=\"7\" "
		"covered=\"7\"/></class><sourcefile name=\"A.java\"><line nr=\"3\" mi=\"0\" "
		"ci=\"3\"/>"
		"<counter type=\"INSTRUCTION\" missed=\"1\" covered=\"9\"/><counter "
		"type=\"BRANCH\" "
		"missed=\"1\" covered=\"3\"/><counter type=\"LINE\" missed=\"2\" covered=\"8\"/>"
		"</sourcefile><counter type=\"LINE\" missed=\"2\" covered=\"8\"/></package></group>"
		"</report>",
		"org/x/A.java 8/10 3/4\n");
}

TEST(simplecov)
{
	check_report("SIMPLECOV",
		"{\"RSpec\":{\"coverage\":{\"/a.rb\":{\"lines\":[1,0,null,0],\"branches\":"
		"{\"[:if, 0]\":{\"[:then, 1]\":1,\"[:else, 2]\":0}}}},\"timestamp\":1},"
		"\"Minitest\":{\"coverage\":{\"/a.rb\":{\"lines\":[0,2,null,0]},"
		"\"/old.rb\":[3,null,0]},\"timestamp\":2}}",
		"/a.rb 2/3 1/2\n/old.rb 1/2 0/0\n");
}

static void check_bad(const char *format, const char *text, const char *message)
{
	scoped(buf_free) struct buf seen = {0};
	const struct report_sink sink = {note_case, note_coverage, &seen};
	struct error err = {0};

	CHECK(!report_read(report_format_find(format), str_of(text), &sink, &err));
	CHECK_CONTAINS(err.message, message);
	error_free(&err);
}

TEST(what_is_no_such_report_is_an_error)
{
	check_bad("JUNITXML", "<html/>", "its outermost element is <html>, expected <testsuites>");
	check_bad("JUNITXML", "{}", "line 1");
	check_bad("JUNITXML", "<testsuites><testsuite>", "no element found");
	check_bad("JUNITXML", "<!DOCTYPE t [<!ENTITY a \"x\">]><testsuites>&a;</testsuites>",
		"it declares an entity");
	check_bad("CUCUMBERJSON", "{}", "expected a list of features");
	check_bad("SIMPLECOV", "{\"files\":[]}", "the coverage of at least one command");
}

TEST(cases_before_a_mistake_count)
{
	scoped(buf_free) struct buf seen = {0};
	const struct report_sink sink = {note_case, note_coverage, &seen};
	struct error err = {0};

	CHECK_FAILS(report_read(report_format_find("JUNITXML"),
			    str_of("<testsuite name='s'><testcase name='a'/><testcase name='b'>"),
			    &sink, &err),
		ERROR_INVALID);
	CHECK_TEXT(buf_text(&seen), "passed s//a 0us :0 |\n");
}

TEST(long_texts_are_cut_behind_a_whole_character)
{
	scoped(buf_free) struct buf text = {0}, seen = {0};
	const struct report_sink sink = {note_case, note_coverage, &seen};
	struct error err = {0};

	buf_append_text(&text, "<testsuite><testcase name='a");
	for (int i = 0; i < 3000; i++)
		buf_append_text(&text, "\xc3\xa9");
	buf_append_text(&text, "'/></testsuite>");
	CHECK_OK(report_read(report_format_find("JUNITXML"), buf_str(&text), &sink, &err));
	/* "a" and 511 characters of two bytes are 1023 of the 1024 bytes a name has. */
	CHECK_INT(seen.size, strlen("passed //") + 1023 + strlen(" 0us :0 |\n"));
	CHECK(str_is_utf8(buf_str(&seen)));
}

TEST_MAIN()
