#include "pipeline/engine/run.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/file.h"
#include "base/memory.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/*
 * A run is a chain of turns:
 *
 *     waiting --run_start--> running --run_turn--> … --run_turn--> ended
 *
 * A turn is one transaction: outcomes that came in, decisions that follow from them, all saved and
 * committed, and only then acted upon. A crash between two turns repeats at most the acts of the last.
 */

enum { GRACE_MS = 10000, RETRY_MS = 20, BLOCKED_STATUS = 5 };

static void service_free(struct run_service *service)
{
	ledger_work_free(&service->work);
	free(service->folder);
	free(service->layout);
	free(service->after);
	batch_file_free(&service->batch);
}

void run_free(struct run **run)
{
	struct run *gone = *run;

	if (!gone)
		return;
	loop_remove(gone->options->loop, &gone->retry);
	loop_remove(gone->options->loop, &gone->killing);
	loop_remove(gone->options->loop, &gone->stopping);
	bell_free(&gone->bell, gone->options->loop);
	for (size_t i = 0; i < gone->step_count; i++) {
		loop_remove(gone->options->loop, &gone->steps[i].watch);
		process_free(&gone->steps[i].process);
		stage_unlock(&gone->steps[i]);
		ledger_step_free(&gone->steps[i].row);
	}
	for (size_t i = 0; i < gone->service_count; i++)
		service_free(&gone->services[i]);
	for (size_t i = 0; i < gone->event_count; i++)
		json_free(&gone->events[i].fields);
	free(gone->events);
	free(gone->steps);
	free(gone->services);
	free(gone->schedule_steps);
	free(gone->schedule_services);
	plan_free(&gone->plan);
	ledger_currents_free(&gone->currents);
	site_free(&gone->site);
	project_free(&gone->project);
	snapshot_free(&gone->snapshot);
	ledger_run_free(&gone->row);
	if (gone->lock)
		descriptor_close(&gone->lock);
	if (gone->images_lock)
		descriptor_close(&gone->images_lock);
	free(gone);
	*run = NULL;
}

void run_note(struct run *run, const char *name, struct json *fields)
{
	json_set(fields, "run", json_int_new(run->row.id));
	run->events = memory_resize(run->events, (run->event_count + 1) * sizeof(*run->events));
	run->events[run->event_count++] = (struct run_event){name, fields};
}

static void note_step(struct run *run, const struct run_step *step)
{
	bool ended = outcome_is_final(step->row.status);
	struct json *fields = json_object_of("service", json_text_new(step->row.service), "step",
		json_text_new(step->row.name), "status",
		json_text_new(outcome_name(step->row.status)), "reason",
		json_text_new(step->row.reason), NULL);

	if (ended && step->row.started_ms && step->row.ended_ms)
		json_set(fields, "duration_ms",
			json_int_new(step->row.ended_ms - step->row.started_ms));
	run_note(run, ended ? "step.ended" : "step.started", fields);
}

void run_set(struct run *run, size_t at, enum outcome status, const char *format, ...)
{
	struct run_step *step = &run->steps[at];
	va_list args;

	va_start(args, format);
	char *reason = memory_format_list(format, args);
	va_end(args);
	free(step->row.reason);
	step->row.reason = reason;
	step->row.status = status;
	run->schedule_steps[at].status = status;
	step->changed = true;
}

/* Marks a step as running; it starts when that is in the ledger. */
static void mark_started(struct run *run, size_t at)
{
	struct run_step *step = &run->steps[at];

	run_set(run, at, OUTCOME_RUNNING, "%s", "");
	step->row.attempts++;
	step->row.started_ms = clock_now(&system_clock);
	step->row.ended_ms = 0;
	step->starts = true;
}

static void retry_due(void *context)
{
	struct run *run = context;

	for (size_t i = 0; i < run->step_count; i++)
		run->schedule_steps[i].held = false;
	run_turn(run);
}

static void hold(struct run *run, size_t at)
{
	run->schedule_steps[at].held = true;
	if (!run->retry)
		run->retry = loop_add_timer(run->options->loop, RETRY_MS, retry_due, run);
	else
		watch_set_delay(run->retry, RETRY_MS);
}

/* A step may start: unless somebody else deploys the service now, or has done so already. */
static bool begin_step(struct run *run, size_t at, struct error *err)
{
	struct run_step *step = &run->steps[at];
	bool held = false;

	if (!stage_lock(run, step, &held, err))
		return false;
	if (held) {
		hold(run, at);
		return true;
	}
	if (step->kind == STEP_DEPLOY && !settle_before_deploy(run, step, err))
		return false;
	if (step->row.status == OUTCOME_WAITING)
		mark_started(run, at);
	else
		stage_unlock(step);
	return true;
}

/* Everything that can be decided now. *out_finished: all steps have ended. */
static bool decide(struct run *run, bool *out_finished, struct error *err)
{
	for (;;) {
		struct schedule_act act = schedule_decide(&run->schedule);
		const struct run_step *cause = &run->steps[act.cause];

		*out_finished = act.kind == SCHEDULE_FINISHED;
		switch (act.kind) {
		case SCHEDULE_WAIT:
		case SCHEDULE_FINISHED:
			return true;
		case SCHEDULE_START:
			if (!begin_step(run, act.step, err))
				return false;
			break;
		case SCHEDULE_STOP:
			run->schedule_steps[act.step].stopping = true;
			run->steps[act.step].stops = true;
			run->steps[act.step].stopped_by = act.cause;
			break;
		case SCHEDULE_BLOCK:
			run_set(run, act.step, OUTCOME_SKIPPED, "%s of %s did not end well",
				cause->row.name, cause->row.service);
			run->steps[act.step].row.exit_status = BLOCKED_STATUS;
			run->schedule_steps[act.step].blocked = true;
			break;
		case SCHEDULE_CANCEL:
			run_set(run, act.step, OUTCOME_CANCELLED, "%s", run->row.reason);
			break;
		}
	}
}

/* Images that came out in this turn may make later steps needless. */
static bool look_at_images(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];

		if (step->changed && step->kind == STEP_IMAGE &&
			step->row.status == OUTCOME_PASSED) {
			if (!settle_image(run, step->service, err) ||
				!ledger_work_save(run->options->ledger,
					&run->services[step->service].work, err))
				return false;
		}
	}
	return true;
}

static bool save_steps(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];

		if (!step->changed)
			continue;
		if (!ledger_step_save(run->options->ledger, &step->row, err) ||
			!settle_step(run, step, err))
			return false;
		if (step->row.status != OUTCOME_WAITING)
			note_step(run, step);
		step->changed = false;
	}
	return true;
}

static bool save_events(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->event_count; i++) {
		int64_t id = 0;

		if (!ledger_event_save(run->options->ledger, run->row.id, run->events[i].name,
			    run->events[i].fields, &id, err))
			return false;
		json_set(run->events[i].fields, "id", json_int_new(id));
	}
	return true;
}

static void emit_events(struct run *run)
{
	for (size_t i = 0; i < run->event_count; i++)
		event_emit(run->events[i].name, run->events[i].fields);
	run->event_count = 0;
}

/* The transaction of a turn; first: the run's own rows are written as well. */
static bool journal(struct run *run, bool first, bool *out_finished, struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = run->options->ledger;

	if (!ledger_begin(open, err))
		return false;
	if (first && (!ledger_run_save(open, &run->row, err) || !run_save_prepared(run, err)))
		return false;
	if (!look_at_images(run, err) || !decide(run, out_finished, err) || !save_steps(run, err) ||
		!settle_services(run, err))
		return false;
	if (*out_finished && !settle_run(run, err))
		return false;
	return save_events(run, err) && ledger_commit(open, err);
}

static void child_ended(void *context)
{
	struct run_step *step = context;

	stage_end(step->run, step);
	run_turn(step->run);
}

static void stop_over(void *context)
{
	struct run *run = context;

	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].watch && run->schedule_steps[i].stopping)
			kill(-run->steps[i].process.pid, SIGKILL);
}

static void stop_steps(struct run *run)
{
	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];

		if (!step->stops || !step->watch)
			continue;
		step->stops = false;
		kill(-step->process.pid, SIGTERM);
		if (run->stopping)
			watch_set_delay(run->stopping, GRACE_MS);
		else
			run->stopping =
				loop_add_timer(run->options->loop, GRACE_MS, stop_over, run);
	}
}

/* Starts what the ledger knows as running. Returns false when one could not start: another turn. */
static bool act(struct run *run)
{
	bool all = true;

	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];
		scoped(error_free) struct error err = {0};

		if (!step->starts)
			continue;
		step->starts = false;
		if (stage_start(run, step, &err)) {
			step->watch = loop_add_process(run->options->loop, step->process.pidfd,
				child_ended, step);
			continue;
		}
		stage_unlock(step);
		error_next_by_reason(&err);
		stage_note(run, step, &err);
		step->row.ended_ms = clock_now(&system_clock);
		step->row.exit_status = error_exit_status(err.kind);
		run_set(run, i, OUTCOME_ERROR, "%s", err.message);
		all = false;
	}
	stop_steps(run);
	return all;
}

/* We could not write: the children end, and the ledger, which still says "running", leads this engine
 * or the next one to take the run over. */
static void give_up(struct run *run, struct error *err)
{
	error_while(err, "recording run %lld", (long long)run->row.id);
	if (!run->options->stays)
		error_next(err,
			"\"dogshore run\" takes it over when the ledger can be written again");
	run_abandon(run);
	run->row.status = OUTCOME_RUNNING;
	run->ended = run->unrecorded = true;
	run->over(run, err);
}

static void turn(struct run *run, bool first)
{
	scoped(error_free) struct error err = {0};
	bool finished = false;

	/* A timer that was due when it ended. */
	if (run->ended)
		return;
	do {
		if (!journal(run, first, &finished, &err)) {
			give_up(run, &err);
			return;
		}
		first = false;
		emit_events(run);
	} while (!act(run));
	if (finished) {
		run->ended = true;
		run->over(run, NULL);
	}
}

void run_turn(struct run *run)
{
	turn(run, false);
}

static bool record_end(struct run *run, struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = run->options->ledger;

	return ledger_begin(open, err) && ledger_run_save(open, &run->row, err) &&
	       run_close_steps(open, run->row.id, run->row.reason, err) && save_events(run, err) &&
	       ledger_commit(open, err);
}

/* Something is wrong before any step can be taken: the run ends, and says why. */
static void end_without_steps(struct run *run, const char *what, struct error *why)
{
	scoped(error_free) struct error err = {0};

	free(run->row.reason);
	run->row.reason = why->next ? memory_format("%s%s (%s)", what, why->message, why->next)
				    : memory_format("%s%s", what, why->message);
	run->row.status = outcome_of_exit_status(error_exit_status(why->kind));
	run->row.ended_ms = clock_now(&system_clock);
	run_note(run, "run.ended",
		json_object_of("status", json_text_new(outcome_name(run->row.status)), "reason",
			json_text_new(run->row.reason), NULL));
	if (!record_end(run, &err)) {
		give_up(run, &err);
		return;
	}
	emit_events(run);
	run->ended = true;
	run->over(run, why);
}

void run_end_lost(struct run *run, struct error *why)
{
	end_without_steps(run, "it could not be taken over: ", why);
}

void run_start(struct run *run)
{
	scoped(error_free) struct error err = {0};

	run->row.started_ms = clock_now(&system_clock);
	run->row.status = OUTCOME_RUNNING;
	if (!run_prepare(run, &err)) {
		end_without_steps(run, "", &err);
		return;
	}
	run_note(run, "run.started",
		json_object_of("commit", json_text_new(run->row.commit), "branch",
			json_text_new(run->row.branch), "environment",
			json_text_new(run->row.environment), "subject",
			json_text_new(run->row.subject), "steps",
			json_int_new((int64_t)run->step_count), NULL));
	turn(run, true);
}

static void kill_children(struct run *run, int number)
{
	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].watch)
			kill(-run->steps[i].process.pid, number);
}

static void grace_over(void *context)
{
	struct run *run = context;

	kill_children(run, SIGKILL);
}

void run_cancel(struct run *run, const char *reason)
{
	if (run->schedule.cancelled || run->ended)
		return;
	run->schedule.cancelled = true;
	free(run->row.reason);
	run->row.reason = memory_copy_text(reason);
	kill_children(run, SIGTERM);
	run->killing = loop_add_timer(run->options->loop, GRACE_MS, grace_over, run);
	run_turn(run);
}

void run_abandon(struct run *run)
{
	/* All at once, so that we wait for the slowest, not for one after the other. */
	kill_children(run, SIGTERM);
	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];
		struct process_exit exit;

		if (!step->watch)
			continue;
		loop_remove(run->options->loop, &step->watch);
		process_stop(&step->process, GRACE_MS, &exit);
		process_free(&step->process);
		stage_unlock(step);
	}
}
