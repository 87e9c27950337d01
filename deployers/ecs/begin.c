#include "base/digest.h"
#include "base/event.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/service_definition.h"

#include <stdlib.h>

const struct json *primary_deployment(const struct json *service)
{
	const struct json *deployments = json_get(service, "deployments");

	for (size_t i = 0; i < json_count(deployments); i++)
		if (text_equal(json_get_text(json_at(deployments, i), "status", ""), "PRIMARY"))
			return json_at(deployments, i);
	return NULL;
}

void deployment_note(const char *message, const char *reason)
{
	event_emit("deploy.note", json_object_of("message", json_text_new(message), "reason",
					  json_text_new(reason), NULL));
}

/* Our service deployment is the one whose target revision has our deployment's number. */
static bool find_by_number(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *list = NULL;

	if (!call_list_deployments(deployment->place, &list, err))
		return false;
	for (size_t i = 0; i < json_count(list) && !deployment->arn; i++) {
		const struct json *row = json_at(list, i);
		const char *revision = json_get_text(row, "targetServiceRevisionArn", "");

		if (text_equal(id_number(revision), deployment->number))
			deployment->arn =
				memory_copy_text(json_get_text(row, "serviceDeploymentArn", NULL));
	}
	return true;
}

static char *subject_of(const struct deployment *deployment)
{
	return memory_format("%s/%s", deployment->place->cluster, place_service(deployment->place));
}

static struct json *detail_of(const struct deployment *deployment)
{
	const struct deploy_request *request = deployment->request;

	return json_object_of("client_token", json_text_new(request ? request->client_token : NULL),
		"task_definition", json_text_new(deployment->task_definition), "image",
		json_text_new(deployment->result->image), "environment",
		json_text_new(deployment->place->environment), "started_ms",
		json_int_new(deployment->result->started_ms), "undoes",
		json_copy(deployment->undoes), NULL);
}

static struct json *outcome_of(const struct deployment *deployment)
{
	return json_object_of("service_deployment", json_text_new(deployment->arn), "deployment",
		json_text_new(deployment->number), "task_definition",
		json_text_new(deployment->task_definition), NULL);
}

/* The call that changes the service, announced before and settled after. */
static bool act(struct deployment *deployment, const char *operation, const struct json *input,
	struct json **out_output, struct error *err)
{
	scoped(text_free) char *subject = subject_of(deployment);
	scoped(json_free) struct json *detail = detail_of(deployment);
	struct error why = {0}, second = {0};
	int64_t number = 0;

	if (!journal_intend(deployment->journal, "ecs.deploy", subject, detail, &number, err))
		return false;
	if (!aws_call(deployment->place->aws, "ecs", operation, input, out_output, NULL, &why)) {
		/* No answer: it may have been carried out, and the act stays open to be found. */
		bool open = why.kind == ERROR_UNAVAILABLE || why.kind == ERROR_TIMED_OUT;

		deployment->acted = deployment->acted || open;
		if (!open && !journal_settle(deployment->journal, number, "failed", NULL, &second))
			error_ignore(&second, "the first error is the one to tell");
		error_move(err, &why);
		return false;
	}
	deployment->acted = true;
	const struct json *service = json_get(*out_output, "service");
	const char *id = json_get_text(primary_deployment(service), "id", NULL);

	deployment->number = memory_copy_text(id ? id_number(id) : NULL);
	if (deployment->number && !find_by_number(deployment, &second))
		error_ignore(&second, "following looks for it again");
	scoped(json_free) struct json *outcome = outcome_of(deployment);

	return journal_settle(deployment->journal, number, "done", outcome, err);
}

/* ECS takes 36 characters; a longer token is stood in for by its digest. */
static char *short_token(const char *token)
{
	struct digest digest = digest_of_str(str_of(token));
	char hex[DIGEST_HEX_SIZE];

	if (!token || strlen(token) <= 36)
		return memory_copy_text(token);
	digest_to_hex(&digest, hex);
	return memory_copy(hex, 32);
}

static bool create_service(struct deployment *deployment, struct error *err)
{
	scoped(text_free) char *token = short_token(deployment->request->client_token);
	scoped(json_free) struct json *output = NULL;
	scoped(json_free) struct json *input =
		service_create_input(deployment->service, deployment->place->cluster,
			place_service(deployment->place), deployment->task_definition, token);

	if (!act(deployment, "CreateService", input, &output, err))
		return error_while(err, "creating the service %s",
			place_service(deployment->place));
	deployment_note("created the service", "there was none of this name");
	return true;
}

bool deployment_update(struct deployment *deployment, const struct json *input, bool *out_changed,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;
	const char *before = json_get_text(primary_deployment(deployment->running), "id", "");

	if (!act(deployment, "UpdateService", input, &output, err))
		return error_while(err, "updating the service %s",
			place_service(deployment->place));
	/* The same deployment as before: what changed needs no new tasks. */
	*out_changed = !text_equal(id_number(before), deployment->number);
	return true;
}

/* The service runs what we want: is that the end of a good deployment? */
static bool judge_running(struct deployment *deployment, bool *out_good, bool *out_under_way,
	struct error *err)
{
	const struct json *primary = primary_deployment(deployment->running);
	const char *state = json_get_text(primary, "rolloutState", "COMPLETED");
	int right = 0, wrong = 0;

	*out_good = false;
	*out_under_way = text_equal(state, "IN_PROGRESS");
	deployment->number = memory_copy_text(id_number(json_get_text(primary, "id", "ecs-svc/0")));
	if (*out_under_way)
		return find_by_number(deployment, err);
	if (!text_equal(state, "COMPLETED"))
		return true;
	if (!deployment_count_tasks(deployment, NULL, &right, &wrong, err) ||
		!find_by_number(deployment, err))
		return false;
	*out_good = wrong == 0 &&
		    (right > 0 || json_get_int(deployment->running, "desiredCount", 0) == 0);
	return true;
}

static void forget_deployment(struct deployment *deployment)
{
	text_free(&deployment->number);
	text_free(&deployment->arn);
}

/* Nothing differs: done, or under way already, or it runs badly and is started afresh. */
static bool begin_unchanged(struct deployment *deployment, struct error *err)
{
	bool good = false, under_way = false, changed;

	if (!judge_running(deployment, &good, &under_way, err))
		return false;
	if (good) {
		deployment->result->nothing_to_do = true;
		return true;
	}
	if (under_way) {
		deployment_note("following the deployment that is under way",
			"it deploys this very task definition");
		return true;
	}
	forget_deployment(deployment);
	deployment_note("starting the same task definition again",
		"its last deployment did not come to a good end");
	scoped(json_free) struct json *input =
		json_object_of("cluster", json_text_new(deployment->place->cluster), "service",
			json_text_new(place_service(deployment->place)), "taskDefinition",
			json_text_new(deployment->task_definition), "forceNewDeployment",
			json_bool_new(true), NULL);

	return deployment_update(deployment, input, &changed, err);
}

bool deployment_begin(struct deployment *deployment, struct error *err)
{
	bool changed = false, good = false, under_way = false;

	if (!deployment->running)
		return create_service(deployment, err);
	scoped(json_free) struct json *input = service_update_input(deployment->service,
		deployment->running, deployment->place->cluster, place_service(deployment->place),
		deployment->task_definition);

	if (!input)
		return begin_unchanged(deployment, err);
	if (!deployment_update(deployment, input, &changed, err))
		return false;
	if (changed)
		return true;
	forget_deployment(deployment);
	deployment_note("changed the service's settings", "they need no new tasks");
	if (!judge_running(deployment, &good, &under_way, err))
		return false;
	deployment->result->nothing_to_do = good;
	return true;
}

/* The newest deployment that began after started_ms and runs this task definition. */
static bool find_by_definition(struct deployment *deployment, const char *task_definition,
	int64_t started_ms, struct error *err)
{
	const char *undone = json_get_text(deployment->undoes, "service_deployment", NULL);
	scoped(json_free) struct json *list = NULL;

	if (!call_list_deployments(deployment->place, &list, err))
		return false;
	for (size_t i = 0; i < json_count(list) && !deployment->arn; i++) {
		const struct json *row = json_at(list, i);
		const char *revision = json_get_text(row, "targetServiceRevisionArn", "");
		double created_ms = json_real(json_get(row, "createdAt"), 0) * 1000;
		scoped(text_free) char *runs = NULL;

		/* A way back is newer than what it undoes. */
		if (undone && text_equal(json_get_text(row, "serviceDeploymentArn", NULL), undone))
			break;
		if (created_ms + 1000 < (double)started_ms)
			continue;
		if (!call_revision_task_definition(deployment->place, revision, &runs, err))
			return false;
		if (!text_equal(runs, task_definition))
			continue;
		deployment->arn =
			memory_copy_text(json_get_text(row, "serviceDeploymentArn", NULL));
		deployment->number = memory_copy_text(id_number(revision));
	}
	return true;
}

static bool adopt_act(struct deployment *deployment, int64_t number, const char *outcome,
	const struct json *detail, const struct json *result, struct error *err)
{
	const char *task_definition = json_get_text(detail, "task_definition", NULL);
	const char *arn = json_get_text(result, "service_deployment", NULL);

	if (arn) {
		deployment->arn = memory_copy_text(arn);
		deployment->number = memory_copy_text(json_get_text(result, "deployment", NULL));
	} else if (!find_by_definition(deployment, task_definition,
			   json_get_int(detail, "started_ms", 0), err)) {
		return false;
	}
	if (deployment->arn) {
		deployment->task_definition = memory_copy_text(task_definition);
		deployment_note("following the deployment that an earlier try began",
			"it has the same client token");
	}
	if (outcome)
		return true;
	scoped(json_free) struct json *settled = outcome_of(deployment);

	return journal_settle(deployment->journal, number, deployment->arn ? "done" : "abandoned",
		settled, err);
}

bool deployment_adopt(struct deployment *deployment, struct error *err)
{
	const char *token = deployment->request->client_token;
	scoped(text_free) char *subject = subject_of(deployment), *outcome = NULL;
	scoped(json_free) struct json *detail = NULL, *result = NULL;
	int64_t number = 0;

	if (!token || !deployment->running)
		return true;
	if (!journal_find(deployment->journal, "ecs.deploy", subject, &number, &outcome, &detail,
		    &result, err))
		return false;
	if (number == 0 || !text_equal(json_get_text(detail, "client_token", NULL), token))
		return true;
	if (json_is_object(json_get(detail, "undoes")))
		deployment->undoes = json_copy(json_get(detail, "undoes"));
	if (!text_equal(outcome, "failed") &&
		!adopt_act(deployment, number, outcome, detail, result, err))
		return false;
	/* It was going back: that goes on, whether it had begun or not. */
	if (deployment->undoes && !deployment->task_definition)
		deployment->task_definition =
			memory_copy_text(json_get_text(detail, "task_definition", NULL));
	return true;
}
