#include "buildspec/report.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_case(void *self, const struct report_case *found)
{
	size_t *bytes = self;

	*bytes += strlen(found->suite) + strlen(found->class_name) + strlen(found->name) +
		  strlen(found->message) + strlen(found->details) + strlen(found->file) +
		  strlen(report_status_name(found->status));
}

static void take_coverage(void *self, const struct report_coverage *found)
{
	size_t *bytes = self;

	*bytes += strlen(found->file);
	if (found->lines_covered > found->lines_valid && found->lines_valid < 0)
		__builtin_trap();
}

/* The first line names the format; what follows is the report. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line = str_cut(&rest, '\n');
	char *name = str_copy(line);
	const struct report_format *format = report_format_find(name);
	size_t bytes = 0;
	const struct report_sink sink = {take_case, take_coverage, &bytes};
	struct error err = {0};

	if (format && !report_read(format, rest, &sink, &err))
		error_free(&err);
	free(name);
	return 0;
}
