/*
 * test.h - a test program: TEST(name) { CHECK…; } and TEST_MAIN(). Prints TAP.
 *
 * Each test runs once, in the order of the file; a failed CHECK is printed with its place and the
 * test goes on, so one run shows all that is wrong. SKIP("why") ends the test as skipped; it must
 * say why. Arguments: names of tests to run (default: all).
 *
 * TEST_REPORT=FILE in the environment writes the same as JUnit XML.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *following;
};

static struct test *test_first, **test_last = &test_first;
static int test_failures;        /* of the running test */
static const char *test_skipped; /* why, or NULL */
static char test_said[4096];     /* what failed, for the report */

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	__attribute__((constructor)) static void test_add_##id(void)                               \
	{                                                                                          \
		static struct test row = {#id, test_##id, NULL};                                   \
		*test_last = &row;                                                                 \
		test_last = &row.following;                                                        \
	}                                                                                          \
	static void test_##id(void)

#define TEST_FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

printf_like(3, 4) static inline void test_fail(const char *file, int line, const char *format, ...)
{
	size_t size = strlen(test_said);
	va_list args;

	test_failures++;
	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("");
	size += (size_t)snprintf(test_said + size, sizeof(test_said) - size, "%s:%d: ", file, line);
	if (size >= sizeof(test_said) - 1)
		return;
	va_start(args, format);
	vsnprintf(test_said + size, sizeof(test_said) - size - 1, format, args);
	va_end(args);
	size = strlen(test_said);
	memcpy(test_said + size, "\n", 2);
}

#define SKIP(why)                                                                                  \
	do {                                                                                       \
		test_skipped = (why);                                                              \
		return;                                                                            \
	} while (0)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			TEST_FAIL("%s does not hold", #condition);                                 \
	} while (0)

/* Ends the test when it does not hold: for what the rest depends on. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			TEST_FAIL("%s does not hold", #condition);                                 \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, expected)                                                                   \
	do {                                                                                       \
		long long got_ = (long long)(got), expected_ = (long long)(expected);              \
		if (got_ != expected_)                                                             \
			TEST_FAIL("%s is %lld, expected %lld", #got, got_, expected_);             \
	} while (0)

#define CHECK_TEXT(got, expected)                                                                  \
	do {                                                                                       \
		const char *got_ = (got), *expected_ = (expected);                                 \
		if (!got_ || !expected_ ? got_ != expected_ : strcmp(got_, expected_) != 0)        \
			TEST_FAIL("%s is \"%s\", expected \"%s\"", #got, got_ ? got_ : "(null)",   \
				expected_ ? expected_ : "(null)");                                 \
	} while (0)

#define CHECK_CONTAINS(text, piece)                                                                \
	do {                                                                                       \
		const char *text_ = (text), *piece_ = (piece);                                     \
		if (!text_ || !strstr(text_, piece_))                                              \
			TEST_FAIL("%s is \"%s\", expected it to contain \"%s\"", #text,            \
				text_ ? text_ : "(null)", piece_);                                 \
	} while (0)

/* call takes &err (in scope as `struct error err`) last; prints the error when it fails. */
#define CHECK_OK(call)                                                                             \
	do {                                                                                       \
		if (!(call))                                                                       \
			TEST_FAIL("%s failed: %s", #call,                                          \
				err.message ? err.message : "no message");                         \
	} while (0)

#define REQUIRE_OK(call)                                                                           \
	do {                                                                                       \
		if (!(call)) {                                                                     \
			TEST_FAIL("%s failed: %s", #call,                                          \
				err.message ? err.message : "no message");                         \
			error_free(&err);                                                          \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* The call must fail with this kind; the error is freed. */
#define CHECK_FAILS(call, expected_kind)                                                           \
	do {                                                                                       \
		if (call)                                                                          \
			TEST_FAIL("%s succeeded, expected %s", #call,                              \
				error_kind_name(expected_kind));                                   \
		else if (err.kind != (expected_kind))                                              \
			TEST_FAIL("%s failed with %s (%s), expected %s", #call,                    \
				error_kind_name(err.kind), err.message ? err.message : "",         \
				error_kind_name(expected_kind));                                   \
		error_free(&err);                                                                  \
	} while (0)

static bool test_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

/* As the value of an attribute; what XML has no character for is "?". */
static void test_write_escaped(FILE *report, const char *text)
{
	for (; *text; text++) {
		if (strchr("<>&\"\n", *text))
			fprintf(report, "&#%d;", *text);
		else
			fputc(*text >= ' ' && *text <= '~' ? *text : '?', report);
	}
}

static void test_report_case(FILE *report, const char *name, const struct timespec *start)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	fprintf(report, "<testcase name=\"%s\" time=\"%.6f\">", name,
		(double)(end.tv_sec - start->tv_sec) +
			(double)(end.tv_nsec - start->tv_nsec) / 1e9);
	if (test_failures || test_skipped) {
		fprintf(report, "<%s message=\"", test_failures ? "failure" : "skipped");
		test_write_escaped(report, test_failures ? test_said : test_skipped);
		fputs("\"/>", report);
	}
	fputs("</testcase>\n", report);
}

static FILE *test_report_begin(const char *program)
{
	const char *path = getenv("TEST_REPORT"), *slash = strrchr(program, '/');
	FILE *report = path ? fopen(path, "we") : NULL;

	if (report)
		fprintf(report, "<testsuite name=\"%s\">\n", slash ? slash + 1 : program);
	return report;
}

static int test_main(int argc, char **argv)
{
	FILE *report = test_report_begin(argv[0]);
	int number = 0, failed = 0;
	struct timespec start;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *test = test_first; test; test = test->following) {
		if (!test_wanted(test->name, argc, argv))
			continue;
		test_failures = 0;
		test_skipped = NULL;
		test_said[0] = '\0';
		clock_gettime(CLOCK_MONOTONIC, &start);
		test->run();
		number++;
		failed += test_failures > 0;
		printf("%s %d - %s%s%s\n", test_failures ? "not ok" : "ok", number, test->name,
			test_skipped ? " # SKIP " : "", test_skipped ? test_skipped : "");
		if (report)
			test_report_case(report, test->name, &start);
	}
	if (report) {
		fputs("</testsuite>\n", report);
		fclose(report);
	}
	printf("1..%d\n", number);
	return failed ? 1 : 0;
}

#define TEST_MAIN()                                                                                \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return test_main(argc, argv);                                                      \
	}

#endif
