#include "deployers/ecs/follow.h"
#include "base/digest.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/poll.h"

#include <poll.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 30 * 60 * 1000 };

static void follow_free(struct follow *follow)
{
	json_free(&follow->known);
	free(follow->reason);
	error_free(&follow->silent);
}

static double chance(void)
{
	uint32_t number;

	random_bytes(&number, sizeof(number));
	return number / 4294967296.0;
}

static bool may_pass(const struct error *err)
{
	return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMED_OUT ||
	       err->kind == ERROR_PROTOCOL;
}

static void ask_rollback(struct follow *follow)
{
	struct deployment *deployment = follow->deployment;
	scoped(text_free) char *cause =
		diagnosis_cause(&deployment->diagnosis, deployment->place->service);
	struct error err = {0};

	deployment_note("asking for the rollback", follow->state.because == VERDICT_TIMED_OUT
							   ? "the time is over"
						   : cause ? cause
							   : "it cannot succeed any more");
	if (deployment->arn && call_stop_deployment(deployment->place, deployment->arn, &err))
		return;
	/* The cloud's own circuit breaker comes to the same end, later. */
	deployment_note("the rollback could not be asked for",
		err.message ? err.message : "the service deployment is not known");
	error_free(&err);
}

static char *late(const struct follow *follow)
{
	char within[TIME_TEXT_SIZE];

	duration_to_text(follow->state.deadline_ms - follow->started_ms, within);
	return memory_format("%s: the deployment had not ended after %s",
		follow->deployment->place->service, within);
}

/* The sentence behind a verdict that is not a good one. */
static char *cause_of(const struct follow *follow, enum verdict verdict)
{
	const struct deployment *deployment = follow->deployment;
	const char *service = deployment->place->service;
	char *crash = diagnosis_cause(&deployment->diagnosis, service);

	if (verdict == VERDICT_DEPLOYED)
		return text_free(&crash), NULL;
	if (verdict == VERDICT_SUPERSEDED) {
		text_free(&crash);
		return memory_format("%s: a newer deployment of the service began", service);
	}
	if (crash)
		return crash;
	if (follow->silent.kind != ERROR_NONE)
		return memory_format("%s: %s", service, follow->silent.message);
	if (verdict == VERDICT_TIMED_OUT)
		return late(follow);
	if (verdict == VERDICT_UNKNOWN && follow->seen.phase == DEPLOYMENT_SUCCESSFUL)
		return memory_format("%s: the cloud says SUCCESSFUL, but %d of its tasks do not "
				     "run the image %s",
			service, follow->seen.tasks_wrong,
			deployment->digest ? deployment->digest : "");
	if (follow->reason)
		return memory_format("%s: %s", service, follow->reason);
	return memory_format("%s: %s", service,
		verdict == VERDICT_UNKNOWN ? "the outcome could not be learned"
					   : "the deployment failed, ECS does not say why");
}

static void finish(struct follow *follow, enum verdict verdict)
{
	struct deployment *deployment = follow->deployment;
	struct deploy_result *result = deployment->result;
	scoped(json_free) struct json *tasks = NULL;
	struct error err = {0};
	int right, wrong;

	result->verdict = verdict;
	result->cause = cause_of(follow, verdict);
	if (!deployment_count_tasks(deployment, &tasks, &right, &wrong, &err))
		error_ignore(&err, "the verdict does not depend on this list");
	for (size_t i = 0; i < json_count(tasks); i++)
		json_append(result->tasks, diagnosis_summary(json_at(tasks, i)));
	for (size_t i = 0; i < json_count(deployment->diagnosis.tasks); i++)
		json_append(result->tasks, json_copy(json_at(deployment->diagnosis.tasks, i)));
}

/* One look and what follows from it; true: there is a verdict. */
static bool turn(struct follow *follow, enum verdict *out_verdict)
{
	struct error err = {0};

	follow->seen.now_ms = clock_elapsed(follow->deployment->place->clock);
	error_free(&follow->silent);
	if (!follow_look(follow, &err)) {
		bool passing = may_pass(&err);

		error_move(&follow->silent, &err);
		if (!passing || follow->seen.now_ms >= follow->state.deadline_ms) {
			*out_verdict = VERDICT_UNKNOWN;
			return true;
		}
		return false;
	}
	switch (verdict_decide(&follow->state, &follow->seen, out_verdict)) {
	case VERDICT_CONCLUDE:
		return true;
	case VERDICT_ASK_ROLLBACK:
		ask_rollback(follow);
		break;
	case VERDICT_WAIT:
		break;
	}
	return false;
}

/* Waits for the next look; false: we are told to stop. The deployment goes on without us. */
static bool pause_looking(struct follow *follow, struct error *err)
{
	const struct deploy_place *place = follow->deployment->place;
	int64_t elapsed_ms = clock_elapsed(place->clock) - follow->started_ms;
	int64_t delay_ms = poll_delay_ms(elapsed_ms, place->loopback, chance());
	struct pollfd cancel = {.fd = place->cancel_fd, .events = POLLIN};

	if (place->cancel_fd <= 0) {
		clock_sleep(place->clock, delay_ms);
		return true;
	}
	if (poll(&cancel, 1, (int)delay_ms) <= 0)
		return true;
	error_raise(err, ERROR_CANCELLED, "%s: told to stop while the deployment is under way",
		place->service);
	return error_next(err,
		"it goes on: `dogshore wait %s --env %s` follows it, "
		"`dogshore rollback %s --env %s` undoes it",
		place->service, place->environment, place->service, place->environment);
}

bool deployment_follow(struct deployment *deployment, struct error *err)
{
	struct clock *clock = deployment->place->clock;
	int64_t timeout_ms = deployment->timeout_ms ? deployment->timeout_ms : TIMEOUT_MS;
	scoped(follow_free) struct follow follow = {.deployment = deployment};
	enum verdict verdict = VERDICT_NONE;

	follow.known = json_object_new();
	follow.started_ms = clock_elapsed(clock);
	follow.tasks_ms = follow.started_ms;
	follow.state.deadline_ms = follow.started_ms + timeout_ms;
	follow.state.passive = deployment->passive;
	while (!turn(&follow, &verdict))
		if (!pause_looking(&follow, err))
			return false;
	finish(&follow, verdict);
	return true;
}
