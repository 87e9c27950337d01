#include "builders/executor/executor.h"

static const struct executor *const executors[] = {&local_executor};

const struct executor *executor_find(const char *name)
{
	for (size_t i = 0; i < countof(executors); i++)
		if (text_equal(executors[i]->name, name))
			return executors[i];
	return NULL;
}
