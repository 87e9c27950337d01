/* The buildspec parser: whatever the file holds, it ends with findings or with a buildspec whose batch
 * can be planned. */
#include "buildspec/batch.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(arena_free) struct arena arena = {0};
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	struct buildspec spec;

	buildspec_parse((struct str){(const char *)data, size}, &arena, &spec, &findings);
	for (size_t i = 0; i < findings.count; i++)
		assert(findings.items[i].line >= 0 && findings.items[i].message[0]);
	if (!buildspec_first_error(&findings)) {
		struct batch_plan plan;

		assert(spec.shell && (spec.minor == 1 || spec.minor == 2));
		batch_make_plan(&spec.batch, &arena, &plan);
		for (size_t i = 0; i < plan.count; i++)
			for (size_t n = 0; n < plan.tasks[i].after_count; n++)
				assert(plan.tasks[i].after[n] < i);
	}
	return 0;
}
