#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

/* JaCoCo: report > (group >) package > sourcefile > counter of type LINE and BRANCH. */

static int64_t number(const char *const *attributes, const char *name)
{
	int64_t value = report_number(xml_attribute(attributes, name));

	return value < INT32_MAX ? value : 0;
}

static void take_counter(struct report_coverage *coverage, const char *const *attributes)
{
	const char *type = xml_attribute(attributes, "type");
	int64_t covered = number(attributes, "covered");
	int64_t valid = covered + number(attributes, "missed");

	if (text_equal(type, "LINE")) {
		coverage->lines_covered = covered;
		coverage->lines_valid = valid;
	} else if (text_equal(type, "BRANCH")) {
		coverage->branches_covered = covered;
		coverage->branches_valid = valid;
	}
}

static void open_file(struct report_reader *r, const char *const *attributes)
{
	const char *name = xml_attribute(attributes, "name");
	scoped(buf_free) struct buf path = {0};

	buf_printf(&path, "%s%s%s", buf_text(&r->package), r->package.size ? "/" : "",
		name ? name : "");
	report_file_begin(r, buf_text(&path));
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (strcmp(name, "package") == 0)
		report_cut(&r->package, xml_attribute(attributes, "name"), REPORT_NAME_BYTES);
	else if (strcmp(name, "sourcefile") == 0)
		open_file(r, attributes);
	else if (r->file_depth && strcmp(name, "counter") == 0)
		take_counter(&r->coverage, attributes);
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "sourcefile") == 0)
		report_file_end(r);
}

const struct report_elements report_jacoco = {
	.roots = {"report", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
