#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"

static const struct executor *const executors[] = {&local_executor};

const struct executor *executor_find(const char *name)
{
	for (size_t i = 0; i < countof(executors); i++)
		if (text_equal(executors[i]->name, name))
			return executors[i];
	return NULL;
}

const char *const executor_outputs[] = {"artifacts", "secondary", REPORTS_FOLDER, REPORTS_LINES,
	EXECUTOR_LOG, EXECUTOR_RESULT, EXECUTOR_READS};
const size_t executor_output_count = countof(executor_outputs);

bool executor_clear(const char *output, struct error *err)
{
	for (size_t i = 0; i < executor_output_count; i++) {
		scoped(text_free) char *path = path_join(output, executor_outputs[i]);

		if (!folder_remove(path, err))
			return false;
	}
	scoped(text_free) char *plain = path_join(output, EXECUTOR_PLAIN_LOG);

	return folder_remove(plain, err);
}
