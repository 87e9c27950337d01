#include "pipeline/engine/schedule.h"

#include <assert.h>

static const char *const names[STEP_KINDS] = {
	[STEP_TASK] = STEP_TASK_PREFIX,
	[STEP_BUILD] = "build",
	[STEP_IMAGE] = "image",
	[STEP_PUSH] = "push",
	[STEP_DEPLOY] = "deploy",
};

const char *step_kind_name(enum step_kind kind)
{
	return names[kind];
}

bool step_kind_of_name(const char *name, enum step_kind *out_kind)
{
	if (str_starts_with(str_of(name), STEP_TASK_PREFIX)) {
		*out_kind = STEP_TASK;
		return name[strlen(STEP_TASK_PREFIX)] != '\0';
	}
	for (size_t i = STEP_BUILD; i < STEP_KINDS; i++)
		if (text_equal(names[i], name)) {
			*out_kind = (enum step_kind)i;
			return true;
		}
	return false;
}

bool schedule_step_passed(const struct schedule_step *step)
{
	bool failed = step->status == OUTCOME_FAILED || step->status == OUTCOME_TIMED_OUT;

	return step->status == OUTCOME_PASSED || (failed && step->ignore_failure) ||
	       (step->status == OUTCOME_SKIPPED && !step->blocked);
}

/* Not because of another one, nor because somebody wanted it. */
static bool failed_itself(const struct schedule_step *step)
{
	return outcome_is_final(step->status) && !schedule_step_passed(step) && !step->blocked &&
	       step->status != OUTCOME_CANCELLED;
}

enum readiness {
	READY,
	NOT_YET,
	NEVER,
};

static enum readiness worse(enum readiness a, enum readiness b)
{
	return a > b ? a : b;
}

/* What a step that must be over first means for the one that waits. */
static enum readiness after_step(const struct schedule_step *before)
{
	if (!outcome_is_final(before->status))
		return NOT_YET;
	return schedule_step_passed(before) ? READY : NEVER;
}

static enum readiness after_service(const struct schedule *schedule, size_t service,
	size_t *out_cause)
{
	const struct schedule_service *other = &schedule->services[service];
	enum readiness result = READY;

	for (size_t i = other->first_step; i < other->first_step + other->step_count; i++) {
		enum readiness one = after_step(&schedule->steps[i]);

		if (one == NEVER)
			*out_cause = i;
		if (one == NEVER)
			return NEVER;
		result = worse(result, one);
	}
	return result;
}

/* The task because of which the others must end; SIZE_MAX: there is none. */
static size_t find_failed_task(const struct schedule *schedule, size_t service)
{
	const struct schedule_service *of = &schedule->services[service];

	for (size_t i = of->first_step; of->fast_fail && i < of->first_step + of->step_count; i++)
		if (schedule->steps[i].kind == STEP_TASK && failed_itself(&schedule->steps[i]))
			return i;
	return SIZE_MAX;
}

static enum readiness readiness_of_task(const struct schedule *schedule, size_t at,
	size_t *out_cause)
{
	const struct schedule_step *step = &schedule->steps[at];
	size_t failed = find_failed_task(schedule, step->service);
	enum readiness result = READY;

	if (failed != SIZE_MAX) {
		*out_cause = failed;
		return NEVER;
	}
	for (size_t i = 0; i < step->after_count && result != NEVER; i++) {
		*out_cause = schedule->services[step->service].first_step + step->after[i];
		result = worse(result, after_step(&schedule->steps[*out_cause]));
	}
	return result;
}

static enum readiness readiness_of(const struct schedule *schedule, size_t at, size_t *out_cause)
{
	const struct schedule_step *step = &schedule->steps[at];
	const struct schedule_service *service = &schedule->services[step->service];
	enum readiness result = READY;

	if (step->kind == STEP_TASK)
		return readiness_of_task(schedule, at, out_cause);
	for (size_t i = service->first_step; i < at && result != NEVER; i++) {
		result = worse(result, after_step(&schedule->steps[i]));
		*out_cause = i;
	}
	if (step->kind != STEP_DEPLOY)
		return result;
	for (size_t i = 0; i < service->after_count && result != NEVER; i++)
		result = worse(result, after_service(schedule, service->after[i], out_cause));
	return result;
}

/* Tasks under way whose batch has failed. */
static bool decide_to_stop(const struct schedule *schedule, struct schedule_act *out_act)
{
	for (size_t i = 0; i < schedule->step_count; i++) {
		const struct schedule_step *step = &schedule->steps[i];

		if (step->kind != STEP_TASK || step->status != OUTCOME_RUNNING || step->stopping)
			continue;
		size_t failed = find_failed_task(schedule, step->service);

		*out_act = (struct schedule_act){SCHEDULE_STOP, i, failed};
		if (failed != SIZE_MAX)
			return true;
	}
	return false;
}

struct schedule_act schedule_decide(const struct schedule *schedule)
{
	struct schedule_act stop;
	size_t running = 0, open = 0;

	if (decide_to_stop(schedule, &stop))
		return stop;
	for (size_t i = 0; i < schedule->step_count; i++) {
		running += schedule->steps[i].status == OUTCOME_RUNNING;
		open += !outcome_is_final(schedule->steps[i].status);
	}
	for (size_t i = 0; i < schedule->step_count; i++) {
		const struct schedule_step *step = &schedule->steps[i];
		size_t cause = i;

		if (step->status != OUTCOME_WAITING)
			continue;
		if (schedule->cancelled)
			return (struct schedule_act){SCHEDULE_CANCEL, i, i};
		enum readiness readiness = readiness_of(schedule, i, &cause);

		if (readiness == NEVER)
			return (struct schedule_act){SCHEDULE_BLOCK, i, cause};
		if (readiness == READY && !step->held && running < schedule->jobs)
			return (struct schedule_act){SCHEDULE_START, i, i};
	}
	return (struct schedule_act){open ? SCHEDULE_WAIT : SCHEDULE_FINISHED, 0, 0};
}

enum outcome schedule_outcome(const struct schedule *schedule)
{
	/* What a person must hear first comes first. */
	static const enum outcome telling[] = {OUTCOME_ROLLED_BACK, OUTCOME_UNKNOWN, OUTCOME_FAILED,
		OUTCOME_TIMED_OUT, OUTCOME_ERROR, OUTCOME_SUPERSEDED, OUTCOME_CANCELLED};

	for (size_t i = 0; i < countof(telling); i++)
		for (size_t j = 0; j < schedule->step_count; j++)
			if (schedule->steps[j].status == telling[i] &&
				!schedule_step_passed(&schedule->steps[j]))
				return telling[i];
	return schedule->cancelled ? OUTCOME_CANCELLED : OUTCOME_PASSED;
}

bool schedule_service_passed(const struct schedule *schedule, size_t service)
{
	const struct schedule_service *of = &schedule->services[service];

	for (size_t i = of->first_step; i < of->first_step + of->step_count; i++)
		if (!schedule_step_passed(&schedule->steps[i]))
			return false;
	return true;
}
