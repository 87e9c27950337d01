#include "deployers/local/bundle.h"
#include "deployers/local/ecs_internal.h"

#include <ctype.h>

static const char client[] = "ClientException";

static bool valid_name(const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return size > 0 && size <= 255;
}

/* cpu -> the memory values Fargate allows, in MiB: from, to, step. */
static const struct {
	int cpu, from, to, step;
} fargate[] = {
	{256, 512, 512, 512},
	{256, 1024, 2048, 1024},
	{512, 1024, 4096, 1024},
	{1024, 2048, 8192, 1024},
	{2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024},
	{8192, 16384, 61440, 4096},
	{16384, 32768, 122880, 8192},
};

static bool fargate_size(int64_t cpu, int64_t memory)
{
	for (size_t i = 0; i < countof(fargate); i++)
		if (fargate[i].cpu == cpu && memory >= fargate[i].from && memory <= fargate[i].to &&
			(memory - fargate[i].from) % fargate[i].step == 0)
			return true;
	return false;
}

static bool wants_fargate(const struct json *input)
{
	const struct json *list = json_get(input, "requiresCompatibilities");

	for (size_t i = 0; i < json_count(list); i++)
		if (text_equal(json_text(json_at(list, i), ""), "FARGATE"))
			return true;
	return false;
}

static bool check_sizes(const struct json *input, struct refusal *refusal)
{
	int64_t cpu, memory;

	if (!bundle_cpu_units(json_get(input, "cpu"), &cpu))
		return refuse(refusal, 400, client, "Invalid 'cpu' setting for task.");
	if (!bundle_memory_mib(json_get(input, "memory"), &memory))
		return refuse(refusal, 400, client, "Invalid 'memory' setting for task.");
	if (!wants_fargate(input))
		return true;
	if (!text_equal(json_get_text(input, "networkMode", ""), "awsvpc"))
		return refuse(refusal, 400, client, "Fargate only supports network mode 'awsvpc'.");
	if (!cpu || !memory)
		return refuse(refusal, 400, client,
			"Fargate requires that 'cpu' and 'memory' be defined at the task level.");
	if (!fargate_size(cpu, memory))
		return refuse(refusal, 400, client,
			"No Fargate configuration exists for given "
			"values: %lld CPU, %lld memory.",
			(long long)cpu, (long long)memory);
	return true;
}

static bool check_container(const struct json *input, const struct json *container,
	struct refusal *refusal)
{
	const char *name = json_get_text(container, "name", "");
	int64_t memory, task_memory;

	if (!valid_name(name))
		return refuse(refusal, 400, client,
			"Container.name should match [a-zA-Z0-9-_]{1,255}, is \"%s\".", name);
	if (!*json_get_text(container, "image", ""))
		return refuse(refusal, 400, client, "Container.image should not be null or empty.");
	if (!bundle_memory_mib(json_get(container, "memory"), &memory) ||
		!bundle_memory_mib(json_get(input, "memory"), &task_memory))
		return refuse(refusal, 400, client, "Invalid 'memory' setting for container '%s'.",
			name);
	if (!memory && !task_memory && !json_get(container, "memoryReservation"))
		return refuse(refusal, 400, client,
			"Invalid setting for container '%s'. At least one of 'memory' or "
			"'memoryReservation' must be specified.",
			name);
	if (task_memory && memory > task_memory)
		return refuse(refusal, 400, client,
			"Invalid setting for container '%s': its 'memory' is more than the task's.",
			name);
	return true;
}

static bool check_definition(const struct json *input, struct refusal *refusal)
{
	const struct json *containers = json_get(input, "containerDefinitions");
	bool essential = false;

	if (!valid_name(json_get_text(input, "family", "")))
		return refuse(refusal, 400, client, "Family contains invalid characters.");
	if (!json_is_array(containers) || !json_count(containers))
		return refuse(refusal, 400, client, "Container list cannot be empty.");
	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *container = json_at(containers, i);

		if (!check_container(input, container, refusal))
			return false;
		essential |= json_get_bool(container, "essential", true);
		for (size_t j = 0; j < i; j++)
			if (text_equal(json_get_text(container, "name", NULL),
				    json_get_text(json_at(containers, j), "name", NULL)))
				return refuse(refusal, 400, client,
					"Container.name should be unique, \"%s\" is there twice.",
					json_get_text(container, "name", ""));
	}
	if (!essential)
		return refuse(refusal, 400, client,
			"A task must have at least one essential container.");
	return check_sizes(input, refusal);
}

static void fill_array(struct json *object, const char *key)
{
	if (!json_get(object, key))
		json_set(object, key, json_array_new());
}

/* What ECS writes where the caller wrote nothing. */
static void fill_container(struct json *container, bool awsvpc)
{
	const struct json *ports = json_get(container, "portMappings");

	if (!json_get(container, "cpu"))
		json_set_int(container, "cpu", 0);
	if (!json_get(container, "essential"))
		json_set_bool(container, "essential", true);
	fill_array(container, "portMappings");
	fill_array(container, "environment");
	fill_array(container, "mountPoints");
	fill_array(container, "volumesFrom");
	fill_array(container, "systemControls");
	for (size_t i = 0; i < json_count(ports); i++) {
		struct json *port = json_at(ports, i);

		if (!json_get(port, "protocol"))
			json_set_text(port, "protocol", "tcp");
		if (!json_get(port, "hostPort"))
			json_set_int(port, "hostPort",
				awsvpc ? json_get_int(port, "containerPort", 0) : 0);
	}
}

static struct json *definition_new(struct cloud *cloud, const struct json *input)
{
	const char *family = json_get_text(input, "family", "");
	struct json *definition = json_copy(input);
	const struct json *containers = json_get(definition, "containerDefinitions");
	bool awsvpc = text_equal(json_get_text(input, "networkMode", ""), "awsvpc");
	scoped(text_free) char *sequence = memory_format("ecs.family.%s", family);
	int64_t revision = store_next_number(cloud->store, sequence);
	scoped(text_free) char *arn =
		cloud_arn(cloud, "ecs", "task-definition/%s:%lld", family, (long long)revision);
	struct json *compatibilities = json_array_new();

	for (size_t i = 0; i < json_count(containers); i++)
		fill_container(json_at(containers, i), awsvpc);
	fill_array(definition, "volumes");
	fill_array(definition, "placementConstraints");
	fill_array(definition, "tags");
	json_append(compatibilities, json_text_new("EC2"));
	if (awsvpc)
		json_append(compatibilities, json_text_new("FARGATE"));
	json_set(definition, "compatibilities", compatibilities);
	fill_array(definition, "requiresAttributes");
	json_set_text(definition, "taskDefinitionArn", arn);
	json_set_int(definition, "revision", revision);
	json_set_text(definition, "status", "ACTIVE");
	json_set(definition, "registeredAt", ecs_now(cloud));
	json_set(definition, "registeredBy",
		json_text_format("arn:aws:iam::%s:root", cloud->account));
	return definition;
}

static struct json *definition_output(const struct json *definition, bool tags)
{
	const struct json *all = json_get(definition, "tags");

	return json_object_of("taskDefinition", ecs_public(definition, false), "tags",
		tags ? json_copy(all) : NULL, NULL);
}

bool ecs_register_task_definition(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	if (!check_definition(input, refusal))
		return false;
	struct json *definition = definition_new(cloud, input);
	scoped(text_free) char *arn =
		memory_copy_text(json_get_text(definition, "taskDefinitionArn", ""));

	*out_output = definition_output(definition, json_count(json_get(input, "tags")) > 0);
	return ecs_put(cloud, "ecs.task_definition", arn, definition, refusal);
}

bool ecs_describe_task_definition(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *name = input_text(input, "taskDefinition", client, refusal);
	const struct json *definition = name ? task_definition_of(cloud, name, refusal) : NULL;

	if (!definition)
		return false;
	*out_output = definition_output(definition, ecs_includes(input, "TAGS"));
	return true;
}

struct listing {
	const char *prefix, *status; /* NULL: any */
	bool exact;
	struct strings found;
};

static bool list_definition(void *context, const char *id, const struct json *definition)
{
	struct listing *listing = context;
	const char *family = json_get_text(definition, "family", "");

	if (text_equal(json_get_text(definition, "status", ""), listing->status) &&
		(!listing->prefix || text_equal(family, listing->prefix)))
		strings_add(&listing->found, id);
	return true;
}

static bool page_out(const struct json *input, const char *name, const struct strings *found,
	bool descending, struct json **out_output, struct refusal *refusal)
{
	struct json *arns = json_array_new();
	int64_t limit;
	size_t from;

	for (size_t i = 0; i < found->count; i++)
		json_append(arns,
			json_text_new(found->items[descending ? found->count - 1 - i : i]));
	if (!input_int(input, "maxResults", 1, 100, 100, client, &limit, refusal) ||
		!input_page(input, "nextToken", client, &from, refusal)) {
		json_free(&arns);
		return false;
	}
	*out_output = json_object_new();
	output_page(*out_output, name, arns, from, (size_t)limit, "nextToken");
	return true;
}

bool ecs_list_task_definitions(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	struct listing listing = {.prefix = json_get_text(input, "familyPrefix", NULL),
		.status = json_get_text(input, "status", "ACTIVE")};
	bool descending = text_equal(json_get_text(input, "sort", "ASC"), "DESC");

	store_each(cloud->store, "ecs.task_definition", list_definition, &listing);
	bool paged = page_out(input, "taskDefinitionArns", &listing.found, descending, out_output,
		refusal);

	strings_free(&listing.found);
	return paged;
}

static bool list_family(void *context, const char *id, const struct json *definition)
{
	struct listing *listing = context;
	const char *family = json_get_text(definition, "family", "");

	(void)id;
	if ((!listing->status ||
		    text_equal(json_get_text(definition, "status", ""), listing->status)) &&
		(!listing->prefix || text_starts_with(family, listing->prefix)) &&
		!strings_contain(&listing->found, family))
		strings_add(&listing->found, family);
	return true;
}

bool ecs_list_task_definition_families(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	struct listing listing = {.prefix = json_get_text(input, "familyPrefix", NULL),
		.status = json_get_text(input, "status", "ACTIVE")};

	if (text_equal(listing.status, "ALL"))
		listing.status = NULL;
	store_each(cloud->store, "ecs.task_definition", list_family, &listing);
	strings_sort(&listing.found);
	bool paged = page_out(input, "families", &listing.found, false, out_output, refusal);

	strings_free(&listing.found);
	return paged;
}

bool ecs_deregister_task_definition(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *name = input_text(input, "taskDefinition", client, refusal);

	if (!name)
		return false;
	if (!strchr(name, ':'))
		return refuse(refusal, 400, client, "Invalid revision number. Number: null");
	const struct json *definition = task_definition_of(cloud, name, refusal);

	if (!definition)
		return false;
	struct json *changed = json_copy(definition);
	scoped(text_free) char *arn =
		memory_copy_text(json_get_text(changed, "taskDefinitionArn", ""));

	json_set_text(changed, "status", "INACTIVE");
	json_set(changed, "deregisteredAt", ecs_now(cloud));
	*out_output = definition_output(changed, false);
	return ecs_put(cloud, "ecs.task_definition", arn, changed, refusal);
}

enum { DELETE_AT_ONCE = 10 };

bool ecs_delete_task_definitions(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const struct json *names = json_get(input, "taskDefinitions");
	struct json *deleted = json_array_new(), *failures = json_array_new();

	if (json_count(names) > DELETE_AT_ONCE || !json_count(names)) {
		json_free(&deleted);
		json_free(&failures);
		return refuse(refusal, 400, "InvalidParameterException",
			"taskDefinitions must have 1 to %d entries.", DELETE_AT_ONCE);
	}
	for (size_t i = 0; i < json_count(names); i++) {
		const char *name = json_text(json_at(names, i), "");
		struct refusal missing = {0};
		const struct json *definition = task_definition_of(cloud, name, &missing);

		refusal_free(&missing);
		if (!definition ||
			!text_equal(json_get_text(definition, "status", ""), "INACTIVE")) {
			struct json *failure =
				ecs_failure(name, definition ? "INVALID" : "MISSING");

			if (definition)
				json_set_text(failure, "detail",
					"The task definition is still in ACTIVE status. Please "
					"deregister it first.");
			json_append(failures, failure);
			continue;
		}
		struct json *changed = json_copy(definition);
		scoped(text_free) char *arn =
			memory_copy_text(json_get_text(changed, "taskDefinitionArn", ""));

		/* Running tasks and revisions may still need it: it stays, as it does on AWS. */
		json_set_text(changed, "status", "DELETE_IN_PROGRESS");
		json_set(changed, "deleteRequestedAt", ecs_now(cloud));
		json_append(deleted, ecs_public(changed, false));
		if (!ecs_put(cloud, "ecs.task_definition", arn, changed, refusal)) {
			json_free(&deleted);
			json_free(&failures);
			return false;
		}
	}
	*out_output = json_object_of("taskDefinitions", deleted, "failures", failures, NULL);
	return true;
}
