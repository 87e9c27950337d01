#include "tests/test.h"

#include "pipeline/plan/findings.h"

TEST(findings_print_in_the_order_of_the_files)
{
	scoped(findings_free) struct findings findings = {0};
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	findings_add(&findings, "b.yml", 2, 1, "second");
	findings_add(&findings, "b.yml", 1, 9, "first");
	finding_suggest(findings_add(&findings, "a.yml", 0, 0, "unknown %d", 3), "near");
	findings_sort(&findings);
	findings_print(out, &findings);
	fclose(out);
	CHECK_TEXT(text, "a.yml: unknown 3; did you mean \"near\"?\n"
			 "b.yml:1:9: first\n"
			 "b.yml:2:1: second\n");
}

TEST(an_error_with_a_place_becomes_a_finding_with_a_place)
{
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};

	error_raise(&err, ERROR_INVALID, "x.yml:12:5: not closed");
	error_next(&err, "close it");
	findings_add_error(&findings, "x.yml", &err);
	REQUIRE(findings.count == 1);
	CHECK_INT(findings.items[0].line, 12);
	CHECK_INT(findings.items[0].column, 5);
	CHECK_TEXT(findings.items[0].message, "not closed");
	CHECK_TEXT(findings.items[0].next, "close it");
}

TEST(the_error_names_the_first_and_counts_the_rest)
{
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};

	findings_add(&findings, "a.yml", 1, 2, "one");
	findings_add(&findings, "a.yml", 3, 4, "two");
	CHECK(!findings_raise(&findings, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_TEXT(err.message, "a.yml:1:2: one (and 1 more)");
}

TEST(more_findings_than_anyone_reads_are_counted)
{
	scoped(findings_free) struct findings findings = {0};

	for (int i = 0; i < FINDINGS_MAX + 5; i++)
		findings_add(&findings, "a.yml", i + 1, 1, "x");
	CHECK_INT(findings.count, FINDINGS_MAX);
	CHECK_INT(findings.dropped, 5);
}

TEST_MAIN()
