#include "pipeline/cli/deploy_report.h"

#include "base/json_writer.h"
#include "base/memory.h"

static const char *text_of(const struct event *event, const char *key)
{
	return json_get_text(event->fields, key, "");
}

static void print_log(const struct json *lines)
{
	for (size_t i = 0; i < json_count(lines); i++)
		fprintf(stderr, "    | %s\n", json_text(json_at(lines, i), ""));
}

static void take(void *self, const struct event *event)
{
	(void)self;
	if (text_equal(event->name, "deploy.note")) {
		fprintf(stderr, "  %s: %s\n", text_of(event, "message"), text_of(event, "reason"));
	} else if (text_equal(event->name, "deploy.started")) {
		fprintf(stderr, "  deploying %s, strategy %s\n", text_of(event, "task_definition"),
			text_of(event, "strategy"));
	} else if (text_equal(event->name, "deploy.service_event")) {
		fprintf(stderr, "  ECS: %s\n", text_of(event, "message"));
	} else if (text_equal(event->name, "deploy.task_stopped")) {
		fprintf(stderr, "  task %.12s stopped: %s\n", text_of(event, "task"),
			text_of(event, "reason"));
		print_log(json_get(event->fields, "log"));
	}
}

void deploy_progress_start(struct event_sink *sink)
{
	*sink = (struct event_sink){.take = take};
	event_add_sink(sink);
}

static void write_json(struct command_context *context, const char *stage,
	const struct deploy_place *place, const char *commit, const struct deploy_result *result)
{
	struct json_writer w = json_writer_start(&context->result);
	bool good = verdict_error_kind(result->verdict) == ERROR_NONE;

	json_object_begin(&w);
	json_put_text(&w, "stage", stage);
	json_put_text(&w, "status",
		result->verdict == VERDICT_NONE ? "started"
		: good                          ? "done"
						: "failed");
	json_put_text(&w, "service", place->service);
	json_put_text(&w, "commit", commit);
	json_put_time(&w, "started_at", result->started_ms);
	json_put_int(&w, "duration_ms", result->duration_ms);
	json_put_text(&w, "environment", place->environment);
	json_put_text(&w, "strategy", result->strategy);
	json_put_text(&w, "task_definition", result->task_definition);
	json_put_text(&w, "deployment_id", result->deployment_id);
	json_put_text(&w, "image", result->image);
	json_put_text(&w, "verdict", verdict_name(result->verdict));
	json_put_bool(&w, "changed", !result->nothing_to_do);
	json_put_text(&w, "cause", result->cause);
	json_put_value(&w, "events", result->events);
	json_put_value(&w, "tasks", result->tasks);
	json_put_value(&w, "checks", result->checks);
	json_object_end(&w);
}

static void print(const struct deploy_place *place, const struct deploy_result *result)
{
	char took[TIME_TEXT_SIZE];

	duration_to_text(result->duration_ms, took);
	if (result->nothing_to_do)
		printf("%s on %s: nothing to do, it runs %s\n", place->service, place->environment,
			result->image ? result->image : result->task_definition);
	else if (result->verdict == VERDICT_NONE)
		printf("%s on %s: begun as %s\n", place->service, place->environment,
			result->deployment_id ? result->deployment_id : "?");
	else
		printf("%s on %s: %s in %s\n%s\n", place->service, place->environment,
			verdict_name(result->verdict), took,
			result->task_definition ? result->task_definition : "");
}

/* The task whose log explains the verdict. */
static const char *guilty_task(const struct deploy_result *result)
{
	for (size_t i = 0; i < json_count(result->tasks); i++)
		if (json_count(json_get(json_at(result->tasks, i), "log")))
			return json_get_text(json_at(result->tasks, i), "task", NULL);
	return NULL;
}

static bool raise_verdict(const char *stage, const struct deploy_place *place,
	const struct deploy_result *result, struct error *err)
{
	const char *task = guilty_task(result);
	const char *digest = result->image ? strrchr(result->image, '@') : NULL;

	error_raise(err, verdict_error_kind(result->verdict), "%s",
		result->cause ? result->cause : verdict_name(result->verdict));
	error_while(err, "%s %s%.20s to %s, strategy %s: %s",
		text_equal(stage, "rollback") ? "rolling back" : "deploying", place->service,
		digest ? digest : "", place->environment,
		result->strategy ? result->strategy : "unknown", verdict_name(result->verdict));
	if (task)
		return error_next(err,
			"read the task's own log: dogshore logs %s --env %s --task %s",
			place->service, place->environment, task);
	return error_next(err, "see what runs now: dogshore status %s --env %s", place->service,
		place->environment);
}

bool deploy_report(struct command_context *context, const char *stage,
	const struct deploy_place *place, const char *commit, const struct deploy_result *result,
	struct error *err)
{
	/* Told to go back, being back is a good end. */
	bool good = result->verdict == VERDICT_NONE || result->verdict == VERDICT_DEPLOYED ||
		    (text_equal(stage, "rollback") && result->verdict == VERDICT_ROLLED_BACK);

	if (context->json)
		write_json(context, stage, place, commit, result);
	if (!good)
		return raise_verdict(stage, place, result, err);
	if (!context->json)
		print(place, result);
	return true;
}
