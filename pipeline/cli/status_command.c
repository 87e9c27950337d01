#include "base/memory.h"
#include "pipeline/cli/deploy_target.h"

static struct deploy_flags flags;

static const struct option_row rows[] = {DEPLOY_FLAG_ROWS(flags)};

static const struct option_set options = {
	.usage = "status [SERVICE] --env E",
	.about = "what runs where, and how the last deployment went",
	.rows = rows,
	.count = countof(rows),
	.word_min = 0,
	.word_max = 1,
};

static void print_task(const struct json *task)
{
	const char *health = json_get_text(task, "health", "UNKNOWN");

	printf("  task %.12s  %s%s%s\n", json_get_text(task, "task", "?"),
		json_get_text(task, "status", "?"), text_equal(health, "UNKNOWN") ? "" : "  ",
		text_equal(health, "UNKNOWN") ? "" : health);
}

static void print_status(const struct json *status)
{
	const struct json *deployment = json_get(status, "deployment");
	const struct json *images = json_get(status, "images"), *tasks = json_get(status, "tasks");
	const char *reason = json_get_text(deployment, "reason", "");

	printf("%s on %s: %s, %lld of %lld running\n", json_get_text(status, "service", "?"),
		json_get_text(status, "environment", "?"), json_get_text(status, "status", "?"),
		(long long)json_get_int(status, "running", 0),
		(long long)json_get_int(status, "desired", 0));
	for (size_t i = 0; i < json_count(images); i++)
		printf("  image %s\n", json_text(json_at(images, i), "?"));
	if (deployment)
		printf("  deployment %s%s%s\n", json_get_text(deployment, "status", "?"),
			*reason ? ": " : "", reason);
	for (size_t i = 0; i < json_count(tasks); i++)
		print_task(json_at(tasks, i));
}

/* A service that was never deployed is no error when all are asked for. */
static bool add_status(struct deploy_target *target, const struct project_service *service,
	bool only_one, struct json *list, struct error *err)
{
	scoped(text_free) char *name = NULL;
	struct json *status = NULL;
	struct deploy_place place;
	struct error why = {0};

	if (!deploy_target_place(target, service, &place, &name, err))
		return false;
	if (ecs_status(&place, &status, &why)) {
		json_append(list, status);
		return true;
	}
	if (why.kind != ERROR_NOT_FOUND || only_one) {
		error_move(err, &why);
		return false;
	}
	error_ignore(&why, "it is listed as absent");
	json_append(list, json_object_of("service", json_text_new(service->name), "environment",
				  json_text_new(target->environment->name), "status",
				  json_text_new("ABSENT"), NULL));
	return true;
}

static bool collect(struct deploy_target *target, const char *name, struct json *list,
	struct error *err)
{
	const struct project_services *services = &target->current->services;

	if (name) {
		const struct project_service *one = deploy_target_service(target, name, err);

		return one && add_status(target, one, true, list, err);
	}
	for (size_t i = 0; i < services->count; i++)
		if (services->items[i].deploy.given &&
			!add_status(target, &services->items[i], false, list, err))
			return false;
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(deploy_target_free) struct deploy_target target = {0};
	scoped(json_free) struct json *list = json_array_new();
	const char *name = context->words.count ? context->words.items[0] : NULL;

	if (!deploy_target_open(&target, &flags, context, err) ||
		!collect(&target, name, list, err))
		return false;
	if (context->json) {
		scoped(json_free) struct json *document =
			name ? json_keep(json_at(list, 0))
			     : json_object_of("environment",
				       json_text_new(target.environment->name), "services",
				       json_keep(list), NULL);

		json_write(document, &context->result);
		return true;
	}
	for (size_t i = 0; i < json_count(list); i++)
		print_status(json_at(list, i));
	return true;
}

const struct command status_command = {"status", &options, run, false};
