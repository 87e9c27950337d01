#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

/*
 * testng-results.xml: suite > test > class > test-method > exception > message, full-stacktrace.
 * Methods that only prepare (is-config) are no tests; one that fails is why tests were skipped.
 */

static enum report_status status_of(const char *word)
{
	return text_equal(word, "FAIL")   ? REPORT_FAILED
	       : text_equal(word, "SKIP") ? REPORT_SKIPPED
					  : REPORT_PASSED;
}

static void open_method(struct report_reader *r, const char *const *attributes)
{
	enum { US_PER_MS = 1000, MS_MAX = 1000000000 };
	enum report_status status = status_of(xml_attribute(attributes, "status"));
	int64_t duration_ms = report_number(xml_attribute(attributes, "duration-ms"));

	if (text_equal(xml_attribute(attributes, "is-config"), "true")) {
		if (status != REPORT_FAILED)
			return;
		status = REPORT_ERROR;
	}
	report_case_begin(r, buf_text(&r->package), xml_attribute(attributes, "name"));
	r->current.duration_us = (duration_ms < MS_MAX ? duration_ms : MS_MAX) * US_PER_MS;
	report_case_outcome(r, status, NULL);
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (strcmp(name, "suite") == 0 || strcmp(name, "test") == 0)
		report_suite_begin(r, xml_attribute(attributes, "name"));
	else if (strcmp(name, "class") == 0)
		report_cut(&r->package, xml_attribute(attributes, "name"), REPORT_NAME_BYTES);
	else if (strcmp(name, "test-method") == 0)
		open_method(r, attributes);
	else if (r->in_case &&
		 (strcmp(name, "message") == 0 || strcmp(name, "full-stacktrace") == 0 ||
			 strcmp(name, "short-stacktrace") == 0))
		report_want_text(r);
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "suite") == 0 || strcmp(name, "test") == 0) {
		report_suite_end(r);
	} else if (strcmp(name, "test-method") == 0) {
		report_case_end(r);
	} else if (r->in_case && strcmp(name, "message") == 0 && !r->message.size) {
		scoped(buf_free) struct buf line = {0};

		buf_append_str(&line, str_trim(buf_str(&r->text)));
		report_cut(&r->message, buf_text(&line), REPORT_MESSAGE_BYTES);
	} else if (r->in_case && text_ends_with(name, "-stacktrace")) {
		report_case_take_text(r);
	}
}

const struct report_elements report_testng = {
	.roots = {"testng-results", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
