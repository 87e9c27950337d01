#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

/*
 * JUnit's XML has no standard; this is what Ant, Surefire, pytest, gtest, jest-junit and their like
 * write: testsuites > testsuite (in each other, too) > testcase > failure, error, skipped.
 */

/* What an element inside a testcase means for it. */
static const struct outcome {
	const char *element;
	enum report_status status;
	bool flaky;
} outcomes[] = {
	{"failure", REPORT_FAILED, false},
	{"error", REPORT_ERROR, false},
	{"skipped", REPORT_SKIPPED, false},
	/* Surefire: it failed, was repeated and passed. */
	{"flakyFailure", REPORT_PASSED, true},
	{"flakyError", REPORT_PASSED, true},
};

static const struct outcome *outcome_of(const char *name)
{
	for (size_t i = 0; i < countof(outcomes); i++)
		if (strcmp(outcomes[i].element, name) == 0)
			return &outcomes[i];
	return NULL;
}

/* gtest tells in attributes that a case did not run. */
static bool did_not_run(const char *const *attributes)
{
	static const char *const words[] = {"notrun", "disabled", "skipped", "suppressed"};
	const char *status = xml_attribute(attributes, "status");
	const char *result = xml_attribute(attributes, "result");

	for (size_t i = 0; i < countof(words); i++)
		if (text_equal(status, words[i]) || text_equal(result, words[i]))
			return true;
	return false;
}

static void open_case(struct report_reader *r, const char *const *attributes)
{
	report_case_begin(r, xml_attribute(attributes, "classname"),
		xml_attribute(attributes, "name"));
	r->current.duration_us = report_seconds(xml_attribute(attributes, "time"));
	r->current.line = (int)(report_number(xml_attribute(attributes, "line")) % INT32_MAX);
	report_cut(&r->file, xml_attribute(attributes, "file"), REPORT_NAME_BYTES);
	if (did_not_run(attributes))
		report_case_outcome(r, REPORT_SKIPPED, NULL);
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	const struct outcome *outcome = r->in_case ? outcome_of(name) : NULL;

	if (outcome) {
		r->current.flaky = r->current.flaky || outcome->flaky;
		report_case_outcome(r, outcome->status, xml_attribute(attributes, "message"));
		report_want_text(r);
	} else if (strcmp(name, "testcase") == 0) {
		open_case(r, attributes);
	} else if (strcmp(name, "testsuite") == 0) {
		report_suite_begin(r, xml_attribute(attributes, "name"));
	}
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "testcase") == 0)
		report_case_end(r);
	else if (strcmp(name, "testsuite") == 0)
		report_suite_end(r);
	else if (r->in_case && r->text_depth == r->depth)
		report_case_take_text(r);
}

const struct report_elements report_junit = {
	.roots = {"testsuites", "testsuite", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
