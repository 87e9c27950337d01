#include "tests/test.h"

#include "base/process.h"

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
