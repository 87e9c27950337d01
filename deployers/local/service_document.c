#include "deployers/local/ecs_internal.h"

struct service_counts service_count(struct ecs *ecs, const char *service_arn,
	const char *revision_arn)
{
	struct service_counts counts = {0};

	for (struct task *task = tasks_first(ecs->tasks); task; task = task->following) {
		if (!task_is_alive(task) ||
			!text_equal(json_get_text(task->document, "_service", NULL), service_arn))
			continue;
		if (revision_arn &&
			!text_equal(json_get_text(task->document, "_revision", NULL), revision_arn))
			continue;
		counts.running += task->phase == TASK_RUNNING;
		counts.pending += task->phase < TASK_RUNNING;
	}
	return counts;
}

/* Revisions of a service that matter: the one it is to run, and those that still have tasks. */
static void list_revisions(struct ecs *ecs, const struct json *service, struct strings *out)
{
	const char *arn = json_get_text(service, "serviceArn", NULL);
	const char *target = json_get_text(service, "_target", NULL);

	if (target)
		strings_add(out, target);
	for (struct task *task = tasks_first(ecs->tasks); task; task = task->following) {
		const char *revision = json_get_text(task->document, "_revision", NULL);

		if (revision && task->phase != TASK_STOPPED &&
			text_equal(json_get_text(task->document, "_service", NULL), arn) &&
			!strings_contain(out, revision))
			strings_add(out, revision);
	}
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
	if (json_get(from, key))
		json_set(to, key, json_copy(json_get(from, key)));
}

/* An entry of service.deployments: the older view, a revision and how far its tasks are. */
static struct json *old_deployment(struct ecs *ecs, const struct json *service,
	const char *revision_arn)
{
	static const char *const members[] = {"taskDefinition", "capacityProviderStrategy",
		"launchType", "platformVersion", "platformFamily", "networkConfiguration",
		"createdAt"};
	const char *arn = json_get_text(service, "serviceArn", "");
	const struct json *revision = store_get(ecs->cloud->store, "ecs.revision", revision_arn);
	struct service_counts counts = service_count(ecs, arn, revision_arn);
	bool primary = text_equal(json_get_text(service, "_target", NULL), revision_arn);
	struct json *entry = json_object_of("id", json_copy(json_get(revision, "_id")), "status",
		json_text_new(primary ? "PRIMARY" : "ACTIVE"), "desiredCount",
		json_int_new(primary ? json_get_int(service, "desiredCount", 0)
				     : counts.running + counts.pending),
		"pendingCount", json_int_new(counts.pending), "runningCount",
		json_int_new(counts.running), "failedTasks",
		json_int_new(json_get_int(revision, "_failed", 0)), NULL);

	for (size_t i = 0; i < countof(members); i++)
		copy_member(entry, revision, members[i]);
	json_set(entry, "updatedAt",
		json_copy(json_get(revision,
			json_get(revision, "_updated") ? "_updated" : "createdAt")));
	json_set_text(entry, "rolloutState", json_get_text(revision, "_state", "IN_PROGRESS"));
	json_set_text(entry, "rolloutStateReason", json_get_text(revision, "_reason", ""));
	return entry;
}

static void add_revisions(struct ecs *ecs, const struct json *service, struct json *answer)
{
	scoped(strings_free) struct strings revisions = {0};
	const char *arn = json_get_text(service, "serviceArn", "");
	struct json *deployments = json_array_new(), *current = json_array_new();

	list_revisions(ecs, service, &revisions);
	for (size_t i = 0; i < revisions.count; i++) {
		struct service_counts counts = service_count(ecs, arn, revisions.items[i]);
		bool primary =
			text_equal(json_get_text(service, "_target", NULL), revisions.items[i]);

		json_append(deployments, old_deployment(ecs, service, revisions.items[i]));
		json_append(current,
			json_object_of("arn", json_text_new(revisions.items[i]),
				"requestedTaskCount",
				json_int_new(primary ? json_get_int(service, "desiredCount", 0)
						     : counts.running + counts.pending),
				"runningTaskCount", json_int_new(counts.running),
				"pendingTaskCount", json_int_new(counts.pending), NULL));
	}
	json_set(answer, "deployments", deployments);
	json_set(answer, "currentServiceRevisions", current);
}

struct json *service_answer(struct ecs *ecs, const struct json *service, bool tags)
{
	struct json *answer = ecs_public(service, tags);
	struct service_counts counts =
		service_count(ecs, json_get_text(service, "serviceArn", ""), NULL);

	json_set_int(answer, "runningCount", counts.running);
	json_set_int(answer, "pendingCount", counts.pending);
	/* With another deployment controller revisions are task sets, which we do not have. */
	add_revisions(ecs, service, answer);
	if (json_get(service, "_last_deployment"))
		json_set(answer, "currentServiceDeployment",
			json_copy(json_get(service, "_last_deployment")));
	return answer;
}

struct json *revision_answer(const struct json *revision)
{
	return store_public(revision);
}

static struct json *revision_summary(struct ecs *ecs, const struct json *deployment,
	const char *arn, int requested, int share)
{
	struct service_counts counts =
		service_count(ecs, json_get_text(deployment, "serviceArn", ""), arn);
	struct json *summary = json_object_of("arn", json_text_new(arn), "requestedTaskCount",
		json_int_new(requested), "runningTaskCount", json_int_new(counts.running),
		"pendingTaskCount", json_int_new(counts.pending), NULL);

	if (share >= 0) {
		int test = (int)json_get_int(deployment, "_test_permille", 0);

		json_set_real(summary, "requestedProductionTrafficWeight", share / 10.0);
		json_set_real(summary, "requestedTestTrafficWeight",
			text_equal(arn, json_get_text(deployment, "_target", ""))
				? test / 10.0
				: 100 - test / 10.0);
	}
	return summary;
}

struct json *deployment_answer(struct ecs *ecs, const struct json *deployment)
{
	struct json *answer = store_public(deployment);
	struct json *sources = json_array_new();
	const struct json *old = json_get(deployment, "_sources");
	const char *target = json_get_text(deployment, "_target", "");
	int desired = (int)json_get_int(deployment, "_desired", 0);
	bool weighed = json_get_bool(deployment, "_weighed", false);
	int share = (int)json_get_int(deployment, "_production_permille", 0);

	for (size_t i = 0; i < json_count(old); i++) {
		const char *arn = json_text(json_at(old, i), "");
		struct service_counts counts =
			service_count(ecs, json_get_text(deployment, "serviceArn", ""), arn);

		json_append(sources,
			revision_summary(ecs, deployment, arn, counts.running + counts.pending,
				weighed ? 1000 - share : -1));
	}
	json_set(answer, "sourceServiceRevisions", sources);
	json_set(answer, "targetServiceRevision",
		revision_summary(ecs, deployment, target, desired, weighed ? share : -1));
	return answer;
}
