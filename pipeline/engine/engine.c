#include "pipeline/engine/engine.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/run.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct engine {
	struct engine_options options;
	struct run *runs;       /* owned: waiting and under way, the oldest first */
	struct spare spare;     /* the next stage's process, if there is one */
	struct watch *clearing; /* frees runs that ended, once nobody is inside them */
};

static const char cancel_name[] = "cancel";

enum { FOLDERS_KEPT = 200 };

static struct run *run_of(struct engine *engine, int64_t id)
{
	for (struct run *run = engine->runs; run; run = run->following)
		if (run->row.id == id)
			return run;
	return NULL;
}

/* Somebody left something in a run's folder. */
static void look_for_cancel(void *context)
{
	struct run *run = context;
	scoped(text_free) char *path = path_join(run->row.folder, cancel_name);

	if (!run->ended && file_exists(path))
		engine_cancel(run->engine, run->row.id, "it was cancelled");
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *engine = memory_new(sizeof(*engine));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	engine->options = *options;
	if (!engine->options.jobs)
		engine->options.jobs = processors > 0 ? (size_t)processors : 1;
	if (options->waits && !options->program)
		spare_start(&engine->spare);
	return engine;
}

void engine_free(struct engine **engine)
{
	struct engine *gone = *engine;

	if (!gone)
		return;
	while (gone->runs) {
		struct run *run = gone->runs;

		gone->runs = run->following;
		if (!run->ended)
			run_abandon(run);
		run_free(&run);
	}
	loop_remove(gone->options.loop, &gone->clearing);
	spare_free(&gone->spare);
	free(gone);
	*engine = NULL;
}

static bool environment_is_busy(const struct engine *engine, const struct run *other)
{
	for (const struct run *run = engine->runs; run; run = run->following)
		if (run != other && !run->ended && run->row.status == OUTCOME_RUNNING &&
			strcmp(run->row.environment, other->row.environment) == 0)
			return true;
	return false;
}

static void start_waiting(struct engine *engine)
{
	for (struct run *run = engine->runs; run; run = run->following)
		if (!run->ended && run->row.status == OUTCOME_WAITING &&
			!environment_is_busy(engine, run))
			run_start(run);
}

/* Logs and artifacts of old runs go; what the ledger says of them stays. One ends, one goes. */
static void forget_old_folder(struct engine *engine, int64_t newest)
{
	scoped(ledger_run_free) struct ledger_run old = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *runs = path_join(engine->options.state, "runs");

	if (newest <= FOLDERS_KEPT)
		return;
	if (!ledger_run_get(engine->options.ledger, newest - FOLDERS_KEPT, &old, &err) ||
		!outcome_is_final(old.status) || !path_is_below(old.folder, runs) ||
		!folder_remove(old.folder, &err))
		error_ignore(&err, "space is all that is lost");
}

/* Runs that ended are freed from the loop: their own functions are still on the stack when they end. */
static void clear_ended(void *context)
{
	struct engine *engine = context;

	for (struct run **at = &engine->runs; *at;) {
		struct run *run = *at;

		if (!run->ended) {
			at = &run->following;
			continue;
		}
		*at = run->following;
		forget_old_folder(engine, run->row.id);
		run_free(&run);
	}
	start_waiting(engine);
}

static void clear_soon(struct engine *engine)
{
	if (!engine->clearing)
		engine->clearing = loop_add_timer(engine->options.loop, 0, clear_ended, engine);
	else
		watch_set_delay(engine->clearing, 0);
}

static void run_is_over(struct run *run, const struct error *err)
{
	struct engine *engine = run->engine;

	if (run->lock)
		descriptor_close(&run->lock);
	run->lock = 0;
	clear_soon(engine);
	if (engine->options.ended)
		engine->options.ended(engine->options.context, &run->row, err);
}

static struct run *add_run(struct engine *engine)
{
	struct run **end = &engine->runs;

	while (*end)
		end = &(*end)->following;
	*end = memory_new(sizeof(**end));
	(*end)->options = &engine->options;
	(*end)->engine = engine;
	(*end)->spare = engine->options.program ? NULL : &engine->spare;
	(*end)->over = run_is_over;
	return *end;
}

static void drop_run(struct engine *engine, struct run *gone)
{
	struct run **at = &engine->runs;

	while (*at != gone)
		at = &(*at)->following;
	*at = gone->following;
	run_free(&gone);
}

static void watch_folder(struct engine *engine, struct run *run)
{
	scoped(error_free) struct error err = {0};

	/* Without it a cancellation is not seen; it is no reason not to run. */
	if (!bell_hang(&run->bell, run->row.folder, engine->options.loop, look_for_cancel, run,
		    &err))
		event_emit("engine.deaf", json_object_of("run", json_int_new(run->row.id), "reason",
						  json_text_new(err.message), NULL));
}

static void fill_row(struct engine *engine, const struct engine_request *request,
	struct ledger_run *row)
{
	*row = (struct ledger_run){
		.repository = memory_copy_text(repository_git_folder(engine->options.repository)),
		.app = memory_copy_text(""),
		.commit = memory_copy_text(request->commit->id),
		.branch = memory_copy_text(request->branch),
		.environment = memory_copy_text(request->environment),
		.subject = memory_copy_text(request->commit->subject),
		.author = memory_copy_text(request->commit->author),
		.status = OUTCOME_WAITING,
		.reason = memory_copy_text(""),
		.plan = memory_copy_text(""),
		.folder = memory_copy_text(""),
		.force = memory_copy_text(request->force ? request->force : ""),
		.created_ms = clock_now(&system_clock),
	};
}

/* Waiting runs of the same branch and environment have nothing left to do: a newer commit came. */
static bool supersede(struct engine *engine, struct run *by, struct error *err)
{
	for (struct run *run = engine->runs; run; run = run->following) {
		if (run == by || run->ended || run->row.status != OUTCOME_WAITING ||
			strcmp(run->row.branch, by->row.branch) != 0 || !*run->row.branch ||
			strcmp(run->row.environment, by->row.environment) != 0)
			continue;
		free(run->row.reason);
		run->row.reason = memory_format("%.12s came after it (run %lld)", by->row.commit,
			(long long)by->row.id);
		run->row.status = OUTCOME_SUPERSEDED;
		run->row.ended_ms = clock_now(&system_clock);
		if (!ledger_run_save(engine->options.ledger, &run->row, err) ||
			!ledger_event_save(engine->options.ledger, run->row.id, "run.superseded",
				NULL, NULL, err))
			return false;
		run->ended = true;
	}
	return true;
}

static bool record(struct engine *engine, struct run *run, struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = engine->options.ledger;

	return ledger_begin(open, err) && ledger_run_save(open, &run->row, err) &&
	       run_open_folder(run, err) && ledger_run_save(open, &run->row, err) &&
	       supersede(engine, run, err) && ledger_commit(open, err);
}

bool engine_submit(struct engine *engine, const struct engine_request *request, int64_t *out_run,
	struct error *err)
{
	struct run *run = add_run(engine);

	fill_row(engine, request, &run->row);
	if (!record(engine, run, err)) {
		drop_run(engine, run);
		return error_while(err, "recording a run of commit %.12s", request->commit->id);
	}
	*out_run = run->row.id;
	watch_folder(engine, run);
	clear_soon(engine);
	event_emit("run.waiting",
		json_object_of("run", json_int_new(run->row.id), "commit",
			json_text_new(run->row.commit), "branch", json_text_new(run->row.branch),
			"environment", json_text_new(run->row.environment), NULL));
	if (!environment_is_busy(engine, run))
		run_start(run);
	return true;
}

/* A run whose commit cannot be read any more, or the like, ends here; others must still go on. */
static bool end_lost(struct engine *engine, struct run *run, struct error *why, struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = engine->options.ledger;

	free(run->row.reason);
	run->row.reason = memory_format("it could not be taken over: %s", why->message);
	run->row.status = OUTCOME_ERROR;
	run->row.ended_ms = clock_now(&system_clock);
	return ledger_begin(open, err) && ledger_run_save(open, &run->row, err) &&
	       ledger_commit(open, err);
}

static bool take_over(struct engine *engine, struct ledger_run *row, int64_t *out_newest,
	struct error *err)
{
	struct run *run = add_run(engine);
	scoped(error_free) struct error why = {0};
	bool got = false;

	run->row = *row;
	*row = (struct ledger_run){0};
	bool done = run_take(run, &got, err);

	if (!got) {
		drop_run(engine, run);
		return done;
	}
	*out_newest = run->row.id > *out_newest ? run->row.id : *out_newest;
	if (run->row.status == OUTCOME_WAITING) {
		watch_folder(engine, run);
		return true;
	}
	if (!run_restore(run, &why)) {
		bool ended = end_lost(engine, run, &why, err);

		drop_run(engine, run);
		return ended;
	}
	watch_folder(engine, run);
	run_note(run, "run.resumed", json_object_new());
	run_turn(run);
	return true;
}

bool engine_resume(struct engine *engine, const char *commit, const char *environment,
	int64_t *out_newest, struct error *err)
{
	scoped(ledger_runs_free) struct ledger_runs open = {0};
	int64_t newest = 0;

	if (!ledger_runs_find(engine->options.ledger,
		    &(struct ledger_run_filter){
			    .repository = repository_git_folder(engine->options.repository),
			    .commit = commit,
			    .environment = environment,
			    .open = true,
		    },
		    &open, err))
		return false;
	/* The oldest first, as they would have gone. */
	for (size_t i = open.count; i > 0; i--)
		if (!run_of(engine, open.items[i - 1].id) &&
			!take_over(engine, &open.items[i - 1], &newest, err))
			return false;
	start_waiting(engine);
	if (out_newest)
		*out_newest = newest;
	return true;
}

bool engine_cancel(struct engine *engine, int64_t id, const char *reason)
{
	struct run *run = run_of(engine, id);

	if (!run || run->ended)
		return false;
	if (run->row.status == OUTCOME_WAITING) {
		/* Nothing was prepared: one turn ends it. */
		run->row.status = OUTCOME_RUNNING;
		run->row.started_ms = clock_now(&system_clock);
	}
	run_cancel(run, reason);
	return true;
}

void engine_cancel_all(struct engine *engine, const char *reason)
{
	for (struct run *run = engine->runs; run; run = run->following)
		engine_cancel(engine, run->row.id, reason);
}

void engine_count(const struct engine *engine, size_t *out_waiting, size_t *out_running)
{
	*out_waiting = *out_running = 0;
	for (const struct run *run = engine->runs; run; run = run->following) {
		*out_waiting += !run->ended && run->row.status == OUTCOME_WAITING;
		*out_running += !run->ended && run->row.status == OUTCOME_RUNNING;
	}
}

static bool cancel_open_steps(struct ledger *ledger, int64_t run, struct error *err)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	if (!ledger_steps_find(ledger, run, &steps, err))
		return false;
	for (size_t i = 0; i < steps.count; i++) {
		if (outcome_is_final(steps.items[i].status))
			continue;
		steps.items[i].status = OUTCOME_CANCELLED;
		if (!ledger_step_save(ledger, &steps.items[i], err))
			return false;
	}
	return true;
}

bool engine_ask_cancel(struct ledger *ledger, int64_t id, bool *out_asked, struct error *err)
{
	scoped(ledger_run_free) struct ledger_run run = {0};
	scoped(ledger_rollback) struct ledger *open = ledger;

	*out_asked = false;
	if (!ledger_run_get(ledger, id, &run, err))
		return false;
	if (outcome_is_final(run.status))
		return error_raise(err, ERROR_CONFLICT, "run %lld has ended already: it %s",
			(long long)id, outcome_name(run.status));
	if (engine_is_alive(&run)) {
		scoped(text_free) char *path = path_join(run.folder, cancel_name);

		*out_asked = true;
		if (!file_write(path, str_literal("cancel\n"), 0600, false, err))
			return false;
		bell_ring(run.folder);
		return true;
	}
	free(run.reason);
	run.reason = memory_copy_text("it was cancelled; its engine had died before");
	run.status = OUTCOME_CANCELLED;
	run.ended_ms = clock_now(&system_clock);
	return ledger_begin(ledger, err) && cancel_open_steps(ledger, id, err) &&
	       ledger_run_save(ledger, &run, err) && ledger_commit(ledger, err);
}
