#include "buildspec/report_text.h"
#include "buildspec/report_xml.h"

#include <stdlib.h>

/*
 * Cobertura: coverage > packages > package > classes > class filename > lines > line hits. The lines of
 * methods stand there again and are left out. Classes of one file that follow each other are one file.
 */

/* "50% (1/2)" */
static void add_branches(struct report_coverage *coverage, const char *text)
{
	const char *open = text ? strchr(text, '(') : NULL;
	struct str rest = str_of(open ? open + 1 : NULL), covered = str_cut(&rest, '/');
	struct str valid = str_cut(&rest, ')');
	int64_t c = 0, v = 0;

	if (!str_to_int(covered, &c) || !str_to_int(valid, &v) || c < 0 || c > v || v > INT32_MAX)
		return;
	coverage->branches_covered += c;
	coverage->branches_valid += v;
}

static void open_class(struct report_reader *r, const char *const *attributes)
{
	const char *path = xml_attribute(attributes, "filename");

	r->aside = false;
	if (r->file_depth && text_equal(path, buf_text(&r->path)))
		return;
	report_file_end(r);
	report_file_begin(r, path);
}

static void open_element(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (strcmp(name, "class") == 0) {
		open_class(r, attributes);
	} else if (strcmp(name, "methods") == 0) {
		r->aside = true;
	} else if (strcmp(name, "line") == 0 && r->file_depth && !r->aside) {
		r->coverage.lines_valid++;
		if (report_number(xml_attribute(attributes, "hits")))
			r->coverage.lines_covered++;
		add_branches(&r->coverage, xml_attribute(attributes, "condition-coverage"));
	}
}

static void close_element(struct report_reader *r, const char *name)
{
	if (strcmp(name, "methods") == 0)
		r->aside = false;
	else if (r->depth == 1)
		report_file_end(r);
}

const struct report_elements report_cobertura = {
	.roots = {"coverage", NULL},
	.passes = 1,
	.open = open_element,
	.close = close_element,
};
