#include "base/json.h"
#include "buildspec/report_json.h"
#include "buildspec/report_xml.h"

#include <strings.h>

/* Names and order as in the buildspec reference. */
static const struct report_format formats[] = {
	{"CUCUMBERJSON", false, NULL, &report_cucumber},
	{"JUNITXML", false, &report_junit, NULL},
	{"NUNITXML", false, &report_nunit, NULL},
	{"NUNIT3XML", false, &report_nunit, NULL},
	{"TESTNGXML", false, &report_testng, NULL},
	{"VISUALSTUDIOTRX", false, &report_trx, NULL},
	{"CLOVERXML", true, &report_clover, NULL},
	{"COBERTURAXML", true, &report_cobertura, NULL},
	{"JACOCOXML", true, &report_jacoco, NULL},
	{"SIMPLECOV", true, NULL, &report_simplecov},
};

const struct report_format *report_format_find(const char *name)
{
	for (size_t i = 0; i < countof(formats); i++)
		if (strcasecmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

const char *const *report_format_names(void)
{
	static const char *names[countof(formats) + 1];

	for (size_t i = 0; i < countof(formats); i++)
		names[i] = formats[i].name;
	return names;
}

static const char *const status_names[] = {
	[REPORT_PASSED] = "passed",
	[REPORT_SKIPPED] = "skipped",
	[REPORT_FAILED] = "failed",
	[REPORT_ERROR] = "error",
};

const char *report_status_name(enum report_status status)
{
	return status_names[status];
}

bool report_status_of_name(const char *name, enum report_status *out_status)
{
	for (size_t i = 0; i < countof(status_names); i++) {
		if (!text_equal(status_names[i], name))
			continue;
		*out_status = (enum report_status)i;
		return true;
	}
	return false;
}

static bool read_json(const struct report_format *format, const struct json *root,
	const struct report_sink *sink, struct error *err)
{
	return format->json->read(root, sink, err);
}

bool report_read_file(const struct report_format *format, const char *path,
	const struct report_sink *sink, struct error *err)
{
	scoped(json_free) struct json *root = NULL;

	if (format->xml)
		return report_read_xml(format->xml, path, (struct str){0}, sink, err);
	return json_read_file(path, REPORT_JSON_BYTES_MAX, &root, err) &&
	       read_json(format, root, sink, err);
}

bool report_read(const struct report_format *format, struct str text,
	const struct report_sink *sink, struct error *err)
{
	static const struct json_limits limits = {.size_bytes = REPORT_JSON_BYTES_MAX};
	scoped(json_free) struct json *root = NULL;

	if (format->xml)
		return report_read_xml(format->xml, NULL, text, sink, err);
	return json_parse(text, format->name, &limits, &root, err) &&
	       read_json(format, root, sink, err);
}
