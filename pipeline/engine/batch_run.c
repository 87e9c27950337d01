#include "pipeline/engine/batch_run.h"

#include "base/clock.h"
#include "base/memory.h"
#include "pipeline/engine/schedule.h"

#include <assert.h>
#include <stdlib.h>

void batch_run_free(struct batch_run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		free(run->tasks[i].reason);
		build_result_free(&run->tasks[i].result);
		error_free(&run->tasks[i].failure);
	}
	free(run->tasks);
	*run = (struct batch_run){0};
}

/* The first phase that failed says why the build did. */
static char *reason_of(const struct build_result *result)
{
	for (size_t i = 0; i < result->phase_count; i++)
		if (result->phases[i].failed)
			return memory_copy_text(result->phases[i].context_message);
	return memory_copy_text("it gave no reason");
}

/* As the engine takes a stage that ends with this status. */
static enum outcome outcome_of(const struct batch_run_task *task)
{
	if (!task->built)
		return outcome_of_exit_status(error_exit_status(task->failure.kind));
	if (task->result.problem.given)
		return OUTCOME_ERROR;
	return task->result.succeeded ? OUTCOME_PASSED : OUTCOME_FAILED;
}

static void start(struct schedule_step *step, struct batch_run_task *task, size_t at,
	batch_build *build, void *self)
{
	task->built = build(self, at, &task->result, &task->failure);
	task->status = step->status = outcome_of(task);
	if (task->status == OUTCOME_PASSED)
		return;
	scoped(text_free) char *why =
		task->built ? reason_of(&task->result) : memory_copy_text(task->failure.message);

	task->reason = memory_format("%s%s", schedule_step_passed(step) ? STEP_IGNORED : "", why);
}

static void leave_out(struct schedule_step *step, struct batch_run_task *task, enum outcome status,
	char *reason)
{
	task->status = step->status = status;
	task->reason = reason;
}

static void follow(const struct batch_plan *plan, struct schedule *schedule, batch_build *build,
	void *self, struct batch_run *run)
{
	for (;;) {
		struct schedule_act act = schedule_decide(schedule);
		struct schedule_step *step = &schedule->steps[act.step];
		struct batch_run_task *task = &run->tasks[act.step];

		switch (act.kind) {
		case SCHEDULE_START:
			start(step, task, act.step, build, self);
			schedule->cancelled |= task->status == OUTCOME_CANCELLED;
			break;
		case SCHEDULE_BLOCK:
			step->blocked = true;
			leave_out(step, task, OUTCOME_SKIPPED,
				memory_format("%s did not end well",
					plan->tasks[act.cause].identifier));
			break;
		case SCHEDULE_CANCEL:
			leave_out(step, task, OUTCOME_CANCELLED,
				memory_copy_text("the batch was cancelled"));
			break;
		case SCHEDULE_FINISHED:
			return;
		case SCHEDULE_WAIT:
		case SCHEDULE_STOP:
			assert(!"one task runs at a time, and is over when we decide");
			return;
		}
	}
}

static void conclude(const struct schedule *schedule, struct batch_run *run)
{
	run->status = schedule_outcome(schedule);
	run->telling = SIZE_MAX;
	for (size_t i = run->count; i-- > 0;)
		if (run->tasks[i].status == run->status &&
			!schedule_step_passed(&schedule->steps[i]))
			run->telling = i;
}

void batch_run(const struct batch_file *file, batch_build *build, void *self,
	struct batch_run *out_run)
{
	const struct batch_plan *plan = &file->plan;
	struct schedule_step *steps = memory_new_array(plan->count + 1, sizeof(*steps));
	const struct schedule_service service = {.step_count = plan->count,
		.fast_fail = plan->fast_fail};
	struct schedule schedule = {.steps = steps,
		.step_count = plan->count,
		.services = &service,
		.service_count = 1,
		.jobs = 1};
	struct batch_run run = {.tasks = memory_new_array(plan->count + 1, sizeof(*run.tasks)),
		.count = plan->count,
		.started_at = clock_now(&system_clock)};
	int64_t start_ms = clock_elapsed(&system_clock);

	for (size_t i = 0; i < plan->count; i++)
		steps[i] = (struct schedule_step){.kind = STEP_TASK,
			.after = plan->tasks[i].after,
			.after_count = plan->tasks[i].after_count,
			.ignore_failure = plan->tasks[i].ignore_failure};
	follow(plan, &schedule, build, self, &run);
	conclude(&schedule, &run);
	run.duration_ms = clock_elapsed(&system_clock) - start_ms;
	free(steps);
	*out_run = run;
}

/* What CodeBuild calls it; it has no word for a build that was never started. */
static const char *const status_texts[OUTCOME_COUNT] = {
	[OUTCOME_PASSED] = "SUCCEEDED",
	[OUTCOME_SKIPPED] = "SKIPPED",
	[OUTCOME_FAILED] = "FAILED",
	[OUTCOME_ERROR] = "FAULT",
	[OUTCOME_CANCELLED] = "STOPPED",
	[OUTCOME_TIMED_OUT] = "TIMED_OUT",
};

static void write_task(const struct batch_file *file, size_t at, const struct batch_run_task *task,
	struct json_writer *w)
{
	const struct batch_plan_task *plan = &file->plan.tasks[at];

	json_object_begin(w);
	json_put_text(w, "identifier", plan->identifier);
	json_put_text(w, "buildspec", plan->buildspec ? plan->buildspec : file->path);
	json_put_bool(w, "ignore_failure", plan->ignore_failure);
	json_put_text(w, "reason", task->reason);
	if (task->built)
		build_result_write_members(&task->result, w);
	else
		json_put_text(w, "status", status_texts[task->status]);
	json_object_end(w);
}

void batch_run_write(const struct batch_file *file, const struct batch_run *run,
	struct json_writer *w)
{
	bool built = run->telling != SIZE_MAX && run->tasks[run->telling].built;

	json_object_begin(w);
	json_put_text(w, "status", built ? "FAILED" : status_texts[run->status]);
	json_put_time(w, "started_at", run->started_at);
	json_put_int(w, "duration_ms", run->duration_ms);
	json_put_text(w, "kind", batch_kind_name(file->kind));
	json_put_bool(w, "fast_fail", file->plan.fast_fail);
	json_key(w, "tasks");
	json_array_begin(w);
	for (size_t i = 0; i < run->count; i++)
		write_task(file, i, &run->tasks[i], w);
	json_array_end(w);
	json_object_end(w);
}
