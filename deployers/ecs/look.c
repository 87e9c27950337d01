#include "base/event.h"
#include "base/masker.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/follow.h"
#include "deployers/ecs/tasks.h"

#include <stdlib.h>

enum {
	TASKS_EVERY_MS = 2000, /* stopped tasks are looked for at least so often, failures or not */
	SERVICE_EVERY_MS = 20, /* the service need not be asked at each of the quick local looks */
};

bool deployment_count_tasks(struct deployment *deployment, struct json **out_tasks, int *out_right,
	int *out_wrong, struct error *err)
{
	scoped(json_free) struct json *tasks = NULL;

	*out_right = *out_wrong = 0;
	if (!call_tasks(deployment->place, "RUNNING", &tasks, err))
		return false;
	for (size_t i = 0; i < json_count(tasks); i++) {
		const struct json *task = json_at(tasks, i);
		bool runs = text_equal(json_get_text(task, "lastStatus", ""), "RUNNING");

		if (!task_is_of(task, deployment->task_definition, NULL) ||
			!task_has_image(task, deployment->digest))
			++*out_wrong;
		else
			*out_right += runs;
	}
	if (out_tasks) {
		*out_tasks = tasks;
		tasks = NULL;
	}
	return true;
}

static void take_reason(struct follow *follow, const struct json *deployment)
{
	const char *reason = json_get_text(json_get(deployment, "rollback"), "reason", NULL);

	if (!reason)
		reason = json_get_text(deployment, "statusReason", NULL);
	if (!reason || !*reason)
		return;
	free(follow->reason);
	follow->reason = memory_copy_text(reason);
}

/* Without permission to read service deployments: section 3, step 5 of the reference. */
static void judge_by_service(struct follow *follow, const struct json *service)
{
	const struct json *deployments = json_get(service, "deployments");
	const char *number = follow->deployment->number;

	for (size_t i = 0; number && i < json_count(deployments); i++) {
		const struct json *row = json_at(deployments, i);
		const char *state = json_get_text(row, "rolloutState", "");

		if (!text_equal(id_number(json_get_text(row, "id", "")), number))
			continue;
		follow->seen.newer = !text_equal(json_get_text(row, "status", ""), "PRIMARY");
		follow->seen.phase = text_equal(state, "COMPLETED") ? DEPLOYMENT_SUCCESSFUL
				     : text_equal(state, "FAILED") || follow->seen.newer
					     ? DEPLOYMENT_STOPPED
					     : DEPLOYMENT_RUNNING;
		return;
	}
	follow->seen.phase = DEPLOYMENT_STOPPED;
	follow->seen.newer = true;
}

/* Right after the update the service deployment may not be listed yet. */
static bool find_arn(struct follow *follow, struct error *err)
{
	struct deployment *deployment = follow->deployment;
	scoped(json_free) struct json *list = NULL;

	if (!call_list_deployments(deployment->place, &list, err))
		return false;
	for (size_t i = 0; i < json_count(list) && !deployment->arn; i++) {
		const char *revision =
			json_get_text(json_at(list, i), "targetServiceRevisionArn", "");

		if (deployment->number && text_equal(id_number(revision), deployment->number))
			deployment->arn = memory_copy_text(
				json_get_text(json_at(list, i), "serviceDeploymentArn", NULL));
	}
	return true;
}

static bool look_at_deployment(struct follow *follow, struct error *err)
{
	scoped(json_free) struct json *deployment = NULL;

	if (!follow->deployment->arn && !find_arn(follow, err))
		return false;
	if (!follow->deployment->arn)
		return true;
	if (!call_describe_deployment(follow->deployment->place, follow->deployment->arn,
		    &deployment, err))
		return false;
	if (!deployment)
		return true;
	follow->seen.phase =
		deployment_phase_of(json_get_text(deployment, "status", "IN_PROGRESS"));
	take_reason(follow, deployment);
	int64_t failed =
		json_get_int(json_get(deployment, "deploymentCircuitBreaker"), "failureCount", 0);

	follow->failed = failed > follow->failed ? failed : follow->failed;
	return true;
}

/* Is the deployment that the service has now a newer one? */
static bool look_for_newer(struct follow *follow, const struct json *service, struct error *err)
{
	const char *current = json_get_text(service, "currentServiceDeployment", NULL);
	scoped(json_free) struct json *list = NULL;
	double ours = -1, newest = -1;

	if (follow->denied || text_equal(current, follow->deployment->arn))
		return true;
	if (!call_list_deployments(follow->deployment->place, &list, err))
		return false;
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *row = json_at(list, i);
		double created = json_real(json_get(row, "createdAt"), 0);

		if (text_equal(json_get_text(row, "serviceDeploymentArn", ""),
			    follow->deployment->arn))
			ours = created;
		else if (created > newest)
			newest = created;
	}
	follow->seen.newer = ours >= 0 && newest > ours;
	return true;
}

static void take_event(struct deployment *deployment, const struct json *event, bool tell)
{
	const char *id = json_get_text(event, "id", "");
	const char *message = json_get_text(event, "message", "");

	if (strings_contain(&deployment->event_ids, id))
		return;
	strings_add(&deployment->event_ids, id);
	if (!tell)
		return;
	char at[TIME_TEXT_SIZE];

	time_to_rfc3339((int64_t)(json_real(json_get(event, "createdAt"), 0) * 1000), at);
	json_append(deployment->result->events,
		json_object_of("at", json_text_new(at), "message", json_text_new(message), NULL));
	event_emit("deploy.service_event",
		json_object_of("service", json_text_new(deployment->place->service), "message",
			json_text_new(message), NULL));
}

/* Events come newest first; those from before our deployment are known by their ids. */
static void take_events(struct deployment *deployment, const struct json *service, bool tell)
{
	const struct json *events = json_get(service, "events");

	for (size_t i = json_count(events); i-- > 0;)
		take_event(deployment, json_at(events, i), tell);
}

static bool look_at_service(struct follow *follow, struct error *err)
{
	scoped(json_free) struct json *service = NULL;
	bool ended = follow->seen.phase > DEPLOYMENT_ROLLING_BACK;
	int64_t failed = 0;

	if (follow->deployment->place->loopback && !ended && !follow->denied &&
		follow->seen.now_ms - follow->service_ms < SERVICE_EVERY_MS)
		return true;
	follow->service_ms = follow->seen.now_ms;
	if (!call_describe_service(follow->deployment->place, &service, err))
		return false;
	take_events(follow->deployment, service, true);
	follow->seen.desired = (int)json_get_int(service, "desiredCount", 0);
	for (size_t i = 0; i < json_count(json_get(service, "deployments")); i++)
		failed += json_get_int(json_at(json_get(service, "deployments"), i), "failedTasks",
			0);
	follow->failed = failed > follow->failed ? failed : follow->failed;
	if (follow->denied)
		judge_by_service(follow, service);
	if (follow->seen.phase == DEPLOYMENT_SUCCESSFUL || follow->seen.phase == DEPLOYMENT_STOPPED)
		return look_for_newer(follow, service, err);
	return true;
}

/* What is kept of a task's log holds no credential, though the task wrote one, over however many
 * lines. */
static struct json *masked_lines(const struct json *events)
{
	scoped(masker_free) struct masker masker = {0};
	scoped(buf_free) struct buf text = {0};
	struct json *lines = json_array_new();

	for (size_t i = 0; i < json_count(events); i++) {
		masker_feed(&masker, json_str(json_get(json_at(events, i), "message")), &text);
		masker_feed(&masker, str_literal("\n"), &text);
	}
	masker_flush(&masker, &text);
	for (struct str rest = buf_str(&text); rest.size;)
		json_append(lines, json_str_new(str_cut(&rest, '\n')));
	return lines;
}

static void read_log(struct deployment *deployment, const struct finding *finding,
	const struct json *task, struct json *summary)
{
	scoped(log_place_free) struct log_place place = {0};
	scoped(json_free) struct json *events = NULL;
	struct error err = {0};

	if (!finding->container || !log_place_of(deployment->definition, finding->container,
					   json_get_text(task, "taskArn", ""), &place))
		return;
	if (!call_log_events(deployment->place, place.group, place.stream, DIAGNOSIS_LOG_LINES,
		    &events, &err)) {
		error_ignore(&err, "the deployment is judged without the task's log");
		return;
	}
	json_set(summary, "log", masked_lines(events));
}

/* True: this task has nothing more to tell. One that is still stopping has no exit code yet. */
static bool take_stopped(void *context, const struct json *task)
{
	struct follow *follow = context;
	struct deployment *deployment = follow->deployment;
	scoped(finding_free) struct finding finding = {0};
	struct json *summary = NULL;

	if (!task_is_of(task, deployment->task_definition, deployment->number))
		return true;
	if (!text_equal(json_get_text(task, "lastStatus", "STOPPED"), "STOPPED"))
		return false;
	if (!diagnosis_add(&deployment->diagnosis, task, &finding, &summary) || !finding.sentence)
		return true;
	read_log(deployment, &finding, task, summary);
	event_emit("deploy.task_stopped",
		json_object_of("service", json_text_new(deployment->place->service), "task",
			json_copy(json_get(summary, "task")), "reason",
			json_text_new(finding.sentence), "log", json_copy(json_get(summary, "log")),
			NULL));
	return true;
}

/* Stopped tasks are forgotten by the cloud after a while: they are read while we wait. */
static bool look_at_stopped(struct follow *follow, struct error *err)
{
	int64_t known = (int64_t)follow->deployment->diagnosis.sentences.count;
	bool due = follow->seen.now_ms - follow->tasks_ms >= TASKS_EVERY_MS;
	bool bad = follow->seen.phase > DEPLOYMENT_RUNNING &&
		   follow->seen.phase != DEPLOYMENT_SUCCESSFUL;

	if (!due && !bad && follow->failed <= known)
		return true;
	follow->tasks_ms = follow->seen.now_ms;
	if (!call_new_tasks(follow->deployment->place, "STOPPED", follow->known, take_stopped,
		    follow, err))
		return false;
	follow->seen.same_crashes = diagnosis_same(&follow->deployment->diagnosis);
	follow->seen.hopeless = follow->deployment->diagnosis.hopeless;
	return true;
}

bool follow_look(struct follow *follow, struct error *err)
{
	struct error why = {0};

	if (!follow->denied && !look_at_deployment(follow, &why)) {
		if (why.kind != ERROR_DENIED || !follow->deployment->number) {
			error_move(err, &why);
			return false;
		}
		error_ignore(&why, "the service's own list of deployments tells enough");
		deployment_note("judging by the service alone",
			"service deployments may not be read with these credentials");
		follow->denied = true;
	}
	if (!look_at_service(follow, err) || !look_at_stopped(follow, err))
		return false;
	return follow->seen.phase != DEPLOYMENT_SUCCESSFUL ||
	       deployment_count_tasks(follow->deployment, NULL, &follow->seen.tasks_right,
		       &follow->seen.tasks_wrong, err);
}
