#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/task_definition.h"

bool deployment_read_definition(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *answer = NULL;

	if (!deployment->task_definition)
		return true;
	if (!call_describe_definition(deployment->place, deployment->task_definition, &answer, err))
		return false;
	deployment->definition = definition_of_answer(answer);
	const struct json *first =
		json_at(json_get(deployment->definition, "containerDefinitions"), 0);

	deployment->result->image = memory_copy_text(json_get_text(first, "image", NULL));
	return true;
}

bool deployment_find_previous(const struct deployment *deployment, const struct json *list,
	const char *than, char **out_task_definition, struct error *err)
{
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *row = json_at(list, i);
		scoped(text_free) char *runs = NULL;

		if (!text_equal(json_get_text(row, "status", ""), "SUCCESSFUL"))
			continue;
		if (!call_revision_task_definition(deployment->place,
			    json_get_text(row, "targetServiceRevisionArn", ""), &runs, err))
			return false;
		if (!runs || text_equal(runs, than))
			continue;
		*out_task_definition = runs;
		runs = NULL;
		return true;
	}
	return error_raise(err, ERROR_NOT_FOUND,
		"%s has no earlier successful deployment to go back to",
		place_service(deployment->place));
}

static bool start_previous(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *input =
		json_object_of("cluster", json_text_new(deployment->place->cluster), "service",
			json_text_new(place_service(deployment->place)), "taskDefinition",
			json_text_new(deployment->task_definition), NULL);
	bool changed = false;

	deployment_note("deploying the last version that was good", deployment->task_definition);
	return deployment_update(deployment, input, &changed, err);
}

bool deployment_go_back(struct deployment *deployment, char *task_definition, struct error *err)
{
	text_free(&deployment->task_definition);
	text_free(&deployment->number);
	text_free(&deployment->arn);
	deployment->task_definition = task_definition;
	return deployment_read_definition(deployment, err) && start_previous(deployment, err) &&
	       deployment_follow(deployment, err);
}

/* The way back: a deployment of its own, with a result of its own. */
struct way_back {
	struct deployment deployment;
	struct deploy_result result;
};

static void way_back_free(struct way_back *way)
{
	deployment_free(&way->deployment);
	deploy_result_free(&way->result);
}

static void way_back_start(struct way_back *way, struct deployment *forth)
{
	way->deployment = (struct deployment){
		.request = forth->request,
		.place = forth->place,
		.journal = forth->journal,
		.result = &way->result,
		.timeout_ms = forth->timeout_ms,
		.undoes = forth->undoes,
		.event_ids = forth->event_ids,
	};
	forth->undoes = NULL;
	forth->event_ids = (struct strings){0};
	deployment_start_result(&way->deployment);
}

/* What serves is the old version now; what it is about stays the new one. */
static void conclude(struct deployment *forth, struct way_back *way, const char *cause)
{
	struct deploy_result *result = forth->result, *back = &way->result;
	bool is_back = back->verdict == VERDICT_DEPLOYED;

	text_free(&result->cause);
	result->cause = is_back ? memory_copy_text(cause)
				: memory_format("%s; going back did not succeed: %s", cause,
					  back->cause ? back->cause : "");
	switch (back->verdict) {
	case VERDICT_DEPLOYED:
		result->verdict = VERDICT_ROLLED_BACK;
		break;
	case VERDICT_SUPERSEDED:
	case VERDICT_UNKNOWN:
		result->verdict = back->verdict;
		break;
	case VERDICT_NONE:
	case VERDICT_FAILED:
	case VERDICT_ROLLED_BACK: /* by the cloud: to the version that failed its checks */
	case VERDICT_TIMED_OUT:
		result->verdict = VERDICT_FAILED;
		break;
	}
	for (size_t i = 0; i < json_count(back->events); i++)
		json_append(result->events, json_copy(json_at(back->events, i)));
	json_free(&result->tasks);
	result->tasks = back->tasks;
	back->tasks = NULL;
}

/* Somebody deployed meanwhile: what runs now is not ours to take back. */
static bool is_superseded(const struct json *service, const char *number)
{
	const char *id = json_get_text(primary_deployment(service), "id", NULL);

	return !service || (number && id && !text_equal(id_number(id), number));
}

static void supersede(struct deployment *deployment, const char *cause)
{
	deployment->result->verdict = VERDICT_SUPERSEDED;
	deployment->result->cause =
		memory_format("%s; a newer deployment of the service began", cause);
}

/*
 * Where to go back to: the last deployment that ended well with another task definition. Where
 * deployments may not be read it is what ran before, when that had come to a good end.
 */
static bool choose_previous(struct deployment *deployment, char **out_previous, struct error *err)
{
	scoped(json_free) struct json *list = NULL;
	const struct json *before = primary_deployment(deployment->running);
	const char *runs = json_get_text(before, "taskDefinition", NULL);
	struct error why = {0};

	if (call_list_deployments(deployment->place, &list, &why) &&
		deployment_find_previous(deployment, list, deployment->task_definition,
			out_previous, &why))
		return true;
	if (why.kind != ERROR_NOT_FOUND && why.kind != ERROR_DENIED) {
		error_move(err, &why);
		return false;
	}
	error_ignore(&why, "what ran before may do");
	if (runs && !text_equal(runs, deployment->task_definition) &&
		text_equal(json_get_text(before, "rolloutState", ""), "COMPLETED"))
		*out_previous = memory_copy_text(runs);
	return true;
}

bool deployment_undo(struct deployment *deployment, const char *cause, struct error *err)
{
	scoped(way_back_free) struct way_back way = {0};
	scoped(json_free) struct json *service = NULL;
	char *previous = NULL;

	if (!call_describe_service(deployment->place, &service, err))
		return false;
	if (is_superseded(service, deployment->number)) {
		supersede(deployment, cause);
		return true;
	}
	if (!choose_previous(deployment, &previous, err))
		return false;
	if (!previous) {
		deployment_note("not going back", "there is no earlier successful deployment");
		deployment->result->verdict = VERDICT_FAILED;
		deployment->result->cause = memory_copy_text(cause);
		return true;
	}
	deployment_note("going back to the version before", cause);
	deployment->undoes =
		json_object_of("task_definition", json_text_new(deployment->task_definition),
			"deployment", json_text_new(deployment->number), "service_deployment",
			json_text_new(deployment->arn), "cause", json_text_new(cause), NULL);
	way_back_start(&way, deployment);
	way.deployment.running = service;
	service = NULL;
	if (!deployment_go_back(&way.deployment, previous, err))
		return error_while(err, "going back because %s", cause);
	conclude(deployment, &way, cause);
	return true;
}

/* The deployment that was begun: its names are those of the way back until now. */
static void hand_over(struct deployment *forth, struct deployment *back)
{
	back->task_definition = forth->task_definition;
	back->number = forth->number;
	back->arn = forth->arn;
	forth->task_definition =
		memory_copy_text(json_get_text(back->undoes, "task_definition", NULL));
	forth->number = memory_copy_text(json_get_text(back->undoes, "deployment", NULL));
	forth->arn = memory_copy_text(json_get_text(back->undoes, "service_deployment", NULL));
}

bool deployment_undo_again(struct deployment *deployment, struct error *err)
{
	scoped(way_back_free) struct way_back way = {0};
	scoped(text_free) char *cause =
		memory_copy_text(json_get_text(deployment->undoes, "cause", "a check had failed"));

	deployment_note("going back to the version before", "an earlier try was about to");
	way_back_start(&way, deployment);
	hand_over(deployment, &way.deployment);
	deployment->acted = true;
	if (!deployment_read_definition(&way.deployment, err))
		return false;
	if (!way.deployment.arn) {
		if (!call_describe_service(deployment->place, &way.deployment.running, err))
			return false;
		if (is_superseded(way.deployment.running, deployment->number)) {
			supersede(deployment, cause);
			return true;
		}
		if (!start_previous(&way.deployment, err))
			return false;
	}
	if (!deployment_follow(&way.deployment, err))
		return false;
	conclude(deployment, &way, cause);
	return true;
}
