#include "deployers/local/balancer.h"
#include "deployers/local/look.h"

void look_again_at(struct look *look, int64_t due_ms)
{
	if (due_ms && (!look->again_ms || due_ms < look->again_ms))
		look->again_ms = due_ms;
}

bool look_is_mine(const struct look *look, const struct task *task)
{
	return text_equal(json_get_text(task->document, "_service", NULL), look->arn);
}

const char *look_revision(const struct task *task)
{
	return json_get_text(task->document, "_revision", "");
}

struct rollout_group *look_group(struct look *look, const struct task *task)
{
	const char *revision = look_revision(task);

	if (text_equal(revision, look->target))
		return &look->seen.target;
	if (look->source && text_equal(revision, look->source))
		return &look->seen.source;
	return &look->seen.others;
}

/* Weights of a rule that forwards share permille to the target revision's group. */
static bool set_rule(struct look *look, const struct json *balancer, const char *rule,
	const char *target_group, int share, struct error *err)
{
	const char *first = json_get_text(balancer, "targetGroupArn", "");
	const char *second = json_get_text(json_get(balancer, "advancedConfiguration"),
		"alternateTargetGroupArn", first);
	/* AWS writes percent; permille only where a share needs it. */
	int whole = share % 10 ? 1000 : 100;
	int weight = share % 10 ? share : share / 10;
	const struct target_weight weights[] = {
		{first, text_equal(target_group, first) ? weight : whole - weight},
		{second, text_equal(target_group, second) ? weight : whole - weight},
	};

	return balancer_set_weights(look->ecs->cloud->balancer, rule, weights,
		text_equal(first, second) ? 1 : 2, err);
}

static bool shift(struct look *look, const char *rule_key, int share, struct error *err)
{
	const struct json *revision =
		store_get(look->ecs->cloud->store, "ecs.revision", look->target);
	const struct json *balancers = json_get(revision, "loadBalancers");
	const struct json *resolved =
		json_get(json_get(revision, "resolvedConfiguration"), "loadBalancers");

	for (size_t i = 0; i < json_count(balancers) && look->ecs->cloud->balancer; i++) {
		const struct json *balancer = json_at(balancers, i);
		const char *rule =
			json_get_text(json_get(balancer, "advancedConfiguration"), rule_key, NULL);
		const char *group = json_get_text(json_at(resolved, i), "targetGroupArn", "");

		if (rule && !set_rule(look, balancer, rule, group, share, err))
			return false;
	}
	return true;
}

static void shift_and_note(struct look *look, const char *rule_key, const char *member, int share)
{
	struct error err = {0};

	if (shift(look, rule_key, share, &err)) {
		json_set_int(look->deployment, member, share);
		look_again_at(look, look->now_ms);
		return;
	}
	service_event(look->ecs, look->service, "was unable to shift traffic: %s", err.message);
	error_free(&err);
	look_again_at(look, look->now_ms + 1000);
}

void look_prepare_rules(struct look *look)
{
	if (!look->deployment || !json_get_bool(look->deployment, "_weighed", false) ||
		json_get(look->deployment, "_production_permille"))
		return;
	shift_and_note(look, "productionListenerRule", "_production_permille", 0);
}

static struct json *digests_of(const struct json *revision)
{
	const struct json *images = json_get(revision, "containerImages");
	struct json *digests = json_object_new();

	for (size_t i = 0; i < json_count(images); i++) {
		const char *digest = json_get_text(json_at(images, i), "imageDigest", NULL);

		if (digest)
			json_set_text(digests,
				json_get_text(json_at(images, i), "containerName", ""), digest);
	}
	return digests;
}

enum { TARGETS = 16 };

static size_t targets_of(const struct json *revision, struct task_target out[TARGETS])
{
	const struct json *balancers = json_get(revision, "loadBalancers");
	const struct json *resolved =
		json_get(json_get(revision, "resolvedConfiguration"), "loadBalancers");
	size_t count = 0;

	for (size_t i = 0; i < json_count(balancers) && count < TARGETS; i++) {
		const struct json *balancer = json_at(balancers, i);

		out[count++] = (struct task_target){
			.group_arn = json_get_text(json_at(resolved, i), "targetGroupArn", ""),
			.container_name = json_get_text(balancer, "containerName", ""),
			.port = (int)json_get_int(balancer, "containerPort", 0),
		};
	}
	return count;
}

static void start_tasks(struct look *look, const char *revision_arn, int count)
{
	struct cloud *cloud = look->ecs->cloud;
	const struct json *revision = store_get(cloud->store, "ecs.revision", revision_arn);
	scoped(json_free) struct json *digests = digests_of(revision);
	scoped(text_free) char *group =
		memory_format("service:%s", json_get_text(look->service, "serviceName", ""));
	scoped(buf_free) struct buf started = {0};
	struct task_target targets[TARGETS];
	struct task_request request = {
		.cluster_arn = json_get_text(look->service, "clusterArn", ""),
		.group = group,
		.started_by = json_get_text(revision, "_id", NULL),
		.launch_type = json_get_text(revision, "launchType", "FARGATE"),
		.service_arn = look->arn,
		.revision_arn = revision_arn,
		.definition = store_get(cloud->store, "ecs.task_definition",
			json_get_text(revision, "taskDefinition", "")),
		.digests = digests,
		.network = json_get(revision, "networkConfiguration"),
		.tags = text_equal(json_get_text(look->service, "propagateTags", ""), "SERVICE")
				? json_get(look->service, "tags")
				: NULL,
		.targets = targets,
		.target_count = targets_of(revision, targets),
	};

	for (int i = 0; i < count; i++) {
		struct task *task = NULL;
		struct error err = {0};

		if (!task_start(look->ecs->tasks, &request, &task, &err)) {
			service_event(look->ecs, look->service, "was unable to start a task: %s",
				err.message);
			error_free(&err);
			look_again_at(look, look->now_ms + 1000);
			break;
		}
		buf_printf(&started, "%s(task %s)", started.size ? " " : "", task->id);
	}
	if (started.size)
		service_event(look->ecs, look->service, "has started %d tasks: %s.", count,
			buf_text(&started));
}

/* Those that do not serve first, then the oldest. */
static void stop_tasks(struct look *look, const struct rollout_group *group, int count)
{
	scoped(buf_free) struct buf stopped = {0};
	const char *by =
		json_get_text(store_get(look->ecs->cloud->store, "ecs.revision", look->target),
			"_id", "");
	scoped(text_free) char *reason =
		memory_format("Scaling activity initiated by (deployment %s)", by);
	int left = count;

	for (int healthy = 0; healthy < 2; healthy++) {
		struct task *task = tasks_first(look->ecs->tasks);

		for (; task && left > 0; task = task->following) {
			if (!look_is_mine(look, task) || !task_is_alive(task) ||
				look_group(look, task) != group || task->was_healthy != healthy)
				continue;
			buf_printf(&stopped, "%s(task %s)", stopped.size ? " " : "", task->id);
			task_stop(task, "ServiceSchedulerInitiated", reason);
			left--;
		}
	}
	if (stopped.size)
		service_event(look->ecs, look->service, "has stopped %d running tasks: %s.",
			count - left, buf_text(&stopped));
}

void look_act(struct look *look, const struct rollout_actions *actions)
{
	if (actions->set_test)
		shift_and_note(look, "testListenerRule", "_test_permille", actions->test_permille);
	if (actions->set_production)
		shift_and_note(look, "productionListenerRule", "_production_permille",
			actions->production_permille);
	stop_tasks(look, &look->seen.others, actions->stop_others);
	stop_tasks(look, &look->seen.source, actions->stop_source);
	stop_tasks(look, &look->seen.target, actions->stop_target);
	if (actions->start_target)
		start_tasks(look, look->target, actions->start_target);
	if (actions->start_source)
		start_tasks(look, look->source, actions->start_source);
}
