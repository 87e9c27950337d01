#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

/*
 * Clover: coverage > project > (package >) file > line, metrics. The metrics right below a file sum it
 * up; where they are missing its lines are counted. Clover counts statements where others count lines.
 */

static int64_t number(const char *const *attributes, const char *name)
{
	int64_t value = report_number(xml_attribute(attributes, name));

	return value < INT32_MAX ? value : 0;
}

static void take_metrics(struct report_coverage *coverage, const char *const *attributes)
{
	*coverage =
		(struct report_coverage){.lines_covered = number(attributes, "coveredstatements"),
			.lines_valid = number(attributes, "statements"),
			.branches_covered = number(attributes, "coveredconditionals"),
			.branches_valid = number(attributes, "conditionals")};
}

static void take_line(struct report_coverage *coverage, const char *const *attributes)
{
	const char *type = xml_attribute(attributes, "type");

	if (text_equal(type, "cond")) {
		coverage->branches_valid += 2;
		coverage->branches_covered += number(attributes, "truecount") > 0;
		coverage->branches_covered += number(attributes, "falsecount") > 0;
	} else if (!text_equal(type, "method")) {
		coverage->lines_valid++;
		coverage->lines_covered += number(attributes, "count") > 0;
	}
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	const char *path;

	if (strcmp(name, "file") == 0) {
		path = xml_attribute(attributes, "path");
		report_file_begin(r, path ? path : xml_attribute(attributes, "name"));
		r->aside = false;
	} else if (!r->file_depth || r->depth != r->file_depth + 1 || r->aside) {
		return;
	} else if (strcmp(name, "metrics") == 0) {
		take_metrics(&r->coverage, attributes);
		r->aside = true; /* the lines are in it */
	} else if (strcmp(name, "line") == 0) {
		take_line(&r->coverage, attributes);
	}
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "file") == 0)
		report_file_end(r);
}

const struct report_elements report_clover = {
	.roots = {"coverage", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
