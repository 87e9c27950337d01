#include "deployers/local/task_internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	ID_DIGITS = 32,
	KEEP_STOPPED_MS = 60 * 60 * 1000,
	KEEP_STOPPED = 500, /* the newest: a service that cannot start must not fill memory */
	END_PATIENCE_MS = 3000,
	KILL_PATIENCE_MS = 5000,
};

static void task_free(struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++) {
		health_stop(&task->containers[i].health);
		if (task->containers[i].claimed_fd)
			descriptor_close(&task->containers[i].claimed_fd);
		layers_cancel(task->tasks->layers, &task->containers[i]);
		task_image_free(&task->containers[i].image);
		free(task->containers[i].id);
		free(task->containers[i].folder);
	}
	free(task->containers);
	json_free(&task->document);
	json_free(&task->definition);
	free(task->arn);
	free(task->id);
	if (task->place.namespace_fd)
		descriptor_close(&task->place.namespace_fd);
	free(task);
}

/* The struct around a document, which it takes. definition is kept. */
static struct task *task_new(struct tasks *tasks, struct json *document,
	const struct json *definition)
{
	const struct json *definitions = json_get(definition, "containerDefinitions");
	const char *arn = json_get_text(document, "taskArn", "");
	const char *slash = strrchr(arn, '/');
	struct task *task = memory_new(sizeof(*task));

	task->tasks = tasks;
	task->arn = memory_copy_text(arn);
	task->id = memory_copy_text(slash ? slash + 1 : arn);
	task->document = document;
	task->definition = definition ? json_keep(definition) : NULL;
	task->container_count = json_count(definitions);
	task->containers = memory_new_array(task->container_count, sizeof(*task->containers));
	for (size_t i = 0; i < task->container_count; i++) {
		struct task_container *container = &task->containers[i];

		container->task = task;
		container->definition = json_at(definitions, i);
		container->name = json_get_text(container->definition, "name", "");
		container->id = memory_format("%s-%zu", task->id, i);
		container->folder = memory_format("%s/%s/%zu", tasks->folder, task->id, i);
	}
	*tasks->last = task;
	tasks->last = &task->following;
	return task;
}

struct task *tasks_first(struct tasks *tasks)
{
	return tasks->first;
}

struct task *tasks_find(struct tasks *tasks, const char *arn_or_id)
{
	struct task *task = tasks->first;

	while (task && !text_equal(task->arn, arn_or_id) && !text_equal(task->id, arn_or_id))
		task = task->following;
	return task;
}

bool task_start(struct tasks *tasks, const struct task_request *request, struct task **out_task,
	struct error *err)
{
	const char *slash = strrchr(request->cluster_arn, '/');
	char id[ID_DIGITS + 1];

	random_hex(id, ID_DIGITS);
	scoped(text_free) char *arn =
		cloud_arn(tasks->cloud, "ecs", "task/%s/%s", slash ? slash + 1 : "default", id);
	scoped(json_free) struct json *document = task_document_new(tasks, request, id, arn);

	/* Before anything is started: a task that runs is always known. */
	if (!store_put(tasks->cloud->store, "ecs.task", arn, json_copy(document), err))
		return false;
	struct task *task = task_new(tasks, document, request->definition);

	document = NULL;
	if (out_task)
		*out_task = task;
	task_advance(task);
	return true;
}

/* Everything of a stopped task that takes room, once its monitors are gone. */
static void remove_remains(struct task *task)
{
	static const char *const names[] = {"rootfs", "upper", "work", "config.json"};
	struct error err = {0};

	for (size_t i = 0; i < task->container_count; i++)
		if (runtime_watched(task->tasks->runtime, task->containers[i].id))
			return;
	for (size_t i = 0; i < task->container_count; i++) {
		runtime_clean(task->tasks->runtime, task->containers[i].id);
		for (size_t j = 0; j < countof(names); j++) {
			scoped(text_free) char *path =
				path_join(task->containers[i].folder, names[j]);

			if (!folder_remove(path, &err) && !file_remove(path, &err))
				error_ignore(&err, "goes with the task's folder");
		}
	}
}

static void container_changed(void *context, const char *id)
{
	struct tasks *tasks = context;
	const char *dash = strrchr(id, '-');
	scoped(text_free) char *task_id =
		dash ? memory_copy(id, (size_t)(dash - id)) : memory_copy_text(id);
	struct task *task = tasks_find(tasks, task_id);

	for (size_t i = 0; task && i < task->container_count; i++)
		if (text_equal(task->containers[i].id, id))
			task_container_changed(&task->containers[i]);
	if (task && task->phase == TASK_STOPPED)
		remove_remains(task);
}

static int64_t stopped_ms(const struct task *task)
{
	return (int64_t)(json_real(json_get(task->document, "stoppedAt"), 0) * 1000);
}

static void forget(struct tasks *tasks, struct task **at)
{
	struct task *task = *at;
	scoped(text_free) char *folder = path_join(tasks->folder, task->id);
	struct error err = {0};

	for (size_t i = 0; i < task->container_count; i++)
		runtime_clean(tasks->runtime, task->containers[i].id);
	if (!folder_remove(folder, &err) ||
		!store_remove(tasks->cloud->store, "ecs.task", task->arn, &err)) {
		log_write(LOG_WARNING, "a stopped task could not be forgotten", "task", task->id,
			"reason", err.message, NULL);
		error_free(&err);
	}
	*at = task->following;
	if (tasks->last == &task->following)
		tasks->last = at;
	task_free(task);
}

static int count_stopped(const struct tasks *tasks)
{
	int count = 0;

	for (const struct task *task = tasks->first; task; task = task->following)
		count += task->phase == TASK_STOPPED;
	return count;
}

void tasks_prune_layers(struct tasks *tasks)
{
	scoped(strings_free) struct strings in_use = {0};

	if (!layers_are_many(tasks->layers))
		return;
	for (const struct task *task = tasks->first; task; task = task->following)
		for (size_t i = 0; task->phase != TASK_STOPPED && i < task->container_count; i++)
			if (!task_container_layers(&task->containers[i], &in_use))
				return; /* started by a version that did not note them */
	layers_prune(tasks->layers, &in_use);
}

static void forget_due(void *context)
{
	struct tasks *tasks = context;
	int64_t now_ms = clock_now(tasks->cloud->clock);
	int64_t next_ms = 0;
	int surplus = count_stopped(tasks) - KEEP_STOPPED;

	for (struct task **at = &tasks->first; *at;) {
		int64_t due_ms = stopped_ms(*at) + KEEP_STOPPED_MS;

		if ((*at)->phase == TASK_STOPPED && (due_ms <= now_ms || surplus > 0)) {
			forget(tasks, at);
			surplus--;
			continue;
		}
		if ((*at)->phase == TASK_STOPPED && (!next_ms || due_ms < next_ms))
			next_ms = due_ms;
		at = &(*at)->following;
	}
	watch_set_delay(tasks->forget_timer, next_ms ? next_ms - now_ms : -1);
	tasks_prune_layers(tasks);
}

void tasks_forget_later(struct tasks *tasks)
{
	/* A little surplus is dropped at once instead of one task at a time. */
	bool full = count_stopped(tasks) > KEEP_STOPPED + KEEP_STOPPED / 10;
	int64_t delay_ms = full ? 0 : KEEP_STOPPED_MS;

	if (!tasks->forget_timer)
		tasks->forget_timer =
			loop_add_timer(tasks->cloud->loop, delay_ms, forget_due, tasks);
	else if (full || count_stopped(tasks) == 1)
		watch_set_delay(tasks->forget_timer, delay_ms);
}

/* The containers of a task from before, each with its monitor where that still lives. */
static void adopt_containers(struct task *task)
{
	struct runtime *runtime = task->tasks->runtime;

	for (size_t i = 0; i < task->container_count; i++) {
		struct task_container *container = &task->containers[i];
		struct container_status status;
		bool lives = runtime_adopt(runtime, container->id, container->folder);

		runtime_status(runtime, container->id, &status);
		container->started = lives || status.state != CONTAINER_ABSENT;
		container->image_ready = container->started;
		if (status.pid && lives && !task->place.ip[0])
			network_adopt(task->tasks->cloud->network, status.ip, status.pid,
				&task->place);
	}
}

static void adopt(struct task *task)
{
	const struct json *document = task->document;
	bool any = false;

	task->stop_wanted = text_equal(json_get_text(document, "desiredStatus", ""), "STOPPED");
	task->was_healthy = json_get_bool(document, "_healthy", false);
	task->running_since_ms = (int64_t)(json_real(json_get(document, "startedAt"), 0) * 1000);
	adopt_containers(task);
	/* Not running yet: its address is taken all the same, its namespace is its monitor's. */
	if (!task->place.ip[0] && *json_get_text(document, "_ip", ""))
		network_adopt(task->tasks->cloud->network, json_get_text(document, "_ip", ""), 0,
			&task->place);
	for (size_t i = 0; i < task->container_count; i++)
		any |= task->containers[i].started;
	/* Not one container yet: from the start, with a new network. */
	if (!any && task->phase < TASK_RUNNING) {
		task->phase = TASK_PROVISIONING;
		network_leave(task->tasks->cloud->network, &task->place);
	}
}

static void resume(struct task *task)
{
	if (task->phase == TASK_RUNNING)
		task_register_targets(task);
	for (size_t i = 0; i < task->container_count; i++)
		task_container_changed(&task->containers[i]);
	task_advance(task);
	/* It came to its end while we were away: no monitor is left to tell that it is over. */
	if (task->phase == TASK_STOPPED)
		remove_remains(task);
}

/* We were killed between a task's end and its clean-up. What is removed last is still there then. */
static void resume_clean_up(struct task *task)
{
	bool left = false;

	for (size_t i = 0; i < task->container_count; i++) {
		const struct task_container *container = &task->containers[i];
		scoped(text_free) char *last = path_join(container->folder, "config.json");

		if (!file_exists(last))
			continue;
		left = true;
		/* A monitor that still lives cleans up itself, and tells when it has. */
		runtime_adopt(task->tasks->runtime, container->id, container->folder);
	}
	if (left)
		remove_remains(task);
}

static bool load(void *context, const char *id, const struct json *document)
{
	struct tasks *tasks = context;
	const struct json *definition = store_get(tasks->cloud->store, "ecs.task_definition",
		json_get_text(document, "taskDefinitionArn", ""));
	struct task *task = task_new(tasks, json_copy(document), definition);

	(void)id;
	task->phase = task_phase_of(json_get_text(document, "lastStatus", ""));
	return true;
}

bool tasks_open(struct cloud *cloud, void (*changed)(void *context, const char *service_arn),
	void *context, struct tasks **out_tasks, struct error *err)
{
	scoped(tasks_close) struct tasks *tasks = memory_new(sizeof(*tasks));

	tasks->cloud = cloud;
	tasks->changed = changed;
	tasks->context = context;
	tasks->last = &tasks->first;
	tasks->folder = path_join(cloud->state, "tasks");
	if (!folder_make(tasks->folder, 0700, err) || !layers_open(cloud, &tasks->layers, err) ||
		!runtime_open(cloud, container_changed, tasks, &tasks->runtime, err))
		return false;
	store_each(cloud->store, "ecs.task", load, tasks);
	/* All addresses in use are known before the first new one is given out. */
	for (struct task *task = tasks->first; task; task = task->following)
		if (task->phase != TASK_STOPPED)
			adopt(task);
	*out_tasks = tasks;
	tasks = NULL;
	return true;
}

void tasks_resume(struct tasks *tasks)
{
	for (struct task *task = tasks->first; task; task = task->following)
		if (task->phase != TASK_STOPPED)
			resume(task);
		else
			resume_clean_up(task);
	tasks->forget_timer = loop_add_timer(tasks->cloud->loop, 0, forget_due, tasks);
}

void tasks_close(struct tasks **tasks)
{
	struct tasks *all = *tasks;

	if (!all)
		return;
	loop_remove(all->cloud->loop, &all->forget_timer);
	while (all->first) {
		struct task *task = all->first;

		all->first = task->following;
		task_free(task);
	}
	layers_close(&all->layers);
	runtime_close(&all->runtime);
	free(all->folder);
	free(all);
	*tasks = NULL;
}

/* Tells every monitor. */
static void end_containers(struct tasks *tasks,
	void (*tell)(struct runtime *runtime, const char *id))
{
	for (struct task *task = tasks->first; task; task = task->following)
		for (size_t i = 0; i < task->container_count; i++)
			tell(tasks->runtime, task->containers[i].id);
}

static void ask(struct runtime *runtime, const char *id)
{
	runtime_stop(runtime, id, false);
}

static void kill_at_once(struct runtime *runtime, const char *id)
{
	runtime_stop(runtime, id, true);
}

static int count_watched(struct tasks *tasks)
{
	int left = 0;

	for (struct task *task = tasks->first; task; task = task->following)
		for (size_t i = 0; i < task->container_count; i++)
			left += runtime_watched(tasks->runtime, task->containers[i].id);
	return left;
}

static bool wait_for_end(struct tasks *tasks, int64_t limit_ms, struct error *err)
{
	struct cloud *cloud = tasks->cloud;
	int64_t end_ms = clock_elapsed(cloud->clock) + limit_ms;

	while (count_watched(tasks)) {
		int64_t left_ms = end_ms - clock_elapsed(cloud->clock);

		if (left_ms <= 0)
			return true;
		if (!loop_turn(cloud->loop, left_ms, err))
			return false;
	}
	return true;
}

bool tasks_end_all(struct tasks *tasks, struct error *err)
{
	tasks->ending = true;
	for (struct task *task = tasks->first; task; task = task->following) {
		if (task->phase == TASK_STOPPED)
			continue;
		task->stop_wanted = task->stop_told = true;
		task->phase = TASK_STOPPING; /* the balancer ends too: nothing to drain */
		json_set_text(task->document, "desiredStatus", "STOPPED");
		if (!json_get(task->document, "stopCode")) {
			json_set_text(task->document, "stopCode", "TerminationNotice");
			json_set_text(task->document, "stoppedReason",
				"The local cloud was taken down");
		}
	}
	/* Politely, firmly, and then without the monitors: their control groups are emptied after. */
	end_containers(tasks, ask);
	if (!wait_for_end(tasks, END_PATIENCE_MS, err))
		return false;
	end_containers(tasks, kill_at_once);
	if (!wait_for_end(tasks, KILL_PATIENCE_MS, err))
		return false;
	end_containers(tasks, runtime_end_monitor);
	if (!wait_for_end(tasks, KILL_PATIENCE_MS, err))
		return false;
	/* Those that had no container at all. */
	for (struct task *task = tasks->first; task; task = task->following)
		task_advance(task);
	return true;
}
