#include "deployers/local/task_internal.h"

#include "base/memory.h"

#include <stdlib.h>

static const char *const phases[] = {
	[TASK_PROVISIONING] = "PROVISIONING",
	[TASK_PENDING] = "PENDING",
	[TASK_RUNNING] = "RUNNING",
	[TASK_DEACTIVATING] = "DEACTIVATING",
	[TASK_STOPPING] = "STOPPING",
	[TASK_STOPPED] = "STOPPED",
};

enum task_phase task_phase_of(const char *name)
{
	for (size_t i = 0; i < countof(phases); i++)
		if (text_equal(phases[i], name))
			return (enum task_phase)i;
	return TASK_STOPPING; /* a name of a later version: end what there is */
}

static void set_time(struct json *object, const char *key, int64_t time_ms)
{
	json_set_real(object, key, (double)time_ms / 1000.0);
}

static void stamp(struct task *task, const char *key)
{
	if (!json_get(task->document, key))
		set_time(task->document, key, clock_now(task->tasks->cloud->clock));
}

void task_save(struct task *task)
{
	struct error err = {0};
	int64_t version = json_get_int(task->document, "version", 0);

	json_set_int(task->document, "version", version + 1);
	if (!store_put(task->tasks->cloud->store, "ecs.task", task->arn, json_copy(task->document),
		    &err)) {
		log_write(LOG_ERROR, "a task's state could not be written", "task", task->id,
			"reason", err.message, NULL);
		error_free(&err);
	}
}

/* Saves and tells whoever decides about the service. */
static void changed(struct task *task)
{
	task_save(task);
	task->tasks->changed(task->tasks->context, json_get_text(task->document, "_service", NULL));
}

static void set_phase(struct task *task, enum task_phase phase)
{
	task->phase = phase;
	json_set_text(task->document, "lastStatus", phases[phase]);
}

struct json *task_container_document(const struct task *task, const char *name)
{
	const struct json *containers = json_get(task->document, "containers");

	for (size_t i = 0; i < json_count(containers); i++)
		if (text_equal(json_get_text(json_at(containers, i), "name", NULL), name))
			return json_at(containers, i);
	return NULL;
}

static bool essential(const struct task_container *container)
{
	return json_get_bool(container->definition, "essential", true);
}

bool task_is_alive(const struct task *task)
{
	return !task->stop_wanted && task->phase != TASK_STOPPED;
}

bool task_failed(const struct task *task)
{
	const char *code = json_get_text(task->document, "stopCode", "");

	return text_equal(code, "TaskFailedToStart") ||
	       text_equal(code, "EssentialContainerExited") ||
	       json_get_bool(task->document, "_sick", false);
}

enum health_state task_health(const struct task *task)
{
	enum health_state worst = HEALTH_UNKNOWN;

	for (size_t i = 0; i < task->container_count; i++) {
		const struct task_container *container = &task->containers[i];
		enum health_state state = health_state(container->health);

		if (!container->health || !essential(container))
			continue;
		if (state == HEALTH_UNHEALTHY)
			return HEALTH_UNHEALTHY;
		if (state == HEALTH_UNKNOWN)
			return HEALTH_UNKNOWN;
		worst = HEALTH_HEALTHY;
	}
	return worst;
}

static void health_changed(void *context)
{
	struct task_container *container = context;
	struct task *task = container->task;
	struct json *document = task_container_document(task, container->name);

	if (document)
		json_set_text(document, "healthStatus",
			health_state_name(health_state(container->health)));
	json_set_text(task->document, "healthStatus", health_state_name(task_health(task)));
	changed(task);
}

void task_stop(struct task *task, const char *stop_code, const char *reason)
{
	if (task->stop_wanted || task->phase == TASK_STOPPED)
		return;
	task->stop_wanted = true;
	json_set_text(task->document, "desiredStatus", "STOPPED");
	json_set_text(task->document, "stopCode", stop_code);
	json_set_text(task->document, "stoppedReason", reason);
	stamp(task, "stoppingAt");
	task_save(task); /* the intent, before anything is done about it */
	task_advance(task);
}

void task_condemn(struct task *task, const char *reason)
{
	json_set_bool(task->document, "_sick", true);
	task_stop(task, "ServiceSchedulerInitiated", reason);
}

void task_note_healthy(struct task *task)
{
	task->was_healthy = true;
	json_set_bool(task->document, "_healthy", true);
	task_save(task);
}

void task_note_counted(struct task *task)
{
	json_set_bool(task->document, "_counted", true);
	task_save(task);
}

/* The task cannot go on: why, in the container's own words where there are some. */
static void fail_to_start(struct task *task, const char *container, const char *reason)
{
	struct json *document = container ? task_container_document(task, container) : NULL;

	if (document) {
		json_set_text(document, "reason", reason);
		json_set_text(document, "lastStatus", "STOPPED");
	}
	task_stop(task, "TaskFailedToStart", reason);
}

static void images_ready(void *context, const struct error *err)
{
	struct task_container *container = context;
	scoped(text_free) char *reason = NULL;

	if (!err) {
		container->image_ready = true;
		tasks_prune_layers(container->task->tasks);
		task_advance(container->task);
		return;
	}
	reason = memory_format("CannotPullContainerError: %s", err->message);
	fail_to_start(container->task, container->name, reason);
}

static bool pull(struct task_container *container, struct error *err)
{
	struct task *task = container->task;
	struct json *document = task_container_document(task, container->name);
	const char *digest = json_get_text(document, "imageDigest", NULL);
	const char *name = json_get_text(container->definition, "image", "");
	scoped(text_free) char *pinned = task_pinned_image(name, digest);
	char text[DIGEST_TEXT_SIZE];

	if (!task_image_open(task->tasks->cloud->content, pinned, &container->image, err))
		return false;
	digest_to_text(&container->image.digest, text);
	json_set_text(document, "imageDigest", text);
	return layers_prepare(task->tasks->layers, &container->image, images_ready, container,
		&container->image_ready, err);
}

static void provision(struct task *task)
{
	scoped(text_free) char *reason = NULL;
	struct error err = {0};

	if (!network_join(task->tasks->cloud->network, &task->place, &err)) {
		reason = memory_format("ResourceInitializationError: %s", err.message);
		error_free(&err);
		fail_to_start(task, NULL, reason);
		return;
	}
	task_write_address(task);
	set_phase(task, TASK_PENDING);
	stamp(task, "pullStartedAt");
	for (size_t i = 0; i < task->container_count && !task->stop_wanted; i++) {
		if (pull(&task->containers[i], &err))
			continue;
		reason = memory_format("CannotPullContainerError: %s", err.message);
		error_free(&err);
		fail_to_start(task, task->containers[i].name, reason);
		return;
	}
	task_save(task);
}

static struct task_container *find_container(struct task *task, const char *name)
{
	for (size_t i = 0; i < task->container_count; i++)
		if (text_equal(task->containers[i].name, name))
			return &task->containers[i];
	return NULL;
}

/* May it start, by its dependsOn? */
static bool may_start(struct task_container *container)
{
	const struct json *list = json_get(container->definition, "dependsOn");

	for (size_t i = 0; i < json_count(list); i++) {
		const char *condition = json_get_text(json_at(list, i), "condition", "START");
		const struct task_container *other = find_container(container->task,
			json_get_text(json_at(list, i), "containerName", ""));

		if (!other)
			continue;
		bool ended = other->status.state == CONTAINER_ENDED;
		bool met = text_equal(condition, "COMPLETE") ? ended
			   : text_equal(condition, "SUCCESS")
				   ? ended && other->status.exit_code == 0
			   : text_equal(condition, "HEALTHY")
				   ? health_state(other->health) == HEALTH_HEALTHY
				   : other->status.state != CONTAINER_ABSENT;

		if (!met)
			return false;
	}
	return true;
}

static bool all_images_ready(const struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++)
		if (!task->containers[i].image_ready)
			return false;
	return true;
}

static void start_containers(struct task *task)
{
	struct error err = {0};

	if (!all_images_ready(task))
		return;
	stamp(task, "pullStoppedAt");
	for (size_t i = 0; i < task->container_count && !task->stop_wanted; i++) {
		struct task_container *container = &task->containers[i];

		if (container->started || !may_start(container))
			continue;
		if (task_container_start(container, &err)) {
			container->started = true;
			continue;
		}
		scoped(text_free) char *reason =
			memory_format("CannotStartContainerError: %s", err.message);

		error_free(&err);
		fail_to_start(task, container->name, reason);
	}
}

static bool all_started(const struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++)
		if (task->containers[i].status.state == CONTAINER_ABSENT)
			return false;
	return true;
}

static void begin_running(struct task *task)
{
	set_phase(task, TASK_RUNNING);
	stamp(task, "startedAt");
	task->running_since_ms = clock_now(task->tasks->cloud->clock);
	task_register_targets(task);
	changed(task);
}

static bool all_ended(const struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++)
		if (task->containers[i].started &&
			task->containers[i].status.state != CONTAINER_ENDED &&
			task->containers[i].status.state != CONTAINER_FAILED)
			return false;
	return true;
}

static void finish(struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++) {
		struct json *document = task_container_document(task, task->containers[i].name);

		health_stop(&task->containers[i].health);
		if (document)
			json_set_text(document, "lastStatus", "STOPPED");
	}
	if (task->place.namespace_fd || task->place.ip[0])
		network_leave(task->tasks->cloud->network, &task->place);
	set_phase(task, TASK_STOPPED);
	stamp(task, "executionStoppedAt");
	stamp(task, "stoppedAt");
	changed(task);
	tasks_forget_later(task->tasks);
}

static void stop_container(struct task_container *container)
{
	struct runtime *runtime = container->task->tasks->runtime;

	if (!container->started && !container->claimed_fd &&
		!runtime_claim(container->folder, &container->claimed_fd))
		container->started = runtime_adopt(runtime, container->id, container->folder);
	runtime_stop(runtime, container->id, false);
}

/* Each step falls through to the next as far as it can. */
static void wind_down(struct task *task)
{
	if (task->phase < TASK_DEACTIVATING) {
		set_phase(task, TASK_DEACTIVATING);
		task_deregister_targets(task);
		changed(task);
	}
	if (task->phase == TASK_DEACTIVATING) {
		/* One that ended by itself has nothing to drain. */
		if (!all_ended(task) && !task_drained(task))
			return;
		set_phase(task, TASK_STOPPING);
		task_save(task);
	}
	if (task->phase == TASK_STOPPING && !task->stop_told) {
		task->stop_told = true;
		layers_cancel_task(task);
		for (size_t i = 0; i < task->container_count; i++)
			stop_container(&task->containers[i]);
	}
	if (task->phase == TASK_STOPPING && all_ended(task))
		finish(task);
}

void task_advance(struct task *task)
{
	if (task->phase == TASK_STOPPED)
		return;
	if (task->tasks->ending && !task->stop_wanted)
		return;
	if (!task->stop_wanted && task->phase == TASK_PROVISIONING)
		provision(task);
	if (!task->stop_wanted && task->phase < TASK_DEACTIVATING)
		start_containers(task);
	if (!task->stop_wanted && task->phase == TASK_PENDING && all_started(task))
		begin_running(task);
	if (task->stop_wanted)
		wind_down(task);
}

static void container_running(struct task_container *container)
{
	struct task *task = container->task;
	struct json *document = task_container_document(task, container->name);

	json_set_text(document, "lastStatus", "RUNNING");
	json_set_text(document, "runtimeId", container->id);
	/* A monitor of an earlier life was quicker than ours: the task is where that one put it. */
	if (container->status.ip[0] && !text_equal(container->status.ip, task->place.ip)) {
		network_leave(task->tasks->cloud->network, &task->place);
		network_adopt(task->tasks->cloud->network, container->status.ip,
			container->status.pid, &task->place);
		task_write_address(task);
	}
	if (!container->health)
		container->health = health_start(task->tasks->cloud, task->tasks->runtime,
			container->id, container->definition, health_changed, container);
}

static void container_ended(struct task_container *container)
{
	struct task *task = container->task;
	struct json *document = task_container_document(task, container->name);

	health_stop(&container->health);
	json_set_text(document, "lastStatus", "STOPPED");
	json_set_int(document, "exitCode", container->status.exit_code);
	if (container->status.out_of_memory)
		json_set_text(document, "reason",
			"OutOfMemoryError: Container killed due to memory usage");
	else if (container->status.message[0])
		json_set_text(document, "reason", container->status.message);
	if (!essential(container))
		return;
	scoped(text_free) char *oom = memory_format("OutOfMemoryError: Container killed due to "
						    "memory usage (container %s)",
		container->name);

	task_stop(task, "EssentialContainerExited",
		container->status.out_of_memory ? oom : "Essential container in task exited");
}

void task_container_changed(struct task_container *container)
{
	struct task *task = container->task;
	enum container_state before = container->status.state;
	scoped(text_free) char *reason = NULL;

	if (before == CONTAINER_ENDED || before == CONTAINER_FAILED || !container->started)
		return;
	runtime_status(task->tasks->runtime, container->id, &container->status);
	if (container->status.state < CONTAINER_ENDED &&
		!runtime_watched(task->tasks->runtime, container->id) &&
		!runtime_adopt(task->tasks->runtime, container->id, container->folder)) {
		/* Somebody ended the monitor; nobody would tell us any more how the container is. */
		runtime_clean(task->tasks->runtime, container->id);
		container->status = (struct container_status){.state = CONTAINER_ENDED,
			.exit_code = 137,
			.message = "the container's monitor was killed"};
	}
	if (container->status.state == before)
		return;
	if (container->status.state == CONTAINER_FAILED) {
		reason = memory_format("CannotStartContainerError: %s", container->status.message);
		fail_to_start(task, container->name, reason);
	} else if (container->status.state == CONTAINER_RUNNING) {
		container_running(container);
	} else {
		if (before == CONTAINER_ABSENT)
			container_running(container);
		container_ended(container);
	}
	task_advance(task);
}
