#include "base/memory.h"
#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

#include <stdlib.h>

/*
 * Visual Studio's TRX: TestRun > Results > UnitTestResult, and behind them TestDefinitions > UnitTest >
 * TestMethod, which alone has the class. So it is read twice: first the classes, then the results.
 * The run's name has user, machine and time in it and is no name of a suite.
 * Results of data-driven tests hold one result for each row; those count, not the one around them.
 */

struct test_class {
	char *id, *class_name; /* owned */
};

enum { CLASSES_MAX = 200000 };

struct report_classes {
	struct test_class *items; /* owned; sorted by id in the second pass */
	size_t count, room;
	char *id; /* owned: of the UnitTest that is open */
};

static const struct {
	const char *outcome;
	enum report_status status;
} outcomes[] = {
	{"Passed", REPORT_PASSED},
	{"PassedButRunAborted", REPORT_PASSED},
	{"Completed", REPORT_PASSED},
	{"Warning", REPORT_PASSED},
	{"Failed", REPORT_FAILED},
	{"Error", REPORT_ERROR},
	{"Timeout", REPORT_ERROR},
	{"Aborted", REPORT_ERROR},
	{"NotRunnable", REPORT_ERROR},
	{"Disconnected", REPORT_ERROR},
	{"InProgress", REPORT_ERROR},
	{"NotExecuted", REPORT_SKIPPED},
	{"Inconclusive", REPORT_SKIPPED},
	{"Pending", REPORT_SKIPPED},
};

static void add_class(struct report_reader *r, const char *name)
{
	struct report_classes *classes = r->classes;

	if (!classes->id || !name || classes->count == CLASSES_MAX)
		return;
	if (classes->count == classes->room) {
		classes->room = classes->room ? classes->room * 2 : 64;
		classes->items =
			memory_resize(classes->items, classes->room * sizeof(*classes->items));
	}
	/* "Space.Class, Assembly, Version=…" in old files. */
	struct str whole = str_of(name);
	char *class_name = str_copy(str_cut(&whole, ','));

	classes->items[classes->count++] = (struct test_class){classes->id, class_name};
	classes->id = NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct test_class *)a)->id, ((const struct test_class *)b)->id);
}

static const char *class_of(const struct report_classes *classes, const char *id)
{
	const struct test_class *found;
	struct test_class wanted;

	if (!id || !classes->count)
		return NULL;
	scoped(text_free) char *key = memory_copy_text(id);

	wanted.id = key;
	found = bsearch(&wanted, classes->items, classes->count, sizeof(wanted), compare);
	return found ? found->class_name : NULL;
}

/* "[days.]hours:minutes:seconds" */
static int64_t duration_of(const char *text)
{
	const int64_t minute = 60 * 1000000LL, hour = 60 * minute, day = 24 * hour;
	struct str rest = str_of(text), hours = str_cut(&rest, ':');
	struct str minutes = str_cut(&rest, ':'), days = {0};
	int64_t h = 0, m = 0, d = 0;

	if (memchr(hours.data ? hours.data : "", '.', hours.size))
		days = str_cut(&hours, '.');
	if (!rest.data || (days.size && !str_to_int(days, &d)) || !str_to_int(hours, &h) ||
		!str_to_int(minutes, &m) || d < 0 || d > 10000 || h < 0 || h > 24 || m < 0 ||
		m > 60)
		return 0;
	return d * day + h * hour + m * minute + report_seconds(rest.data);
}

static void open_result(struct report_reader *r, const char *const *attributes)
{
	const char *outcome = xml_attribute(attributes, "outcome");
	const char *class_name = class_of(r->classes, xml_attribute(attributes, "testId"));
	const char *name = xml_attribute(attributes, "testName");
	size_t size = class_name ? strlen(class_name) : 0;

	/* Some runners name the test with its class in front. */
	if (size && name && strncmp(name, class_name, size) == 0 && name[size] == '.')
		name += size + 1;
	report_case_begin(r, class_name, name);
	r->current.duration_us = duration_of(xml_attribute(attributes, "duration"));
	/* Without an outcome it did not come to an end. */
	enum report_status status = REPORT_ERROR;

	for (size_t i = 0; i < countof(outcomes); i++)
		if (text_equal(outcomes[i].outcome, outcome))
			status = outcomes[i].status;
	report_case_outcome(r, status, NULL);
}

static void open_first(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (!r->classes)
		r->classes = memory_new(sizeof(*r->classes));
	if (strcmp(name, "UnitTest") == 0) {
		text_free(&r->classes->id);
		r->classes->id = memory_copy_text(xml_attribute(attributes, "id"));
	} else if (strcmp(name, "TestMethod") == 0) {
		add_class(r, xml_attribute(attributes, "className"));
	}
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (r->pass == 1) {
		open_first(r, name, attributes);
		return;
	}
	if (r->depth == 1) {
		if (r->classes->count)
			qsort(r->classes->items, r->classes->count, sizeof(*r->classes->items),
				compare);
	} else if (strcmp(name, "UnitTestResult") == 0) {
		open_result(r, attributes);
	} else if (r->in_case &&
		   (strcmp(name, "Message") == 0 || strcmp(name, "StackTrace") == 0)) {
		report_want_text(r);
	}
}

static void close_element(struct report_reader *r, const char *name)
{
	if (r->pass == 1)
		return;
	if (strcmp(name, "UnitTestResult") == 0)
		report_case_end(r); /* nothing when it held results */
	else if (r->in_case && strcmp(name, "Message") == 0 && !r->message.size)
		report_cut(&r->message, buf_text(&r->text), REPORT_MESSAGE_BYTES);
	else if (r->in_case && strcmp(name, "StackTrace") == 0)
		report_case_take_text(r);
}

static void end(struct report_reader *r)
{
	struct report_classes *classes = r->classes;

	if (!classes)
		return;
	for (size_t i = 0; i < classes->count; i++) {
		free(classes->items[i].id);
		free(classes->items[i].class_name);
	}
	free(classes->items);
	free(classes->id);
	free(classes);
}

const struct report_elements report_trx = {
	.roots = {"TestRun", NULL},
	.passes = 2,
	.open = open_element,
	.close = close_element,
	.end = end,
};
