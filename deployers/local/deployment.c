#include "deployers/local/ecs_internal.h"

#include "base/digest.h"
#include "deployers/local/content.h"

enum {
	EVENTS = 100,
	KEEP_DEPLOYMENTS = 100, /* of a service */
	PERCENT = 10,           /* permille in one */
};

void service_event(struct ecs *ecs, struct json *service, const char *format, ...)
{
	struct json *events = json_array_new();
	const struct json *old = json_get(service, "events");
	char uuid[UUID_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	scoped(text_free) char *text = memory_format_list(format, args);
	va_end(args);
	scoped(text_free) char *message =
		memory_format("(service %s) %s", json_get_text(service, "serviceName", ""), text);

	uuid_new(uuid);
	json_append(events, json_object_of("id", json_text_new(uuid), "createdAt",
				    ecs_now(ecs->cloud), "message", json_text_new(message), NULL));
	for (size_t i = 0; i < json_count(old) && i < EVENTS - 1; i++)
		json_append(events, json_keep(json_at(old, i)));
	json_set(service, "events", events);
}

void revision_mark(struct ecs *ecs, const char *arn, const char *state, const char *reason)
{
	const struct json *revision = store_get(ecs->cloud->store, "ecs.revision", arn);
	struct error err = {0};

	if (!revision)
		return;
	struct json *changed = json_copy(revision);

	json_set_text(changed, "_state", state);
	json_set_text(changed, "_reason", reason);
	json_set(changed, "_updated", ecs_now(ecs->cloud));
	if (!store_put(ecs->cloud->store, "ecs.revision", arn, changed, &err)) {
		log_write(LOG_ERROR, "a revision's state could not be written", "revision", arn,
			"reason", err.message, NULL);
		error_free(&err);
	}
}

/* A tag is resolved once per deployment: all its tasks run the same image, whatever happens to the
 * tag. A name that cannot be resolved is left to the tasks, which say so when they fail to start. */
static struct json *resolve_images(struct ecs *ecs, const struct json *definition)
{
	const struct json *containers = json_get(definition, "containerDefinitions");
	struct json *images = json_array_new();

	for (size_t i = 0; i < json_count(containers); i++) {
		const char *image = json_get_text(json_at(containers, i), "image", "");
		struct json *entry = json_object_of("containerName",
			json_copy(json_get(json_at(containers, i), "name")), "image",
			json_text_new(image), NULL);
		scoped(json_free) struct json *manifest = NULL;
		struct digest digest;
		struct error err = {0};
		char text[DIGEST_TEXT_SIZE];

		if (content_resolve(ecs->cloud->content, image, &digest, &manifest, &err)) {
			digest_to_text(&digest, text);
			json_set_text(entry, "imageDigest", text);
		}
		error_ignore(&err, "the tasks report it");
		json_append(images, entry);
	}
	return images;
}

static bool is_shifting(const struct json *service)
{
	const struct strategy *strategy = strategy_find(
		json_get_text(json_get(service, "deploymentConfiguration"), "strategy", NULL));

	return strategy && strategy->shifts_traffic;
}

/* Which target group a balancer's new tasks go to: the one that does not serve now, when traffic is
 * to be shifted, else the one that does. */
static const char *choose_group(const struct json *balancer, const char *serving, bool shifting)
{
	const char *first = json_get_text(balancer, "targetGroupArn", NULL);
	const char *other = json_get_text(json_get(balancer, "advancedConfiguration"),
		"alternateTargetGroupArn", NULL);

	if (!serving || !other || (!text_equal(serving, first) && !text_equal(serving, other)))
		return first;
	if (!shifting)
		return serving;
	return text_equal(serving, first) ? other : first;
}

static struct json *resolve_balancers(struct ecs *ecs, const struct json *service)
{
	const struct json *balancers = json_get(service, "loadBalancers");
	const struct json *completed = store_get(ecs->cloud->store, "ecs.revision",
		json_get_text(service, "_completed", ""));
	const struct json *serving =
		json_get(json_get(completed, "resolvedConfiguration"), "loadBalancers");
	struct json *resolved = json_array_new();

	for (size_t i = 0; i < json_count(balancers); i++) {
		const struct json *balancer = json_at(balancers, i);
		const struct json *rule = json_get(json_get(balancer, "advancedConfiguration"),
			"productionListenerRule");
		const char *group = choose_group(balancer,
			json_get_text(json_at(serving, i), "targetGroupArn", NULL),
			is_shifting(service));

		json_append(resolved,
			json_object_of("targetGroupArn", json_text_new(group),
				"productionListenerRule", rule ? json_copy(rule) : NULL, NULL));
	}
	return json_object_of("loadBalancers", resolved, NULL);
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
	if (json_get(from, key))
		json_set(to, key, json_copy(json_get(from, key)));
}

static struct json *revision_new(struct ecs *ecs, const struct json *service, const char *arn,
	const char *id)
{
	static const char *const members[] = {"serviceArn", "clusterArn", "taskDefinition",
		"capacityProviderStrategy", "launchType", "platformVersion", "platformFamily",
		"loadBalancers", "serviceRegistries", "networkConfiguration",
		"serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"};
	const struct json *definition = store_get(ecs->cloud->store, "ecs.task_definition",
		json_get_text(service, "taskDefinition", ""));
	struct json *revision = json_object_of("serviceRevisionArn", json_text_new(arn),
		"containerImages", resolve_images(ecs, definition), "guardDutyEnabled",
		json_bool_new(false), "createdAt", ecs_now(ecs->cloud), "resolvedConfiguration",
		resolve_balancers(ecs, service), "_id", json_text_new(id), "_state",
		json_text_new("IN_PROGRESS"), "_reason",
		json_text_format("ECS deployment %s in progress.", id), NULL);

	for (size_t i = 0; i < countof(members); i++)
		copy_member(revision, service, members[i]);
	return revision;
}

static struct json *breaker_answer(const struct rollout_options *options)
{
	return json_object_of("status",
		json_text_new(options->breaker.enabled ? "MONITORING" : "DISABLED"), "failureCount",
		json_int_new(0), "threshold", json_int_new(rollout_threshold(options)), NULL);
}

static struct json *deployment_new(struct ecs *ecs, const struct json *service, const char *arn,
	const char *revision_arn)
{
	const struct json *configuration = json_get(service, "deploymentConfiguration");
	const char *completed = json_get_text(service, "_completed", NULL);
	struct rollout_options options =
		rollout_options_of(service, configuration, completed != NULL);
	struct json *sources = json_array_new();
	struct rollout rollout = {0};

	if (completed)
		json_append(sources, json_text_new(completed));
	struct json *deployment = json_object_of("serviceDeploymentArn", json_text_new(arn),
		"serviceArn", json_copy(json_get(service, "serviceArn")), "clusterArn",
		json_copy(json_get(service, "clusterArn")), "createdAt", ecs_now(ecs->cloud),
		"startedAt", ecs_now(ecs->cloud), "updatedAt", ecs_now(ecs->cloud), "status",
		json_text_new("IN_PROGRESS"), "deploymentConfiguration", json_copy(configuration),
		"deploymentCircuitBreaker", breaker_answer(&options), "alarms",
		json_object_of("status", json_text_new("DISABLED"), NULL), "_sources", sources,
		"_source", completed ? json_text_new(completed) : NULL, "_target",
		json_text_new(revision_arn), "_desired", json_int_new(options.desired), "_weighed",
		json_bool_new(is_shifting(service)), NULL);

	rollout_store(deployment, &rollout);
	return deployment;
}

/* The one under way ends: another takes its place. */
static bool supersede(struct ecs *ecs, struct json *service, struct error *err)
{
	const char *arn = json_get_text(service, "_deployment", NULL);
	const struct json *deployment =
		arn ? store_get(ecs->cloud->store, "ecs.deployment", arn) : NULL;
	struct rollout rollout;

	if (!deployment)
		return true;
	struct json *ended = json_copy(deployment);

	/* All traffic is on its target and the old tasks are going: that is where we are now. */
	rollout_load(ended, &rollout);
	if (rollout.stage == STAGE_CLEAN_UP && rollout.status == ROLLOUT_IN_PROGRESS)
		json_set_text(service, "_completed", json_get_text(ended, "_target", ""));

	json_set_text(ended, "status", "STOPPED");
	json_set_text(ended, "statusReason", "Superseded by a newer service deployment.");
	json_set(ended, "stoppedAt", ecs_now(ecs->cloud));
	json_set(ended, "finishedAt", ecs_now(ecs->cloud));
	json_set(ended, "updatedAt", ecs_now(ecs->cloud));
	return store_put(ecs->cloud->store, "ecs.deployment", arn, ended, err);
}

struct old_deployments {
	const char *service;
	struct strings arns;
};

static bool list_ended(void *context, const char *id, const struct json *deployment)
{
	struct old_deployments *old = context;

	if (json_get(deployment, "finishedAt") &&
		text_equal(json_get_text(deployment, "serviceArn", ""), old->service))
		strings_add(&old->arns, id);
	return true;
}

static bool revision_in_use(struct ecs *ecs, const struct json *service, const char *arn)
{
	if (text_equal(json_get_text(service, "_target", NULL), arn) ||
		text_equal(json_get_text(service, "_completed", NULL), arn))
		return true;
	for (struct task *task = tasks_first(ecs->tasks); task; task = task->following)
		if (text_equal(json_get_text(task->document, "_revision", NULL), arn))
			return true;
	return false;
}

/* Deployments long past go, with their revisions. */
static bool prune(struct ecs *ecs, const struct json *service, struct error *err)
{
	struct store *store = ecs->cloud->store;
	struct old_deployments old = {.service = json_get_text(service, "serviceArn", "")};
	bool done = true;

	store_each(store, "ecs.deployment", list_ended, &old);
	for (size_t i = 0; done && i + KEEP_DEPLOYMENTS < old.arns.count; i++) {
		scoped(text_free) char *revision = memory_copy_text(
			json_get_text(store_get(store, "ecs.deployment", old.arns.items[i]),
				"_target", ""));

		done = store_remove(store, "ecs.deployment", old.arns.items[i], err) &&
		       (revision_in_use(ecs, service, revision) ||
			       store_remove(store, "ecs.revision", revision, err));
	}
	strings_free(&old.arns);
	return done;
}

bool service_deploy(struct ecs *ecs, struct json *service, struct error *err)
{
	struct store *store = ecs->cloud->store;
	const char *cluster = arn_name(json_get_text(service, "clusterArn", ""));
	const char *name = json_get_text(service, "serviceName", "");
	/* Nineteen digits, as AWS's: growing, and never given again. */
	long long number = 1000000000000000000LL + clock_now(ecs->cloud->clock) * 100000 +
			   store_next_number(store, "ecs.deployment") % 100000;
	char id[40], key[20];

	snprintf(id, sizeof(id), "ecs-svc/%lld", number);
	random_hex(key, 16);
	scoped(text_free) char *revision_arn =
		cloud_arn(ecs->cloud, "ecs", "service-revision/%s/%s/%lld", cluster, name, number);
	scoped(text_free) char *deployment_arn =
		cloud_arn(ecs->cloud, "ecs", "service-deployment/%s/%s/%s", cluster, name, key);

	if (!supersede(ecs, service, err) || !prune(ecs, service, err) ||
		!store_put(store, "ecs.revision", revision_arn,
			revision_new(ecs, service, revision_arn, id), err) ||
		!store_put(store, "ecs.deployment", deployment_arn,
			deployment_new(ecs, service, deployment_arn, revision_arn), err))
		return false;
	json_set_text(service, "_target", revision_arn);
	json_set_text(service, "_deployment", deployment_arn);
	json_set_text(service, "_last_deployment", deployment_arn);
	json_remove(service, "_stalled");
	return true;
}

void rollout_load(const struct json *deployment, struct rollout *out_rollout)
{
	const struct json *saved = json_get(deployment, "_rollout");

	*out_rollout = (struct rollout){
		.stage_since_ms = json_get_int(saved, "stage_since_ms", 0),
		.failed_tasks = (int)json_get_int(saved, "failed_tasks", 0),
		.failed_in_row = (int)json_get_int(saved, "failed_in_row", 0),
		.retry_at_ms = json_get_int(saved, "retry_at_ms", 0),
		.kept_failed_in_row = (int)json_get_int(saved, "kept_failed_in_row", 0),
		.kept_retry_at_ms = json_get_int(saved, "kept_retry_at_ms", 0),
		.triggered = json_get_bool(saved, "triggered", false),
	};
	if (!rollout_status_of(json_get_text(saved, "status", ""), &out_rollout->status))
		out_rollout->status = ROLLOUT_IN_PROGRESS;
	if (!rollout_stage_of(json_get_text(saved, "stage", NULL), &out_rollout->stage))
		out_rollout->stage = STAGE_NONE;
}

void rollout_store(struct json *deployment, const struct rollout *rollout)
{
	const char *stage = rollout_stage_name(rollout->stage);

	json_set(deployment, "_rollout",
		json_object_of("status", json_text_new(rollout_status_name(rollout->status)),
			"stage", stage ? json_text_new(stage) : NULL, "stage_since_ms",
			json_int_new(rollout->stage_since_ms), "failed_tasks",
			json_int_new(rollout->failed_tasks), "failed_in_row",
			json_int_new(rollout->failed_in_row), "retry_at_ms",
			json_int_new(rollout->retry_at_ms), "kept_failed_in_row",
			json_int_new(rollout->kept_failed_in_row), "kept_retry_at_ms",
			json_int_new(rollout->kept_retry_at_ms), "triggered",
			json_bool_new(rollout->triggered), NULL));
}

static void read_breaker(const struct json *breaker, struct rollout_options *options)
{
	const struct json *threshold = json_get(breaker, "thresholdConfiguration");
	const char *kind = json_get_text(threshold, "type", "BOUNDED_PERCENT");

	options->breaker.enabled = json_get_bool(breaker, "enable", false);
	options->breaker.rollback = json_get_bool(breaker, "rollback", false);
	options->breaker.reset_on_healthy = json_get_bool(breaker, "resetOnHealthyTask", true);
	options->breaker.value = (int)json_get_int(threshold, "value", 50);
	options->breaker.threshold = text_equal(kind, "COUNT") ? THRESHOLD_COUNT
				     : text_equal(kind, "UNBOUNDED_PERCENT")
					     ? THRESHOLD_UNBOUNDED_PERCENT
					     : THRESHOLD_BOUNDED_PERCENT;
}

struct rollout_options rollout_options_of(const struct json *service,
	const struct json *configuration, bool has_source)
{
	const char *strategy = json_get_text(configuration, "strategy", "ROLLING");
	const struct json *canary = json_get(configuration, "canaryConfiguration");
	const struct json *linear = json_get(configuration, "linearConfiguration");
	struct rollout_options options = {
		.desired = (int)json_get_int(service, "desiredCount", 0),
		.min_healthy_percent =
			(int)json_get_int(configuration, "minimumHealthyPercent", 100),
		.max_percent = (int)json_get_int(configuration, "maximumPercent", 200),
		.has_source = has_source,
		.step_permille = 1000,
		.bake_ms = json_get_int(configuration, "bakeTimeInMinutes", 0) * 60000,
	};

	read_breaker(json_get(configuration, "deploymentCircuitBreaker"), &options);
	if (text_equal(strategy, "CANARY")) {
		options.one_step = true;
		options.step_permille =
			(int)(json_real(json_get(canary, "canaryPercent"), 5) * PERCENT + 0.5);
		options.step_bake_ms = json_get_int(canary, "canaryBakeTimeInMinutes", 10) * 60000;
	} else if (text_equal(strategy, "LINEAR")) {
		options.step_permille =
			(int)(json_real(json_get(linear, "stepPercent"), 10) * PERCENT + 0.5);
		options.step_bake_ms = json_get_int(linear, "stepBakeTimeInMinutes", 6) * 60000;
	}
	return options;
}

static const char *revision_id(struct ecs *ecs, const char *arn)
{
	return json_get_text(store_get(ecs->cloud->store, "ecs.revision", arn), "_id", "");
}

static void note_rollback(struct ecs *ecs, struct json *service, struct json *deployment,
	const struct rollout *rollout)
{
	const char *source = json_get_text(deployment, "_source", "");
	const char *target = json_get_text(deployment, "_target", "");
	const struct json *old = store_get(ecs->cloud->store, "ecs.revision", source);
	const char *cause =
		rollout->triggered ? "ECS deployment circuit breaker" : "StopServiceDeployment";
	scoped(text_free) char *reason = memory_format("%s: %s", cause,
		rollout->triggered ? "tasks failed to start." : "rollback requested.");
	scoped(text_free) char *back = memory_format("%s: rolling back to deploymentId %s.", cause,
		revision_id(ecs, source));

	json_set(deployment, "rollback",
		json_object_of("reason", json_text_new(reason), "startedAt", ecs_now(ecs->cloud),
			"serviceRevisionArn", json_text_new(source), NULL));
	json_set_text(deployment, "statusReason", reason);
	service_event(ecs, service, "(deployment %s) deployment failed: %s",
		revision_id(ecs, target),
		rollout->triggered ? "tasks failed to start." : "rollback requested.");
	service_event(ecs, service, "rolling back to deployment %s.", revision_id(ecs, source));
	json_set_text(service, "_target", source);
	copy_member(service, old, "taskDefinition"); /* borrowed: before it is written anew */
	revision_mark(ecs, target, "FAILED", reason);
	revision_mark(ecs, source, "IN_PROGRESS", back);
}

static void note_end(struct ecs *ecs, struct json *service, struct json *deployment,
	const struct rollout *rollout)
{
	const char *source = json_get_text(deployment, "_source", "");
	const char *target = json_get_text(deployment, "_target", "");
	bool back = rollout->status == ROLLOUT_ROLLBACK_SUCCESSFUL;
	bool good = rollout->status == ROLLOUT_SUCCESSFUL || back;
	const char *serving = back ? source : target;

	json_set(deployment, "finishedAt", ecs_now(ecs->cloud));
	json_remove(service, "_deployment");
	if (good) {
		scoped(text_free) char *reason =
			memory_format("ECS deployment %s completed.", revision_id(ecs, serving));

		json_set_text(service, "_completed", serving);
		revision_mark(ecs, serving, "COMPLETED", reason);
		service_event(ecs, service, "(deployment %s) deployment completed.",
			revision_id(ecs, serving));
		service_event(ecs, service, "has reached a steady state.");
		return;
	}
	const char *reason = rollout->triggered
				     ? "ECS deployment circuit breaker: tasks failed to start."
				     : "The deployment was stopped.";

	json_set(deployment, "stoppedAt", ecs_now(ecs->cloud));
	if (!json_get(deployment, "statusReason"))
		json_set_text(deployment, "statusReason", reason);
	/* Nothing is launched any more until somebody deploys something else. */
	json_set_bool(service, "_stalled", true);
	revision_mark(ecs, target, "FAILED", reason);
	service_event(ecs, service, "(deployment %s) deployment failed: %s",
		revision_id(ecs, target), reason);
}

void service_note_rollout(struct ecs *ecs, struct json *service, struct json *deployment,
	enum rollout_status before, const struct rollout *rollout)
{
	struct json *breaker = json_get(deployment, "deploymentCircuitBreaker");
	const char *stage = rollout_stage_name(rollout->stage);

	rollout_store(deployment, rollout);
	json_set_text(deployment, "status", rollout_status_name(rollout->status));
	json_set(deployment, "updatedAt", ecs_now(ecs->cloud));
	if (stage)
		json_set_text(deployment, "lifecycleStage", stage);
	if (!rollout->triggered) {
		json_set_int(breaker, "failureCount", rollout->failed_tasks);
	} else if (!text_equal(json_get_text(breaker, "status", ""), "TRIGGERED")) {
		json_set_text(breaker, "status", "TRIGGERED");
		json_set_int(breaker, "failureCount", json_get_int(breaker, "threshold", 0));
	}
	if (rollout->status == before)
		return;
	if (rollout->status == ROLLOUT_ROLLBACK_IN_PROGRESS ||
		(rollout->status == ROLLOUT_ROLLBACK_SUCCESSFUL && before == ROLLOUT_IN_PROGRESS))
		note_rollback(ecs, service, deployment, rollout);
	if (!rollout_ended(rollout->status))
		return;
	if (!rollout->triggered && !text_equal(json_get_text(breaker, "status", ""), "DISABLED"))
		json_set_text(breaker, "status", "MONITORING_COMPLETE");
	note_end(ecs, service, deployment, rollout);
}
