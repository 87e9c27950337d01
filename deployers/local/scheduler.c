#include "deployers/local/balancer.h"
#include "deployers/local/look.h"

enum { MANY_FAILURES = 4 }; /* in a row: from here on tries pause */

static void look_free(struct look *look)
{
	json_free(&look->service);
	json_free(&look->deployment);
	json_free(&look->service_before);
	json_free(&look->deployment_before);
}

/* How the balancer sees a task: the worst of its target groups. */
static enum target_state balancer_view(struct look *look, const struct task *task)
{
	const struct json *targets = json_get(task->document, "_targets");
	enum target_state view = TARGET_HEALTHY;

	for (size_t i = 0; i < json_count(targets) && look->ecs->cloud->balancer; i++) {
		const struct json *target = json_at(targets, i);
		enum target_state state = balancer_target_state(look->ecs->cloud->balancer,
			json_get_text(target, "group", ""), task->place.ip,
			(int)json_get_int(target, "port", 0));

		if (state == TARGET_UNHEALTHY)
			return state;
		if (state != TARGET_HEALTHY)
			view = TARGET_INITIAL;
	}
	return view;
}

static bool has_checks(const struct task *task)
{
	for (size_t i = 0; i < task->container_count; i++)
		if (task->containers[i].health)
			return true;
	return json_count(json_get(task->document, "_targets")) > 0;
}

/* Condemns a task that fails its checks; true when it did. */
static bool condemn(struct look *look, struct task *task, enum target_state view)
{
	int64_t grace_ms = json_get_int(look->service, "healthCheckGracePeriodSeconds", 0) * 1000;
	const struct json *target = json_at(json_get(task->document, "_targets"), 0);

	if (task_health(task) == HEALTH_UNHEALTHY) {
		service_event(look->ecs, look->service, "(task %s) failed container health checks.",
			task->id);
		task_condemn(task, "Task failed container health checks");
		return true;
	}
	if (view != TARGET_UNHEALTHY)
		return false;
	if (look->now_ms < task->running_since_ms + grace_ms) {
		look_again_at(look, task->running_since_ms + grace_ms);
		return false;
	}
	scoped(text_free) char *reason =
		memory_format("Task failed ELB health checks in (target-group %s)",
			json_get_text(target, "group", ""));

	service_event(look->ecs, look->service,
		"(task %s) failed ELB health checks in "
		"(target-group %s).",
		task->id, json_get_text(target, "group", ""));
	task_condemn(task, reason);
	return true;
}

static bool is_healthy(struct look *look, struct task *task, enum target_state view)
{
	int64_t settled_ms = task->running_since_ms + look->ecs->settle_ms;

	/* Once believed, a task stays so until a check clearly fails: after a restart of ours
	 * the balancer needs a moment to know its targets again. */
	if (task->was_healthy)
		return view != TARGET_UNHEALTHY;
	if (has_checks(task)) {
		bool container = task_health(task) == HEALTH_HEALTHY;
		bool checked = false;

		for (size_t i = 0; i < task->container_count; i++)
			checked |= task->containers[i].health != NULL;
		return view == TARGET_HEALTHY && (container || !checked);
	}
	if (look->now_ms < settled_ms)
		look_again_at(look, settled_ms);
	return look->now_ms >= settled_ms;
}

/* Is this task one of those whose success or failure the rollout is judged by? */
static bool is_judged(const struct look *look, const struct task *task)
{
	bool back = look->rollout.status == ROLLOUT_ROLLBACK_IN_PROGRESS;

	return text_equal(look_revision(task), back ? look->source : look->target);
}

static void see_task(struct look *look, struct task *task)
{
	enum target_state view;

	if (!task_is_alive(task)) {
		look->stopping += task->phase != TASK_STOPPED;
		if (!task_failed(task) || json_get_bool(task->document, "_counted", false))
			return;
		task_note_counted(task);
		if (is_judged(look, task))
			look->seen.failed++;
		else
			look->seen.kept_failed += text_equal(look_revision(task), look->source);
		return;
	}
	struct rollout_group *group = look_group(look, task);

	if (task->phase < TASK_RUNNING) {
		group->starting++;
		return;
	}
	view = balancer_view(look, task);
	if (condemn(look, task, view)) {
		look_again_at(look, look->now_ms);
		return;
	}
	if (!is_healthy(look, task, view)) {
		group->unhealthy++;
		return;
	}
	group->healthy++;
	if (!task->was_healthy) {
		look->seen.became_healthy += is_judged(look, task);
		task_note_healthy(task);
	}
}

static void observe(struct look *look)
{
	const struct json *configuration = json_get(look->deployment, "deploymentConfiguration");

	look->target = json_get_text(look->service, "_target", "");
	if (look->deployment) {
		look->target = json_get_text(look->deployment, "_target", "");
		look->source = json_get_text(look->deployment, "_source", NULL);
		rollout_load(look->deployment, &look->rollout);
	} else {
		configuration = json_get(look->service, "deploymentConfiguration");
		rollout_load(look->service, &look->rollout);
		look->rollout.status = ROLLOUT_SUCCESSFUL;
	}
	look->options = rollout_options_of(look->service, configuration, look->source != NULL);
	look->seen.now_ms = look->now_ms;
	look->seen.rollback_requested =
		json_get_bool(look->deployment, "_rollback_requested", false);
	look->seen.production_permille =
		(int)json_get_int(look->deployment, "_production_permille", 0);
	look->seen.test_permille = (int)json_get_int(look->deployment, "_test_permille", 0);
	look->seen.has_test_rule =
		json_get_text(json_get(json_at(json_get(look->service, "loadBalancers"), 0),
				      "advancedConfiguration"),
			"testListenerRule", NULL) != NULL;
	for (struct task *task = tasks_first(look->ecs->tasks); task; task = task->following)
		if (look_is_mine(look, task))
			see_task(look, task);
}

static void decide(struct look *look, struct rollout_actions *out_actions)
{
	const struct strategy *strategy =
		strategy_find(json_get_text(json_get(look->deployment, "deploymentConfiguration"),
			"strategy", NULL));

	*out_actions = (struct rollout_actions){0};
	if (look->deployment && strategy)
		strategy->decide(&look->options, &look->rollout, &look->seen, out_actions);
	else if (!json_get_bool(look->service, "_stalled", false))
		rollout_keep(&look->options, &look->rollout, &look->seen, out_actions);
	look_again_at(look, out_actions->look_again_ms);
}

/* Writes what has changed since the last time. */
static bool write_down(struct look *look)
{
	struct store *store = look->ecs->cloud->store;
	struct error err = {0};
	bool service = !json_equal(look->service, look->service_before);
	bool deployment = !json_equal(look->deployment, look->deployment_before);

	if ((!service ||
		    store_put(store, "ecs.service", look->arn, json_copy(look->service), &err)) &&
		(!deployment || store_put(store, "ecs.deployment",
					json_get_text(look->deployment, "serviceDeploymentArn", ""),
					json_copy(look->deployment), &err))) {
		json_free(&look->service_before);
		look->service_before = json_copy(look->service);
		json_free(&look->deployment_before);
		look->deployment_before = json_copy(look->deployment);
		return true;
	}
	log_write(LOG_ERROR, "a service's state could not be written", "service", look->arn,
		"reason", err.message, NULL);
	error_free(&err);
	look_again_at(look, look->now_ms + 1000);
	return false;
}

static void count_failures(struct look *look)
{
	const struct json *revision =
		store_get(look->ecs->cloud->store, "ecs.revision", look->target);
	struct error err = {0};

	if (!look->seen.failed || !revision)
		return;
	struct json *changed = json_copy(revision);

	json_set_int(changed, "_failed", json_get_int(revision, "_failed", 0) + look->seen.failed);
	if (!store_put(look->ecs->cloud->store, "ecs.revision", look->target, changed, &err))
		error_ignore(&err, "a number for people only");
}

/* A service being deleted: all tasks go, then it is inactive. */
static void drain(struct look *look)
{
	int left = 0;

	for (struct task *task = tasks_first(look->ecs->tasks); task; task = task->following) {
		if (!look_is_mine(look, task))
			continue;
		task_stop(task, "ServiceSchedulerInitiated", "Service deleted");
		left += task->phase != TASK_STOPPED;
	}
	if (!left)
		json_set_text(look->service, "status", "INACTIVE");
}

static bool same_rollout(const struct rollout *a, const struct rollout *b)
{
	return a->status == b->status && a->stage == b->stage &&
	       a->stage_since_ms == b->stage_since_ms && a->failed_tasks == b->failed_tasks &&
	       a->failed_in_row == b->failed_in_row && a->retry_at_ms == b->retry_at_ms &&
	       a->kept_failed_in_row == b->kept_failed_in_row &&
	       a->kept_retry_at_ms == b->kept_retry_at_ms && a->triggered == b->triggered;
}

static void look_at_active(struct look *look)
{
	struct rollout_actions actions;
	struct rollout before;

	observe(look);
	before = look->rollout;
	decide(look, &actions);
	count_failures(look);
	if (look->rollout.failed_in_row >= MANY_FAILURES && before.failed_in_row < MANY_FAILURES)
		service_event(look->ecs, look->service,
			"is unable to consistently start tasks successfully.");
	if (same_rollout(&before, &look->rollout))
		;
	else if (look->deployment)
		service_note_rollout(look->ecs, look->service, look->deployment, before.status,
			&look->rollout);
	else
		rollout_store(look->service, &look->rollout);
	if (look->rollout.status != before.status)
		look_again_at(look, look->now_ms);
	/* Decided and written, then done: what a killed endpoint did not do, the next one decides
	 * again from what it sees. */
	if (!write_down(look))
		return;
	look_prepare_rules(look);
	look_act(look, &actions);
}

void scheduler_look(struct ecs *ecs, const char *service_arn, int64_t *out_again_ms)
{
	struct cloud *cloud = ecs->cloud;
	const struct json *service = store_get(cloud->store, "ecs.service", service_arn);
	const char *status = json_get_text(service, "status", "");
	scoped(look_free) struct look look = {.ecs = ecs,
		.arn = service_arn,
		.now_ms = clock_now(cloud->clock)};

	*out_again_ms = 0;
	if (text_equal(status, "INACTIVE") || !service)
		return;
	look.service_before = json_copy(service);
	look.deployment_before = json_copy(store_get(cloud->store, "ecs.deployment",
		json_get_text(service, "_deployment", "")));
	look.service = json_copy(service);
	look.deployment = json_copy(look.deployment_before);
	if (text_equal(json_get_text(look.service, "status", ""), "DRAINING"))
		drain(&look);
	else
		look_at_active(&look);
	if (write_down(&look))
		*out_again_ms = look.again_ms;
	else
		*out_again_ms = look.now_ms + 1000;
}
