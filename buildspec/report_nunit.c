#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

/*
 * NUnit 2 (test-results) and NUnit 3 (test-run) differ in attributes more than in elements:
 * test-suite (in each other) > test-case > failure > message, stack-trace; reason > message.
 */

static const struct {
	const char *result;
	enum report_status status;
} results[] = {
	{"Success", REPORT_PASSED},
	{"Passed", REPORT_PASSED},
	{"Warning", REPORT_PASSED},
	{"Failure", REPORT_FAILED},
	{"Failed", REPORT_FAILED},
	{"Error", REPORT_ERROR},
	{"Invalid", REPORT_ERROR},
	{"NotRunnable", REPORT_ERROR},
	{"Cancelled", REPORT_ERROR},
	{"Ignored", REPORT_SKIPPED},
	{"Skipped", REPORT_SKIPPED},
	{"Inconclusive", REPORT_SKIPPED},
	{"Explicit", REPORT_SKIPPED},
};

/* NUnit 3 puts the finer word into label: result="Failed" label="Error". */
static enum report_status status_of(const char *const *attributes)
{
	const char *word = xml_attribute(attributes, "label");
	const char *result = xml_attribute(attributes, "result");

	for (int i = 0; i < 2; i++, word = result)
		for (size_t at = 0; at < countof(results); at++)
			if (text_equal(results[at].result, word))
				return results[at].status;
	if (text_equal(xml_attribute(attributes, "executed"), "False"))
		return REPORT_SKIPPED;
	return text_equal(xml_attribute(attributes, "success"), "False") ? REPORT_FAILED
									 : REPORT_PASSED;
}

/* NUnit 2 has "Space.Class.Method(arguments)" only. */
static void split_name(struct report_reader *r, const char *full)
{
	size_t end = strcspn(full, "(<"), at = end;

	while (at && full[at - 1] != '.')
		at--;
	if (at < 2)
		return;
	buf_clear(&r->class_name);
	buf_append(&r->class_name, full, at - 1 < REPORT_NAME_BYTES ? at - 1 : REPORT_NAME_BYTES);
	report_cut(&r->name, full + at, REPORT_NAME_BYTES);
}

static void open_case(struct report_reader *r, const char *const *attributes)
{
	const char *name = xml_attribute(attributes, "name");
	const char *class_name = xml_attribute(attributes, "classname");
	const char *seconds = xml_attribute(attributes, "duration");
	enum report_status status = status_of(attributes);

	report_case_begin(r, class_name, name);
	if (!class_name && name)
		split_name(r, name);
	r->current.duration_us =
		report_seconds(seconds ? seconds : xml_attribute(attributes, "time"));
	report_case_outcome(r, status, NULL);
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (strcmp(name, "test-suite") == 0)
		report_suite_begin(r, xml_attribute(attributes, "name"));
	else if (strcmp(name, "test-case") == 0)
		open_case(r, attributes);
	else if (r->in_case && (strcmp(name, "message") == 0 || strcmp(name, "stack-trace") == 0))
		report_want_text(r);
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "test-suite") == 0)
		report_suite_end(r);
	else if (strcmp(name, "test-case") == 0)
		report_case_end(r);
	else if (r->in_case && strcmp(name, "message") == 0 && !r->message.size)
		report_cut(&r->message, buf_text(&r->text), REPORT_MESSAGE_BYTES);
	else if (r->in_case && strcmp(name, "stack-trace") == 0)
		report_case_take_text(r);
}

const struct report_elements report_nunit = {
	.roots = {"test-run", "test-results", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
