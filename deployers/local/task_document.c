#include "deployers/local/task_internal.h"

#include "base/memory.h"

#include <stdlib.h>

static struct json *time_new(int64_t time_ms)
{
	return json_real_new((double)time_ms / 1000.0);
}

static struct json *copy_or(const struct json *value, struct json *otherwise)
{
	if (!value)
		return otherwise;
	json_free(&otherwise);
	return json_copy(value);
}

static struct json *container_document(const struct task_request *request,
	const struct json *definition, const char *task_arn, const char *container_arn)
{
	const char *name = json_get_text(definition, "name", "");
	const char *digest = json_get_text(request->digests, name, NULL);
	struct json *container = json_object_of("containerArn", json_text_new(container_arn),
		"taskArn", json_text_new(task_arn), "name", json_text_new(name), "image",
		json_text_new(json_get_text(definition, "image", "")), "imageDigest",
		digest ? json_text_new(digest) : NULL, "lastStatus", json_text_new("PENDING"),
		"networkInterfaces", json_array_new(), "healthStatus", json_text_new("UNKNOWN"),
		"cpu", json_text_format("%lld", (long long)json_get_int(definition, "cpu", 0)),
		NULL);

	if (json_get(definition, "memory"))
		json_set(container, "memory",
			json_text_format("%lld", (long long)json_get_int(definition, "memory", 0)));
	return container;
}

static struct json *containers_document(struct tasks *tasks, const struct task_request *request,
	const char *task_id, const char *task_arn)
{
	const struct json *definitions = json_get(request->definition, "containerDefinitions");
	const char *slash = strrchr(request->cluster_arn, '/');
	struct json *containers = json_array_new();

	for (size_t i = 0; i < json_count(definitions); i++) {
		char uuid[UUID_TEXT_SIZE];

		uuid_new(uuid);
		scoped(text_free) char *arn = cloud_arn(tasks->cloud, "ecs", "container/%s/%s/%s",
			slash ? slash + 1 : "default", task_id, uuid);

		json_append(containers,
			container_document(request, json_at(definitions, i), task_arn, arn));
	}
	return containers;
}

static struct json *targets_document(const struct task_request *request)
{
	struct json *targets = json_array_new();

	for (size_t i = 0; i < request->target_count; i++)
		json_append(targets,
			json_object_of("group", json_text_new(request->targets[i].group_arn),
				"port", json_int_new(request->targets[i].port), NULL));
	return targets;
}

static struct json *attachment_detail(const char *name, const char *value)
{
	return json_object_of("name", json_text_new(name), "value", json_text_new(value), NULL);
}

static struct json *attachments_document(const struct task_request *request, const char *task_id)
{
	const struct json *subnets =
		json_get(json_get(request->network, "awsvpcConfiguration"), "subnets");
	struct json *attachments = json_array_new(), *details = json_array_new();
	scoped(text_free) char *interface = memory_format("eni-%.17s", task_id);
	char uuid[UUID_TEXT_SIZE];

	uuid_new(uuid);
	json_append(details,
		attachment_detail("subnetId", json_text(json_at(subnets, 0), "subnet-local")));
	json_append(details, attachment_detail("networkInterfaceId", interface));
	json_append(attachments, json_object_of("id", json_text_new(uuid), "type",
					 json_text_new("ElasticNetworkInterface"), "status",
					 json_text_new("ATTACHED"), "details", details, NULL));
	return attachments;
}

static struct json *attributes_document(void)
{
	struct json *attributes = json_array_new();

	json_append(attributes, json_object_of("name", json_text_new("ecs.cpu-architecture"),
					"value", json_text_new("x86_64"), NULL));
	return attributes;
}

struct json *task_document_new(struct tasks *tasks, const struct task_request *request,
	const char *id, const char *arn)
{
	int64_t now_ms = clock_now(tasks->cloud->clock);
	const struct json *definition = request->definition;
	scoped(text_free) char *zone = memory_format("%sa", tasks->cloud->region);
	struct json *document = json_object_of("attachments", attachments_document(request, id),
		"attributes", attributes_document(), "availabilityZone", json_text_new(zone),
		"clusterArn", json_text_new(request->cluster_arn), "connectivity",
		json_text_new("CONNECTED"), "connectivityAt", time_new(now_ms), "containers",
		containers_document(tasks, request, id, arn), "cpu",
		json_copy(json_get(definition, "cpu")), "createdAt", time_new(now_ms),
		"desiredStatus", json_text_new("RUNNING"), "enableExecuteCommand",
		json_bool_new(false), "group", json_text_new(request->group), "healthStatus",
		json_text_new("UNKNOWN"), "lastStatus", json_text_new("PROVISIONING"), "launchType",
		json_text_new(request->launch_type), "memory",
		json_copy(json_get(definition, "memory")), "overrides",
		copy_or(request->overrides,
			json_object_of("containerOverrides", json_array_new(),
				"inferenceAcceleratorOverrides", json_array_new(), NULL)),
		"platformVersion", json_text_new("1.4.0"), "platformFamily", json_text_new("Linux"),
		"startedBy", request->started_by ? json_text_new(request->started_by) : NULL,
		"tags", copy_or(request->tags, json_array_new()), "taskArn", json_text_new(arn),
		"taskDefinitionArn", json_copy(json_get(definition, "taskDefinitionArn")),
		"version", json_int_new(0), "ephemeralStorage",
		json_object_of("sizeInGiB", json_int_new(20), NULL), NULL);

	json_set(document, "_targets", targets_document(request));
	if (request->service_arn)
		json_set_text(document, "_service", request->service_arn);
	if (request->revision_arn)
		json_set_text(document, "_revision", request->revision_arn);
	return document;
}

void task_write_address(struct task *task)
{
	const struct json *attachment = json_at(json_get(task->document, "attachments"), 0);
	struct json *details = json_get(attachment, "details");
	const struct json *containers = json_get(task->document, "containers");

	json_set_text(task->document, "_ip", task->place.ip);
	for (size_t i = json_count(details); i-- > 0;)
		if (text_equal(json_get_text(json_at(details, i), "name", ""),
			    "privateIPv4Address"))
			json_remove_at(details, i);
	json_append(details, attachment_detail("privateIPv4Address", task->place.ip));
	for (size_t i = 0; i < json_count(containers); i++) {
		struct json *interfaces = json_array_new();

		json_append(interfaces,
			json_object_of("attachmentId", json_copy(json_get(attachment, "id")),
				"privateIpv4Address", json_text_new(task->place.ip), NULL));
		json_set(json_at(containers, i), "networkInterfaces", interfaces);
	}
}
