#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { HELPERS = 3 };

struct task {
	bool (*work)(void *context, size_t index, struct error *err);
	void *context;
	size_t count;
	atomic_size_t next;
	atomic_bool failed;
	pthread_mutex_t mutex; /* guards the two below */
	size_t failed_index;
	struct error error;
};

static void keep_error(struct task *task, size_t index, struct error *why)
{
	pthread_mutex_lock(&task->mutex);
	if (!task->error.kind || index < task->failed_index) {
		error_free(&task->error);
		error_move(&task->error, why);
		task->failed_index = index;
	}
	pthread_mutex_unlock(&task->mutex);
	error_free(why);
	task->failed = true;
}

static void *take_part(void *context)
{
	struct task *task = context;

	while (!task->failed) {
		size_t index = atomic_fetch_add(&task->next, 1);
		struct error why = {0};

		if (index >= task->count)
			break;
		if (!task->work(task->context, index, &why))
			keep_error(task, index, &why);
	}
	return NULL;
}

static size_t processors(void)
{
	cpu_set_t allowed;

	return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (size_t)CPU_COUNT(&allowed)
								    : 1;
}

bool parallel_each(size_t count, bool (*work)(void *context, size_t index, struct error *err),
	void *context, struct error *err)
{
	struct task task = {.work = work,
		.context = context,
		.count = count,
		.mutex = PTHREAD_MUTEX_INITIALIZER};
	size_t most = processors(), started = 0;
	pthread_t helpers[HELPERS];

	while (started < HELPERS && started + 1 < most && started + 1 < count &&
		pthread_create(&helpers[started], NULL, take_part, &task) == 0)
		started++;
	take_part(&task);
	for (size_t i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);
	pthread_mutex_destroy(&task.mutex);
	if (!task.error.kind)
		return true;
	error_move(err, &task.error);
	return false;
}
