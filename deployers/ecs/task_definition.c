#include "deployers/ecs/task_definition.h"

#include "base/memory.h"

#include <stdlib.h>

static const char *const answer_only[] = {"taskDefinitionArn", "revision", "status",
	"requiresAttributes", "compatibilities", "registeredAt", "deregisteredAt",
	"deleteRequestedAt", "registeredBy"};

static void drop_answer_only(struct json *definition)
{
	for (size_t i = 0; i < countof(answer_only); i++)
		json_remove(definition, answer_only[i]);
}

struct json *definition_of_answer(const struct json *answer)
{
	struct json *definition = json_copy(json_get(answer, "taskDefinition"));
	const struct json *tags = json_get(answer, "tags");
	struct json *kept = json_array_new();

	if (!definition)
		definition = json_object_new();
	drop_answer_only(definition);
	for (size_t i = 0; i < json_count(tags); i++) {
		const struct json *tag = json_at(tags, i);

		if (!text_starts_with(json_get_text(tag, "key", ""), "aws:"))
			json_append(kept, json_copy(tag));
	}
	if (json_count(kept))
		json_set(definition, "tags", json_keep(kept));
	json_free(&kept);
	return definition;
}

bool definition_set_image(struct json *definition, const char *service, const char *image,
	struct error *err)
{
	struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++) {
		struct json *container = json_at(containers, i);

		if (json_count(containers) > 1 &&
			!text_equal(json_get_text(container, "name", ""), service))
			continue;
		json_set_text(container, "image", image);
		return true;
	}
	error_raise(err, ERROR_USAGE,
		"the task definition has %zu containers, none named \"%s\": which one gets the "
		"image?",
		json_count(containers), service);
	return error_next(err, "write \"image\": \"${image}\" in the container that gets it");
}

bool definition_has_image(const struct json *definition, const char *image)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++)
		if (text_equal(json_get_text(json_at(containers, i), "image", ""), image))
			return true;
	return false;
}

bool definition_check(const struct json *definition, const char *file, struct error *err)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	if (!json_is_object(definition))
		return error_raise(err, ERROR_USAGE, "%s: a task definition is a JSON object",
			file);
	if (!json_get_text(definition, "family", NULL))
		return error_raise(err, ERROR_USAGE, "%s: \"family\" is missing", file);
	if (!json_is_array(containers) || json_count(containers) == 0)
		return error_raise(err, ERROR_USAGE,
			"%s: \"containerDefinitions\" is missing or empty", file);
	for (size_t i = 0; i < json_count(containers); i++)
		if (!json_get_text(json_at(containers, i), "name", NULL))
			return error_raise(err, ERROR_USAGE, "%s: container %zu has no \"name\"",
				file, i + 1);
	return true;
}

/* Defaults that ECS writes into its answers: a member with this value is as good as none. */
static const struct {
	const char *key;
	const char *text; /* NULL: then number or flag */
	int64_t number;
	enum json_kind kind;
} defaults[] = {
	{"cpu", NULL, 0, JSON_INT},
	{"essential", NULL, true, JSON_BOOL},
	{"hostPort", NULL, 0, JSON_INT},
	{"protocol", "tcp", 0, JSON_TEXT},
	{"interval", NULL, 30, JSON_INT},
	{"timeout", NULL, 5, JSON_INT},
	{"retries", NULL, 3, JSON_INT},
	{"enableFaultInjection", NULL, false, JSON_BOOL},
	{"privileged", NULL, false, JSON_BOOL},
	{"readonlyRootFilesystem", NULL, false, JSON_BOOL},
	{"versionConsistency", "enabled", 0, JSON_TEXT},
};

static bool is_default(const char *key, const struct json *value)
{
	enum json_kind kind = json_kind(value);

	if (kind == JSON_NULL)
		return true;
	if (kind == JSON_ARRAY || kind == JSON_OBJECT)
		return json_count(value) == 0;
	for (size_t i = 0; i < countof(defaults); i++) {
		if (defaults[i].kind != kind || !text_equal(defaults[i].key, key))
			continue;
		if (kind == JSON_TEXT)
			return text_equal(json_text(value, ""), defaults[i].text);
		if (kind == JSON_BOOL)
			return json_bool(value, false) == (defaults[i].number != 0);
		return json_int(value, -1) == defaults[i].number;
	}
	return false;
}

/* Lists whose order means nothing, and the member their items are sorted by (NULL: plain texts). */
static const struct {
	const char *key, *by;
} unordered[] = {
	{"environment", "name"},
	{"secrets", "name"},
	{"tags", "key"},
	{"requiresCompatibilities", NULL},
	{"ulimits", "name"},
};

struct sorted {
	char *key; /* owned */
	struct json *value;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct sorted *)a)->key, ((const struct sorted *)b)->key);
}

static struct json *sort_items(struct json *array, const char *by)
{
	size_t count = json_count(array);
	struct sorted *rows = memory_new_array(count, sizeof(*rows));
	struct json *result = json_array_new();

	for (size_t i = 0; i < count; i++) {
		struct json *item = json_at(array, i);
		const char *key = by ? json_get_text(item, by, "") : json_text(item, "");

		rows[i] = (struct sorted){memory_copy_text(key), json_keep(item)};
	}
	qsort(rows, count, sizeof(*rows), by_key);
	for (size_t i = 0; i < count; i++) {
		json_append(result, rows[i].value);
		free(rows[i].key);
	}
	free(rows);
	json_free(&array);
	return result;
}

static struct json *normalised(const char *key, const struct json *value);

static struct json *normalised_object(const struct json *object)
{
	struct json *result = json_object_new();
	int64_t container_port = json_get_int(object, "containerPort", -1);

	for (json_each(member, object)) {
		struct json *value = normalised(member.key, member.value);
		/* With awsvpc ECS repeats the container's port as the host's. */
		bool same_port =
			text_equal(member.key, "hostPort") && json_int(value, -2) == container_port;

		if (same_port || is_default(member.key, value))
			json_free(&value);
		else
			json_set(result, member.key, value);
	}
	return result;
}

static struct json *normalised(const char *key, const struct json *value)
{
	if (json_is_object(value))
		return normalised_object(value);
	if (!json_is_array(value))
		return json_keep(value);
	struct json *result = json_array_new();

	for (size_t i = 0; i < json_count(value); i++)
		json_append(result, normalised("", json_at(value, i)));
	for (size_t i = 0; i < countof(unordered); i++)
		if (text_equal(unordered[i].key, key))
			return sort_items(result, unordered[i].by);
	return result;
}

/* The task's own cpu and memory are texts in answers; files may have numbers. */
static void number_to_text(struct json *definition, const char *key)
{
	const struct json *value = json_get(definition, key);

	if (json_kind(value) == JSON_INT)
		json_set(definition, key, json_text_format("%lld", (long long)json_int(value, 0)));
}

struct json *definition_normalise(const struct json *definition)
{
	scoped(json_free) struct json *copy = json_copy(definition);

	drop_answer_only(copy);
	number_to_text(copy, "cpu");
	number_to_text(copy, "memory");
	return normalised_object(copy);
}

bool definition_equal(const struct json *a, const struct json *b)
{
	scoped(json_free) struct json *x = definition_normalise(a), *y = definition_normalise(b);

	return json_equal(x, y);
}
