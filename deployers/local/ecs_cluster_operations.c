#include "deployers/local/ecs_internal.h"

#include <ctype.h>

static const char invalid[] = "InvalidParameterException";

bool ecs_create_cluster(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const char *name = json_get_text(input, "clusterName", "default");
	const struct json *existing;
	size_t size = strlen(name);

	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return refuse(refusal, 400, invalid,
				"Cluster name must match [a-zA-Z0-9-_]{1,255}.");
	if (size == 0 || size > 255)
		return refuse(refusal, 400, invalid, "Cluster name must have 1 to 255 characters.");
	scoped(text_free) char *arn = cloud_arn(cloud, "ecs", "cluster/%s", name);

	existing = store_get(cloud->store, "ecs.cluster", arn);
	if (!existing || !text_equal(json_get_text(existing, "status", ""), "ACTIVE")) {
		const struct json *tags = json_get(input, "tags");
		struct json *cluster = json_object_of("clusterArn", json_text_new(arn),
			"clusterName", json_text_new(name), "status", json_text_new("ACTIVE"),
			"registeredContainerInstancesCount", json_int_new(0), "statistics",
			json_array_new(), "settings", json_array_new(), "capacityProviders",
			json_array_new(), "defaultCapacityProviderStrategy", json_array_new(),
			"tags", tags ? json_copy(tags) : json_array_new(), NULL);

		if (!ecs_put(cloud, "ecs.cluster", arn, cluster, refusal))
			return false;
		existing = store_get(cloud->store, "ecs.cluster", arn);
	}
	*out_output = json_object_of("cluster", ecs_public(existing, true), NULL);
	return true;
}

struct census {
	const char *cluster;
	int services;
};

static bool count_service(void *context, const char *id, const struct json *service)
{
	struct census *census = context;

	(void)id;
	census->services += text_equal(json_get_text(service, "clusterArn", ""), census->cluster) &&
			    !text_equal(json_get_text(service, "status", ""), "INACTIVE");
	return true;
}

static struct json *cluster_answer(struct cloud *cloud, const struct json *cluster, bool tags)
{
	struct json *answer = ecs_public(cluster, tags);
	const char *arn = json_get_text(cluster, "clusterArn", "");
	struct census census = {.cluster = arn};
	int running = 0, pending = 0;

	store_each(cloud->store, "ecs.service", count_service, &census);
	for (struct task *task = tasks_first(cloud->ecs->tasks); task; task = task->following) {
		if (!text_equal(json_get_text(task->document, "clusterArn", ""), arn))
			continue;
		running += task->phase == TASK_RUNNING;
		pending += task->phase < TASK_RUNNING;
	}
	json_set_int(answer, "runningTasksCount", running);
	json_set_int(answer, "pendingTasksCount", pending);
	json_set_int(answer, "activeServicesCount", census.services);
	return answer;
}

bool ecs_describe_clusters(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *names = json_get(input, "clusters");
	struct json *clusters = json_array_new(), *failures = json_array_new();
	bool tags = ecs_includes(input, "TAGS");

	(void)refusal;
	for (size_t i = 0; i < (names ? json_count(names) : 1); i++) {
		scoped(json_free) struct json *named = json_object_of("cluster",
			names ? json_copy(json_at(names, i)) : json_text_new("default"), NULL);
		scoped(text_free) char *arn = cluster_arn_of(cloud, named);
		const struct json *cluster = store_get(cloud->store, "ecs.cluster", arn);

		if (cluster)
			json_append(clusters, cluster_answer(cloud, cluster, tags));
		else
			json_append(failures, ecs_failure(arn, "MISSING"));
	}
	*out_output = json_object_of("clusters", clusters, "failures", failures, NULL);
	return true;
}

static bool add_cluster(void *context, const char *id, const struct json *cluster)
{
	if (text_equal(json_get_text(cluster, "status", ""), "ACTIVE"))
		json_append(context, json_text_new(id));
	return true;
}

bool ecs_list_clusters(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	struct json *arns = json_array_new();
	int64_t limit;
	size_t from;

	if (!input_int(input, "maxResults", 1, 100, 100, invalid, &limit, refusal) ||
		!input_page(input, "nextToken", invalid, &from, refusal)) {
		json_free(&arns);
		return false;
	}
	store_each(cloud->store, "ecs.cluster", add_cluster, arns);
	*out_output = json_object_new();
	output_page(*out_output, "clusterArns", arns, from, (size_t)limit, "nextToken");
	return true;
}

bool ecs_delete_cluster(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *cluster = cluster_of(cloud, input, refusal);

	if (!cluster)
		return false;
	const char *arn = json_get_text(cluster, "clusterArn", "");
	struct census census = {.cluster = arn};

	store_each(cloud->store, "ecs.service", count_service, &census);
	if (census.services)
		return refuse(refusal, 400, "ClusterContainsServicesException",
			"The Cluster cannot be deleted while Services are active.");
	for (struct task *task = tasks_first(cloud->ecs->tasks); task; task = task->following)
		if (task->phase != TASK_STOPPED &&
			text_equal(json_get_text(task->document, "clusterArn", ""), arn))
			return refuse(refusal, 400, "ClusterContainsTasksException",
				"The Cluster cannot be deleted while Tasks are active.");
	struct json *changed = json_copy(cluster);

	json_set_text(changed, "status", "INACTIVE");
	*out_output = json_object_of("cluster", ecs_public(changed, false), NULL);
	scoped(text_free) char *id = memory_copy_text(arn);

	return ecs_put(cloud, "ecs.cluster", id, changed, refusal);
}

/* Where a resource's document lies, by its ARN. */
static const char *kind_of(const char *arn)
{
	static const struct {
		const char *part, *kind;
	} kinds[] = {
		{":cluster/", "ecs.cluster"},
		{":service/", "ecs.service"},
		{":task-definition/", "ecs.task_definition"},
	};

	for (size_t i = 0; i < countof(kinds); i++)
		if (strstr(arn, kinds[i].part))
			return kinds[i].kind;
	return NULL;
}

/* The resource whose tags are meant, changed through its document (a copy for the store, the task's
 * own for a task). */
static bool find_tagged(struct cloud *cloud, const struct json *input, const char **out_kind,
	struct json **out_document, struct task **out_task, struct refusal *refusal)
{
	const char *arn = input_text(input, "resourceArn", invalid, refusal);
	const struct json *document;

	if (!arn)
		return false;
	*out_task = tasks_find(cloud->ecs->tasks, arn);
	*out_kind = kind_of(arn);
	document = *out_kind ? store_get(cloud->store, *out_kind, arn) : NULL;
	if (*out_task)
		document = (*out_task)->document;
	if (!document)
		return refuse(refusal, 400, invalid,
			"The specified resource %s could not be found. Check the resource ARN and "
			"try again.",
			arn);
	*out_document = json_copy(document);
	return true;
}

static bool save_tags(struct cloud *cloud, const struct json *input, const char *kind,
	struct json *document, struct task *task, struct refusal *refusal)
{
	if (!task)
		return ecs_put(cloud, kind, json_get_text(input, "resourceArn", ""), document,
			refusal);
	json_set(task->document, "tags", json_copy(json_get(document, "tags")));
	json_free(&document);
	return ecs_put(cloud, "ecs.task", task->arn, json_copy(task->document), refusal);
}

static struct json *without_tag(const struct json *tags, const char *key)
{
	struct json *left = json_array_new();

	for (size_t i = 0; i < json_count(tags); i++)
		if (!text_equal(json_get_text(json_at(tags, i), "key", NULL), key))
			json_append(left, json_keep(json_at(tags, i)));
	return left;
}

enum { TAGS = 50 };

bool ecs_tag_resource(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *tags = json_get(input, "tags");
	struct json *document = NULL;
	struct task *task;
	const char *kind;

	(void)out_output;
	if (!find_tagged(cloud, input, &kind, &document, &task, refusal))
		return false;
	for (size_t i = 0; i < json_count(tags); i++) {
		struct json *all = without_tag(json_get(document, "tags"),
			json_get_text(json_at(tags, i), "key", ""));

		json_append(all, json_copy(json_at(tags, i)));
		json_set(document, "tags", all);
	}
	if (json_count(json_get(document, "tags")) > TAGS) {
		json_free(&document);
		return refuse(refusal, 400, invalid, "A resource can have at most %d tags.", TAGS);
	}
	return save_tags(cloud, input, kind, document, task, refusal);
}

bool ecs_untag_resource(struct cloud *cloud, const struct json *input, struct json **out_output,
	struct refusal *refusal)
{
	const struct json *keys = json_get(input, "tagKeys");
	struct json *document = NULL;
	struct task *task;
	const char *kind;

	(void)out_output;
	if (!find_tagged(cloud, input, &kind, &document, &task, refusal))
		return false;
	for (size_t i = 0; i < json_count(keys); i++)
		json_set(document, "tags",
			without_tag(json_get(document, "tags"), json_text(json_at(keys, i), "")));
	return save_tags(cloud, input, kind, document, task, refusal);
}

bool ecs_list_tags_for_resource(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	scoped(json_free) struct json *document = NULL;
	struct task *task;
	const char *kind;

	if (!find_tagged(cloud, input, &kind, &document, &task, refusal))
		return false;
	const struct json *tags = json_get(document, "tags");

	*out_output = json_object_of("tags", tags ? json_copy(tags) : json_array_new(), NULL);
	return true;
}
