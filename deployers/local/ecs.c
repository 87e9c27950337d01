#include "deployers/local/balancer.h"
#include "deployers/local/ecs_internal.h"

/* AWS waits 40 s before it takes a task without any health check for healthy. On one machine a
 * program that crashes at start has crashed by then. */
enum { SETTLE_MS = 500 };

static bool add_arn(void *context, const char *id, const struct json *service)
{
	struct strings *arns = context;

	if (!text_equal(json_get_text(service, "status", ""), "INACTIVE"))
		strings_add(arns, id);
	return true;
}

static void look_at_all(void *context)
{
	struct ecs *ecs = context;
	scoped(strings_free) struct strings arns = {0};
	int64_t again_ms = 0, next_ms = 0;

	if (ecs->stopping)
		return;
	ecs->woken = false;
	store_each(ecs->cloud->store, "ecs.service", add_arn, &arns);
	for (size_t i = 0; i < arns.count; i++) {
		scheduler_look(ecs, arns.items[i], &again_ms);
		if (again_ms && (!next_ms || again_ms < next_ms))
			next_ms = again_ms;
	}
	if (ecs->woken) {
		watch_set_delay(ecs->timer, 0);
	} else if (next_ms) {
		int64_t delay_ms = next_ms - clock_now(ecs->cloud->clock);

		watch_set_delay(ecs->timer, delay_ms > 0 ? delay_ms : 0);
	}
}

void ecs_wake(struct ecs *ecs)
{
	ecs->woken = true;
	if (ecs->timer)
		watch_set_delay(ecs->timer, 0);
}

static void task_changed(void *context, const char *service_arn)
{
	(void)service_arn;
	ecs_wake(context);
}

static void target_changed(void *context, const char *group_arn)
{
	struct ecs *ecs = context;

	(void)group_arn;
	for (struct task *task = tasks_first(ecs->tasks); task; task = task->following)
		if (task->phase == TASK_DEACTIVATING)
			task_advance(task);
	ecs_wake(ecs);
}

bool ecs_open(struct cloud *cloud, struct ecs **out_ecs, struct error *err)
{
	scoped(ecs_close) struct ecs *ecs = memory_new(sizeof(*ecs));

	ecs->cloud = cloud;
	ecs->settle_ms = cloud->settle_ms ? cloud->settle_ms : SETTLE_MS;
	if (!tasks_open(cloud, task_changed, ecs, &ecs->tasks, err))
		return error_while(err, "starting the scheduler of the local cloud");
	*out_ecs = ecs;
	ecs = NULL;
	return true;
}

bool ecs_start(struct cloud *cloud, struct ecs **out_ecs, struct error *err)
{
	struct ecs *ecs;

	if (!ecs_open(cloud, &ecs, err))
		return false;
	*out_ecs = ecs;
	ecs->timer = loop_add_timer(cloud->loop, 0, look_at_all, ecs);
	if (cloud->balancer)
		balancer_set_observer(cloud->balancer, target_changed, ecs);
	tasks_resume(ecs->tasks);
	return true;
}

void ecs_close(struct ecs **ecs)
{
	struct ecs *all = *ecs;

	if (!all)
		return;
	if (all->cloud->balancer)
		balancer_set_observer(all->cloud->balancer, NULL, NULL);
	loop_remove(all->cloud->loop, &all->timer);
	tasks_close(&all->tasks);
	free(all);
	*ecs = NULL;
}

bool ecs_stop_all(struct ecs *ecs, struct error *err)
{
	ecs->stopping = true;
	return tasks_end_all(ecs->tasks, err);
}
