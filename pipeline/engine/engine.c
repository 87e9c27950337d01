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

/* A run whose end could not be recorded: the ledger still says that it is under way. */
struct unrecorded {
	int64_t id;
	char *environment; /* owned; it stays busy */
	struct unrecorded *following;
};

struct engine {
	struct engine_options options;
	struct run *runs;              /* owned: waiting and under way, the oldest first */
	struct spare spare;            /* the next stage's process, if there is one */
	struct watch *clearing;        /* frees runs that ended, once nobody is inside them */
	struct unrecorded *unrecorded; /* owned; only when the engine stays */
	struct watch *recording;       /* takes them up again */
	int64_t pause_ms;              /* before it does */
};

enum { PAUSE_MS = 500, PAUSE_MS_MAX = 30000 };

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

	if (!run->ended && run_is_asked_to_cancel(run))
		engine_cancel(run->engine, run->row.id, "it was cancelled");
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *engine = memory_new(sizeof(*engine));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	engine->options = *options;
	if (!engine->options.jobs)
		engine->options.jobs = processors > 0 ? (size_t)processors : 1;
	if (options->stays && !options->program)
		spare_start(&engine->spare);
	engine->pause_ms = PAUSE_MS;
	return engine;
}

static void unrecorded_free(struct unrecorded **at)
{
	struct unrecorded *gone = *at;

	*at = gone->following;
	free(gone->environment);
	free(gone);
}

void engine_free(struct engine **engine)
{
	struct engine *gone = *engine;

	if (!gone)
		return;
	while (gone->runs) {
		struct run *run = gone->runs;

		gone->runs = run->following;
		if (run->ended)
			prune_after(run);
		else
			run_abandon(run);
		run_free(&run);
	}
	while (gone->unrecorded)
		unrecorded_free(&gone->unrecorded);
	loop_remove(gone->options.loop, &gone->recording);
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
	/* What it began must not be gone on with after what came later. */
	for (const struct unrecorded *at = engine->unrecorded; at; at = at->following)
		if (strcmp(at->environment, other->row.environment) == 0)
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
		prune_after(run);
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

static void take_up_unrecorded(void *context);

/* The disk may have room again, or the lock be gone, in a moment or in an hour. */
static void take_up_later(struct engine *engine)
{
	if (!engine->recording)
		engine->recording = loop_add_timer(engine->options.loop, engine->pause_ms,
			take_up_unrecorded, engine);
	else
		watch_set_delay(engine->recording, engine->pause_ms);
}

static void remember_unrecorded(struct engine *engine, const struct run *run)
{
	struct unrecorded **end = &engine->unrecorded;

	while (*end)
		end = &(*end)->following;
	*end = memory_new(sizeof(**end));
	(*end)->id = run->row.id;
	(*end)->environment = memory_copy_text(run->row.environment);
	take_up_later(engine);
}

static void run_is_over(struct run *run, const struct error *err)
{
	struct engine *engine = run->engine;

	if (run->lock)
		descriptor_close(&run->lock);
	run->lock = 0;
	if (!run->unrecorded)
		engine->pause_ms = PAUSE_MS;
	else if (engine->options.stays)
		remember_unrecorded(engine, run);
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
		.fresh = request->fresh,
		.created_ms = clock_now(&system_clock),
	};
}

/* A waiting run of the same branch and environment has nothing left to do: a newer commit came. */
static bool is_superseded(const struct run *run, const struct run *by)
{
	return run != by && !run->ended && run->row.status == OUTCOME_WAITING && *run->row.branch &&
	       strcmp(run->row.branch, by->row.branch) == 0 &&
	       strcmp(run->row.environment, by->row.environment) == 0;
}

static bool record_superseded(struct engine *engine, const struct run *by, struct error *err)
{
	scoped(text_free) char *reason = memory_format("%.12s came after it (run %lld)",
		by->row.commit, (long long)by->row.id);

	for (struct run *run = engine->runs; run; run = run->following) {
		if (!is_superseded(run, by))
			continue;
		/* A copy: the run itself waits on when all this is not committed. */
		struct ledger_run row = run->row;

		row.reason = reason;
		row.status = OUTCOME_SUPERSEDED;
		row.ended_ms = clock_now(&system_clock);
		if (!ledger_run_save(engine->options.ledger, &row, err) ||
			!ledger_event_save(engine->options.ledger, row.id, "run.superseded", NULL,
				NULL, err))
			return false;
	}
	return true;
}

static void end_superseded(struct engine *engine, const struct run *by)
{
	for (struct run *run = engine->runs; run; run = run->following) {
		if (!is_superseded(run, by))
			continue;
		run->row.status = OUTCOME_SUPERSEDED;
		run->ended = true;
	}
}

static bool record(struct engine *engine, struct run *run, struct error *err)
{
	scoped(ledger_rollback) struct ledger *open = engine->options.ledger;

	if (!ledger_begin(open, err) || !ledger_run_save(open, &run->row, err) ||
		!run_open_folder(run, err) || !ledger_run_save(open, &run->row, err) ||
		!record_superseded(engine, run, err) || !ledger_commit(open, err))
		return false;
	end_superseded(engine, run);
	return true;
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
		run_end_lost(run, &why);
		return true;
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

/* Takes up one of the runs that we could not record, unless somebody else did or ended it. */
static bool take_up(struct engine *engine, int64_t id, struct error *err)
{
	scoped(ledger_run_free) struct ledger_run row = {0};
	int64_t newest = 0;

	return ledger_run_get(engine->options.ledger, id, &row, err) &&
	       (outcome_is_final(row.status) || take_over(engine, &row, &newest, err));
}

static void take_up_unrecorded(void *context)
{
	struct engine *engine = context;
	struct unrecorded *again = engine->unrecorded;

	engine->pause_ms =
		engine->pause_ms < PAUSE_MS_MAX / 2 ? 2 * engine->pause_ms : PAUSE_MS_MAX;
	/* A run that cannot be recorded this time either comes back to the list. */
	engine->unrecorded = NULL;
	while (again) {
		scoped(error_free) struct error err = {0};
		struct unrecorded **end = &engine->unrecorded;

		if (take_up(engine, again->id, &err)) {
			unrecorded_free(&again);
			continue;
		}
		error_ignore(&err, "its first failure was told; it is tried again");
		while (*end)
			end = &(*end)->following;
		*end = again;
		again = again->following;
		(*end)->following = NULL;
		take_up_later(engine);
	}
	start_waiting(engine);
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
