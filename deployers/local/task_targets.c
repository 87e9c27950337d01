#include "deployers/local/task_internal.h"

#include "deployers/local/balancer.h"

/* "_targets": [{"group": ARN, "port": 8080}], resolved when the task was started. */
static bool each_target(struct task *task,
	bool (*call)(struct balancer *balancer, const char *group_arn, const char *ip, int port,
		struct error *err),
	const char *what)
{
	const struct json *targets = json_get(task->document, "_targets");
	struct error err = {0};
	bool all = true;

	for (size_t i = 0; i < json_count(targets) && task->tasks->cloud->balancer; i++) {
		const struct json *target = json_at(targets, i);
		const char *group = json_get_text(target, "group", "");

		if (call(task->tasks->cloud->balancer, group, task->place.ip,
			    (int)json_get_int(target, "port", 0), &err))
			continue;
		log_write(LOG_WARNING, what, "task", task->id, "group", group, "reason",
			err.message, NULL);
		error_free(&err);
		all = false;
	}
	return all;
}

void task_register_targets(struct task *task)
{
	each_target(task, balancer_register,
		"a task could not be registered with its target group");
}

void task_deregister_targets(struct task *task)
{
	if (task->place.ip[0])
		each_target(task, balancer_deregister,
			"a task could not be taken out of its target group");
}

bool task_drained(const struct task *task)
{
	const struct json *targets = json_get(task->document, "_targets");

	for (size_t i = 0; i < json_count(targets) && task->tasks->cloud->balancer; i++) {
		const struct json *target = json_at(targets, i);

		if (balancer_target_state(task->tasks->cloud->balancer,
			    json_get_text(target, "group", ""), task->place.ip,
			    (int)json_get_int(target, "port", 0)) == TARGET_DRAINING)
			return false;
	}
	return true;
}

void layers_cancel_task(struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++)
		layers_cancel(task->tasks->layers, &task->containers[i]);
}
