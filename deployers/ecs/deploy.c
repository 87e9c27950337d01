#include "base/event.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"

#include <stdlib.h>

void deploy_result_free(struct deploy_result *result)
{
	free(result->cause);
	free(result->strategy);
	free(result->task_definition);
	free(result->deployment_id);
	free(result->image);
	json_free(&result->events);
	json_free(&result->tasks);
	json_free(&result->checks);
	*result = (struct deploy_result){0};
}

void deployment_free(struct deployment *deployment)
{
	provisioned_free(&deployment->provisioned);
	json_free(&deployment->definition);
	json_free(&deployment->service);
	json_free(&deployment->running);
	free(deployment->task_definition);
	free(deployment->number);
	free(deployment->arn);
	free(deployment->balancer);
	json_free(&deployment->undoes);
	diagnosis_free(&deployment->diagnosis);
	strings_free(&deployment->event_ids);
	*deployment = (struct deployment){0};
}

void deployment_start_result(struct deployment *deployment)
{
	*deployment->result = (struct deploy_result){
		.events = json_array_new(),
		.tasks = json_array_new(),
		.checks = json_array_new(),
		.started_ms = clock_now(deployment->place->clock),
	};
}

/* Events from before are known, so that only news are told. */
static void know_events(struct deployment *deployment)
{
	const struct json *events = json_get(deployment->running, "events");

	for (size_t i = 0; i < json_count(events); i++)
		strings_add(&deployment->event_ids, json_get_text(json_at(events, i), "id", ""));
}

static bool end(struct deployment *deployment, bool ok, struct error *err)
{
	struct deploy_result *result = deployment->result;

	result->duration_ms = clock_now(deployment->place->clock) - result->started_ms;
	result->task_definition = memory_copy_text(deployment->task_definition);
	if (deployment->arn)
		result->deployment_id = memory_copy_text(deployment->arn);
	else if (deployment->number)
		result->deployment_id = memory_format("ecs-svc/%s", deployment->number);
	if (ok) {
		event_emit("deploy.verdict",
			json_object_of("service", json_text_new(deployment->place->service),
				"verdict", json_text_new(verdict_name(result->verdict)), "reason",
				json_text_new(result->cause), NULL));
		return true;
	}
	/* Once the service was told to change, no error of ours says how it ended. */
	if (deployment->acted && err && err->kind != ERROR_CANCELLED)
		err->kind = ERROR_UNKNOWN;
	deploy_result_free(result);
	return error_while(err, "deploying %s to %s", deployment->place->service,
		deployment->place->environment);
}

/* The service runs this already: what serves is said, nothing is changed. */
static bool conclude_unchanged(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *tasks = NULL;
	int right, wrong;

	deployment->result->verdict = VERDICT_DEPLOYED;
	deployment_note("nothing to do", "the service runs this image and this definition");
	if (!deployment_count_tasks(deployment, &tasks, &right, &wrong, err))
		return false;
	for (size_t i = 0; i < json_count(tasks); i++)
		json_append(deployment->result->tasks, diagnosis_summary(json_at(tasks, i)));
	return true;
}

/* Registering is the one call that is not repeated when its answer is lost: looking again shows
 * whether it arrived. */
static bool choose_revision(struct deployment *deployment, struct error *err)
{
	struct error why = {0};

	if (deployment_choose_revision(deployment, &why))
		return true;
	if (why.kind != ERROR_UNAVAILABLE && why.kind != ERROR_TIMED_OUT) {
		error_move(err, &why);
		return false;
	}
	deployment_note("choosing the task definition once more", why.message);
	error_free(&why);
	return deployment_choose_revision(deployment, err);
}

static bool deploy(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;

	if (!call_describe_service(deployment->place, &deployment->running, err))
		return false;
	know_events(deployment);
	if (!deployment_prepare(deployment, err) || !deployment_adopt(deployment, err))
		return false;
	if (deployment->undoes)
		return deployment_undo_again(deployment, err);
	if (!deployment->arn &&
		(!choose_revision(deployment, err) || !deployment_begin(deployment, err)))
		return false;
	if (deployment->result->nothing_to_do)
		return conclude_unchanged(deployment, err);
	event_emit("deploy.started",
		json_object_of("service", json_text_new(deployment->place->service),
			"task_definition", json_text_new(deployment->task_definition), "strategy",
			json_text_new(deployment->result->strategy), NULL));
	if (request->no_wait)
		return true;
	return deployment_follow(deployment, err) &&
	       (deployment->result->verdict != VERDICT_DEPLOYED ||
		       deployment_check(deployment, err));
}

bool ecs_deploy(const struct deploy_request *request, struct deploy_result *out_result,
	struct error *err)
{
	scoped(deployment_free) struct deployment deployment = {
		.request = request,
		.place = &request->place,
		.journal = request->journal,
		.result = out_result,
		.timeout_ms = request->timeout_ms,
	};

	deployment_start_result(&deployment);
	return end(&deployment, deploy(&deployment, err), err);
}

static bool need_running(struct deployment *deployment, struct error *err)
{
	const struct deploy_place *place = deployment->place;

	if (!call_describe_service(place, &deployment->running, err))
		return false;
	if (deployment->running)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "there is no service %s in the cluster %s",
		place_service(place), place->cluster);
	return error_next(err, "deploy it first: dogshore deploy %s --env %s", place->service,
		place->environment);
}

/* Sets what to follow from the service's newest deployment. */
static bool take_newest(struct deployment *deployment, struct json **out_list, struct error *err)
{
	const struct json *primary = primary_deployment(deployment->running);
	const char *configured =
		json_get_text(json_get(deployment->running, "deploymentConfiguration"), "strategy",
			NULL);
	const struct json *newest = NULL;
	double created = -1;

	if (!call_list_deployments(deployment->place, out_list, err))
		return false;
	for (size_t i = 0; i < json_count(*out_list); i++) {
		const struct json *row = json_at(*out_list, i);

		if (json_real(json_get(row, "createdAt"), 0) > created) {
			created = json_real(json_get(row, "createdAt"), 0);
			newest = row;
		}
	}
	deployment->result->strategy =
		memory_copy_text(deploy_strategy_of_ecs(configured)->ecs_name);
	if (!newest) {
		deployment->number =
			memory_copy_text(id_number(json_get_text(primary, "id", "ecs-svc/0")));
		deployment->task_definition =
			memory_copy_text(json_get_text(primary, "taskDefinition", NULL));
		return true;
	}
	const char *revision = json_get_text(newest, "targetServiceRevisionArn", "");

	deployment->arn = memory_copy_text(json_get_text(newest, "serviceDeploymentArn", NULL));
	deployment->number = memory_copy_text(id_number(revision));
	return call_revision_task_definition(deployment->place, revision,
		&deployment->task_definition, err);
}

static bool wait_for(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *list = NULL;

	if (!need_running(deployment, err))
		return false;
	know_events(deployment);
	return take_newest(deployment, &list, err) && deployment_read_definition(deployment, err) &&
	       deployment_follow(deployment, err);
}

bool ecs_wait(const struct deploy_place *place, int64_t timeout_ms,
	struct deploy_result *out_result, struct error *err)
{
	scoped(deployment_free) struct deployment deployment = {.place = place,
		.result = out_result,
		.timeout_ms = timeout_ms,
		.passive = true};

	deployment_start_result(&deployment);
	return end(&deployment, wait_for(&deployment, err), err);
}

static bool go_back(struct deployment *deployment, const struct json *list, struct error *err)
{
	const char *running = json_get_text(deployment->running, "taskDefinition", "");
	char *previous = NULL;

	return deployment_find_previous(deployment, list, running, &previous, err) &&
	       deployment_go_back(deployment, previous, err);
}

static bool roll_back(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *list = NULL;
	scoped(json_free) struct json *newest = NULL;

	if (!need_running(deployment, err))
		return false;
	know_events(deployment);
	if (!take_newest(deployment, &list, err))
		return false;
	if (deployment->arn &&
		!call_describe_deployment(deployment->place, deployment->arn, &newest, err))
		return false;
	enum deployment_phase phase = deployment_phase_of(json_get_text(newest, "status", NULL));

	if (phase != DEPLOYMENT_RUNNING && phase != DEPLOYMENT_ROLLING_BACK)
		return go_back(deployment, list, err);
	deployment_note("telling the deployment under way to roll back", "it was asked for");
	return (phase == DEPLOYMENT_ROLLING_BACK ||
		       call_stop_deployment(deployment->place, deployment->arn, err)) &&
	       deployment_read_definition(deployment, err) && deployment_follow(deployment, err);
}

bool ecs_rollback(const struct deploy_place *place, int64_t timeout_ms, struct journal *journal,
	struct deploy_result *out_result, struct error *err)
{
	scoped(deployment_free) struct deployment deployment = {.place = place,
		.result = out_result,
		.timeout_ms = timeout_ms,
		.journal = journal};

	deployment_start_result(&deployment);
	return end(&deployment, roll_back(&deployment, err), err);
}
