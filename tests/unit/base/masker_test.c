#include "tests/test.h"

#include "base/masker.h"
#include "base/memory.h"

/* Masks text given in pieces of every possible size: the result may not depend on it. */
static void check_masked(const char *const *secrets, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		scoped(masker_free) struct masker masker = {0};
		scoped(buf_free) struct buf out = {0};
		size_t left = strlen(text);

		for (size_t i = 0; secrets[i]; i++)
			masker_add(&masker, secrets[i]);
		for (const char *at = text; left;) {
			size_t size = step < left ? step : left;

			masker_feed(&masker, (struct str){at, size}, &out);
			at += size;
			left -= size;
		}
		masker_flush(&masker, &out);
		CHECK_TEXT(buf_text(&out), expected);
	}
}

#define secrets_of(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(every_occurrence_is_hidden_however_it_is_split)
{
	check_masked(secrets_of("hunter2"), "a hunter2, hunter2hunter2!", "a ***, ******!");
	check_masked(secrets_of("aab"), "aaab aab aa", "a*** *** aa");
}

TEST(a_longer_secret_is_hidden_whole)
{
	check_masked(secrets_of("pass", "password1"), "password1 pass passwor", "*** *** ***wor");
	check_masked(secrets_of("password1", "pass"), "password", "***word");
}

TEST(secrets_that_overlap_are_hidden_whole)
{
	check_masked(secrets_of("abcd", "cdef"), "abcdef abcd cdef", "*** *** ***");
	check_masked(secrets_of("abcd", "cdef", "fgh"), "-abcdefgh-", "-***-");
	/* a secret may overlap itself, too */
	check_masked(secrets_of("abab"), "abababab.", "***.");
	check_masked(secrets_of("aaa"), "aaaaa aa", "*** aa");
	/* one that lies in the middle of another, and goes no further */
	check_masked(secrets_of("abcd", "bc"), "abcd bcd", "*** ***d");
	/* the overlapping one does not come after all */
	check_masked(secrets_of("abcd", "cdef"), "abcde", "***e");
	check_masked(secrets_of("abcd", "cdef"), "abcdegcdef", "***eg***");
}

TEST(lines_and_odd_bytes_may_be_part_of_a_secret)
{
	check_masked(secrets_of("line 1\nline 2\n"), "x line 1\nline 2\ny", "x ***y");
	check_masked(secrets_of("$(.*)\\"), "a$(.*)\\b", "a***b");
}

TEST(an_empty_secret_hides_nothing)
{
	check_masked(secrets_of("", "x"), "axb", "a***b");
	check_masked(secrets_of(""), "axb", "axb");
}

TEST(nothing_is_held_back_longer_than_needed)
{
	scoped(masker_free) struct masker masker = {0};
	scoped(buf_free) struct buf out = {0};

	masker_add(&masker, "secret");
	masker_feed(&masker, str_of("progress 10%\nsec"), &out);
	CHECK_TEXT(buf_text(&out), "progress 10%\n");
	masker_feed(&masker, str_of("ond\n"), &out);
	CHECK_TEXT(buf_text(&out), "progress 10%\nsecond\n");
}

/* Expected values: what openssl base64, jq @uri, Python's json and html and bash's printf %q make of
 * the secrets. */
#define KEY_SECRET "S3cr3t/key+1"

TEST(base64_is_hidden_wherever_the_secret_lies_in_the_encoded_text)
{
	check_masked(secrets_of(KEY_SECRET), "UzNjcjN0L2tleSsx\n", "***\n");
	check_masked(secrets_of(KEY_SECRET), "UzNjcjN0L2tleSsxCg==\n", "***Cg==\n");
	/* behind "ab:", "a:" and "x" of "tok:" */
	check_masked(secrets_of(KEY_SECRET), "YWI6UzNjcjN0L2tleSsx", "YWI6***");
	check_masked(secrets_of(KEY_SECRET), "<YTpTM2NyM3Qva2V5KzE6Yg==>", "<YTp***6Yg==>");
	check_masked(secrets_of("?\?>>~~~0zz"), "dG9rOj8/Pj5+fn4weno=", "dG9rOj***");
	/* with padding and without */
	check_masked(secrets_of("S3cr3t/key+"), "[UzNjcjN0L2tleSs=]", "[***]");
	check_masked(secrets_of("S3cr3t/key+"), "[UzNjcjN0L2tleSs]", "[***]");
	check_masked(secrets_of("S3cr3t/key+"), "eDpTM2NyM3Qva2V5Kw==\n", "eDp***\n");
	check_masked(secrets_of("S3cr3t/key+"), "eDpTM2NyM3Qva2V5Kw\n", "eDp***\n");
	/* the alphabet for URLs */
	check_masked(secrets_of("?\?>>~~~0zz"), "dG9rOj8_Pj5-fn4weno", "dG9rOj***");
	/* nearly */
	check_masked(secrets_of(KEY_SECRET), "UzNjcjN0L2tleSsw\n", "UzNjcjN0L2tleSsw\n");
}

TEST(base64_is_hidden_where_its_lines_are_folded)
{
	check_masked(secrets_of(KEY_SECRET), "eyJ1IjoieCIsInAi\nOiJTM2NyM3Qva2V5\nKzEifQ==\n",
		"eyJ1IjoieCIsInAi\nOiJ***ifQ==\n");
	check_masked(secrets_of(KEY_SECRET), "MXsidSI6IngiLCJw\r\nIjoiUzNjcjN0L2tl\r\neSsxIn0=",
		"MXsidSI6IngiLCJw\r\nIjoi***In0=");
	check_masked(secrets_of(KEY_SECRET), "MTJ7InUiOiJ4Iiwi\ncCI6IlMzY3IzdC9r\nZXkrMSJ9\n",
		"MTJ7InUiOiJ4Iiwi\ncCI6Il***J9\n");
	/* right behind the bytes that are not the secret's alone: of "x:" and "ab" */
	check_masked(secrets_of("S3cr3t/key+"), "eDpT\nM2NyM3Qva2V5Kw==\n", "eDp***\n");
}

TEST(percent_encoding_is_hidden_whatever_is_left_as_it_is)
{
	static const char *const texts[] = {"p%40ss%20w%2F1!(x)", "p%40ss+w%2f1%21%28x%29",
		"p@ss%20w/1!(x)", "p@ss w/1!(x)"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "?q=%s&z", texts[i]);
		check_masked(secrets_of("p@ss w/1!(x)"), text, "?q=***&z");
	}
	check_masked(secrets_of("/start"), "-%2Fstart-%2fstart-\\/start-", "-***-***-***-");
	/* of a percent sign itself; and what only looks encoded */
	check_masked(secrets_of("50%25x"), "50%25x 50%2525x 50%2x", "*** *** 50%2x");
}

TEST(escapes_of_json_xml_and_shells_are_hidden)
{
	check_masked(secrets_of("p@ss \"w/\xc3\xa9'1"),
		"p@ss \\\"w/\\u00e9'1, p@ss \\\"w/\xc3\xa9'1, p@ss &quot;w/\xc3\xa9&#x27;1",
		"***, ***, ***");
	check_masked(secrets_of("p@ss \"w/\xc3\xa9'1"),
		"'p@ss \"w/\xc3\xa9'\"'\"'1' p%40ss+%22w%2F%C3%A9%271 p@ss\\ \\\"w/\\u00C9",
		"'***' *** p@ss\\ \\\"w/\\u00C9");
	check_masked(secrets_of("k\n\xf0\x9d\x84\x9e\xe2\x82\xacuro"),
		"\"k\\n\\ud834\\udd1e\\u20acuro\"", "\"***\"");
}

TEST(hexadecimal_is_hidden)
{
	check_masked(secrets_of(KEY_SECRET), "5333637233742f6b65792b31 5333637233742F6B65792B31",
		"*** ***");
}

TEST(every_line_of_a_secret_is_hidden)
{
	check_masked(secrets_of("first line\nshort\r\n  third line\n"),
		"> first line\n> short\n> third line.\n", "> ***\n> short\n> ***.\n");
	/* without the line break at its end */
	check_masked(secrets_of("token-1\n"), "a token-1 b", "a *** b");
}

TEST(of_short_secrets_only_they_themselves_are_hidden)
{
	/* "YWJj" is base64 of "abc", "616263" its bytes in hexadecimal */
	check_masked(secrets_of("abc"), "abc YWJj 616263 %61", "*** YWJj 616263 %61");
	check_masked(secrets_of("a/c"), "a%2Fc", "a%2Fc");
}

TEST(a_text_of_its_own_takes_nothing_from_the_stream)
{
	scoped(masker_free) struct masker masker = {0};
	scoped(buf_free) struct buf out = {0};

	masker_add(&masker, "secret");
	masker_feed(&masker, str_of("a sec"), &out);
	scoped(text_free) char *own = masker_text(&masker, "ret, a secret");

	CHECK_TEXT(own, "ret, a ***");
	masker_feed(&masker, str_of("ret."), &out);
	CHECK_TEXT(buf_text(&out), "a ***.");
}

TEST(many_secrets_and_long_texts)
{
	scoped(masker_free) struct masker masker = {0};
	scoped(buf_free) struct buf text = {0}, expected = {0}, out = {0};

	for (int i = 0; i < 300; i++) {
		scoped(text_free) char *secret = memory_format("secret-%d-%d", i * 7919, i);

		masker_add(&masker, secret);
		buf_printf(&text, "%*d %s\n", i * 3 % 400 + 1, i, secret);
		buf_printf(&expected, "%*d ***\n", i * 3 % 400 + 1, i);
	}
	masker_feed(&masker, buf_str(&text), &out);
	masker_flush(&masker, &out);
	CHECK_TEXT(buf_text(&out), buf_text(&expected));
}

#define TOKEN                                                                                      \
	"ghp"                                                                                      \
	"_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
#define KEY                                                                                        \
	"q8Zr3+TnL0vB"                                                                             \
	"x/7yHk2MwPd9sJf4GcA1uE6iRoWn"
#define PEM_LINE                                                                                   \
	"MC4CAQAwBQYDK2VwBCIEIHc1aOb8b0Gk"                                                         \
	"z7Tq2yVnP5Xw3uLrE9dSf6Jm4Q0Z"

TEST(what_looks_like_a_credential_is_hidden)
{
	check_masked(secrets_of(""), "a " TOKEN "\nb ghp_x", "a ***\nb ghp_x");
	check_masked(secrets_of(""), "aws_secret_access_key = " KEY "\n",
		"aws_secret_access_key = ***\n");
	check_masked(secrets_of(""),
		"a\n-----BEGIN "
		"PRIVATE KEY-----\n" PEM_LINE "\n-----END "
		"PRIVATE KEY-----\nb\n",
		"a\n***\nb\n");
	check_masked(secrets_of(""),
		"-----BEGIN "
		"PRIVATE KEY-----\n" PEM_LINE "\n",
		"***");
	check_masked(secrets_of(""), "-----BEGIN CERTIFICATE-----\nMII\n",
		"-----BEGIN CERTIFICATE-----\nMII\n");
}

TEST(a_secret_in_the_name_of_a_credential_is_hidden_too)
{
	check_masked(secrets_of("hunter2"), "machine h login hunter2 password Tr0ub4dor \n",
		"machine h login *** password *** \n");
}

TEST(a_secret_that_overlaps_a_credential_is_hidden_whole)
{
	check_masked(secrets_of("zA5 tail", "head ghp"), "head " TOKEN " tail.", "***.");
	/* from its name into it */
	check_masked(secrets_of("word Tr0"), "machine h login me password Tr0ub4dor \n",
		"machine h login me pass*** \n");
}

TEST_MAIN()
