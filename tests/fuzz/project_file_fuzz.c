#include "pipeline/plan/project.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the bytes are: a project or findings, and never both or neither. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(project_free) struct project *project = NULL;
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};
	struct str text = {(const char *)data, size};

	if (project_parse(text, PROJECT_FILE, &findings, &project, &err) !=
		(findings.count == 0 && project))
		__builtin_trap();
	return 0;
}
