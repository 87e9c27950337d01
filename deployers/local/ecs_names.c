#include "deployers/local/ecs_internal.h"

struct json *ecs_time(int64_t time_ms)
{
	return json_real_new((double)time_ms / 1000.0);
}

struct json *ecs_now(struct cloud *cloud)
{
	return ecs_time(clock_now(cloud->clock));
}

const char *arn_name(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash ? slash + 1 : arn;
}

char *cluster_arn_of(struct cloud *cloud, const struct json *input)
{
	const char *name = json_get_text(input, "cluster", NULL);

	if (!name || !*name)
		name = "default";
	if (text_starts_with(name, "arn:"))
		return memory_copy_text(name);
	return cloud_arn(cloud, "ecs", "cluster/%s", name);
}

const struct json *cluster_of(struct cloud *cloud, const struct json *input,
	struct refusal *refusal)
{
	scoped(text_free) char *arn = cluster_arn_of(cloud, input);
	const struct json *cluster = store_get(cloud->store, "ecs.cluster", arn);

	if (cluster && text_equal(json_get_text(cluster, "status", ""), "ACTIVE"))
		return cluster;
	refuse(refusal, 400, "ClusterNotFoundException", "Cluster not found.");
	return NULL;
}

char *service_arn_of(struct cloud *cloud, const char *cluster_arn, const char *name)
{
	if (text_starts_with(name, "arn:"))
		return memory_copy_text(name);
	return cloud_arn(cloud, "ecs", "service/%s/%s", arn_name(cluster_arn), name);
}

const struct json *service_of(struct cloud *cloud, const struct json *input, bool active,
	struct refusal *refusal)
{
	const char *name = input_text(input, "service", "InvalidParameterException", refusal);
	const struct json *cluster = name ? cluster_of(cloud, input, refusal) : NULL;

	if (!cluster)
		return NULL;
	scoped(text_free) char *arn =
		service_arn_of(cloud, json_get_text(cluster, "clusterArn", ""), name);
	const struct json *service = store_get(cloud->store, "ecs.service", arn);

	if (!service) {
		refuse(refusal, 400, "ServiceNotFoundException", "Service not found.");
		return NULL;
	}
	if (active && !text_equal(json_get_text(service, "status", ""), "ACTIVE")) {
		refuse(refusal, 400, "ServiceNotActiveException", "Service was not ACTIVE.");
		return NULL;
	}
	return service;
}

/* The newest ACTIVE revision of a family. */
struct newest {
	const char *family;
	const struct json *found;
};

static bool see_definition(void *context, const char *id, const struct json *definition)
{
	struct newest *newest = context;

	(void)id;
	if (text_equal(json_get_text(definition, "family", NULL), newest->family) &&
		text_equal(json_get_text(definition, "status", NULL), "ACTIVE") &&
		json_get_int(definition, "revision", 0) >
			json_get_int(newest->found, "revision", 0))
		newest->found = definition;
	return true;
}

const struct json *task_definition_of(struct cloud *cloud, const char *name,
	struct refusal *refusal)
{
	const struct json *definition = NULL;

	if (text_starts_with(name, "arn:")) {
		definition = store_get(cloud->store, "ecs.task_definition", name);
	} else if (strchr(name, ':')) {
		scoped(text_free) char *arn = cloud_arn(cloud, "ecs", "task-definition/%s", name);

		definition = store_get(cloud->store, "ecs.task_definition", arn);
	} else {
		struct newest newest = {.family = name};

		store_each(cloud->store, "ecs.task_definition", see_definition, &newest);
		definition = newest.found;
	}
	if (!definition)
		refuse(refusal, 400, "ClientException", "Unable to describe task definition.");
	return definition;
}

bool ecs_put(struct cloud *cloud, const char *kind, const char *id, struct json *document,
	struct refusal *refusal)
{
	struct error err = {0};

	return store_put(cloud->store, kind, id, document, &err) || refuse_error(refusal, &err);
}

struct json *ecs_failure(const char *arn, const char *reason)
{
	return json_object_of("arn", json_text_new(arn), "reason", json_text_new(reason), NULL);
}

bool ecs_includes(const struct json *input, const char *what)
{
	const struct json *include = json_get(input, "include");

	for (size_t i = 0; i < json_count(include); i++)
		if (text_equal(json_text(json_at(include, i), NULL), what))
			return true;
	return false;
}

struct json *ecs_public(const struct json *document, bool tags)
{
	struct json *answer = store_public(document);

	if (!tags)
		json_remove(answer, "tags");
	return answer;
}
