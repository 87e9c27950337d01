#include "base/clock.h"
#include "base/memory.h"
#include "pipeline/ledger/ledger.h"

#include <stdlib.h>

void ledger_run_free(struct ledger_run *run)
{
	free(run->repository);
	free(run->app);
	free(run->commit);
	free(run->branch);
	free(run->environment);
	free(run->subject);
	free(run->author);
	free(run->reason);
	free(run->plan);
	free(run->folder);
	free(run->force);
	*run = (struct ledger_run){0};
}

void ledger_runs_free(struct ledger_runs *runs)
{
	for (size_t i = 0; i < runs->count; i++)
		ledger_run_free(&runs->items[i]);
	free(runs->items);
	*runs = (struct ledger_runs){0};
}

static struct db_value text(const char *value)
{
	return db_of_text(value ? value : "");
}

static bool save_commit(struct db *db, const struct ledger_run *run, struct error *err)
{
	return db_exec(db,
		"INSERT INTO commits (id, author, subject, seen_ms) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		db_values(text(run->commit), text(run->author), text(run->subject),
			db_of_int(clock_now(&system_clock))),
		NULL, err);
}

bool ledger_run_save(struct ledger *ledger, struct ledger_run *run, struct error *err)
{
	struct db *db = ledger_db(ledger);
	const char *insert =
		"INSERT INTO runs (repository, app, commit_id, branch, environment, status, reason,"
		" plan, folder, force, release_id, created_ms, started_ms, ended_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
	const char *update =
		"UPDATE runs SET repository = $1, app = $2, commit_id = $3, branch = $4,"
		" environment = $5, status = $6, reason = $7, plan = $8, folder = $9, force = $10,"
		" release_id = $11, created_ms = $12, started_ms = $13, ended_ms = $14"
		" WHERE id = $15";
	struct db_value values[] = {text(run->repository), text(run->app), text(run->commit),
		text(run->branch), text(run->environment), text(outcome_name(run->status)),
		text(run->reason), text(run->plan), text(run->folder), text(run->force),
		db_of_int(run->release), db_of_int(run->created_ms), db_of_int(run->started_ms),
		db_of_int(run->ended_ms), db_of_int(run->id)};

	if (!run->id && !save_commit(db, run, err))
		return false;
	if (!db_exec(db, run->id ? update : insert, values,
		    run->id ? countof(values) : countof(values) - 1, NULL, err))
		return error_while(err, "recording a run of commit %s", run->commit);
	if (!run->id)
		run->id = db_last_id(db);
	return true;
}

#define RUN_COLUMNS                                                                                \
	"SELECT r.id, repository, app, commit_id, branch, environment, status, reason, plan,"      \
	" folder, force, release_id, created_ms, started_ms, ended_ms,"                            \
	" coalesce(c.author, ''), coalesce(c.subject, '')"                                         \
	" FROM runs r LEFT JOIN commits c ON c.id = r.commit_id "

static char *column(struct db_rows *rows, int number)
{
	return str_copy(db_str(rows, number));
}

static bool read_run(struct db_rows *rows, struct ledger_run *out, struct error *err)
{
	struct ledger_run run = {
		.id = db_int(rows, 0),
		.repository = column(rows, 1),
		.app = column(rows, 2),
		.commit = column(rows, 3),
		.branch = column(rows, 4),
		.environment = column(rows, 5),
		.reason = column(rows, 7),
		.plan = column(rows, 8),
		.folder = column(rows, 9),
		.force = column(rows, 10),
		.release = db_int(rows, 11),
		.created_ms = db_int(rows, 12),
		.started_ms = db_int(rows, 13),
		.ended_ms = db_int(rows, 14),
		.author = column(rows, 15),
		.subject = column(rows, 16),
	};
	bool known = outcome_of_name(db_text(rows, 6), &run.status);

	*out = run;
	return known || error_raise(err, ERROR_INVALID, "run %lld has the unknown status \"%s\"",
				(long long)run.id, db_text(rows, 6));
}

bool ledger_run_get(struct ledger *ledger, int64_t id, struct ledger_run *out_run,
	struct error *err)
{
	struct db *db = ledger_db(ledger);
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};
	bool more = false, found = false;
	int64_t newest = 0;

	if (!db_query(db, RUN_COLUMNS "WHERE r.id = $1", db_values(db_of_int(id)), &rows, err) ||
		!db_next(&rows, &more, err))
		return false;
	if (more) {
		if (!read_run(&rows, &run, err))
			return false;
		*out_run = run;
		run = (struct ledger_run){0};
		return true;
	}
	error_raise(err, ERROR_NOT_FOUND, "there is no run %lld", (long long)id);
	if (db_get_int(db, "SELECT coalesce(max(id), 0) FROM runs", db_no_values, &newest, &found,
		    NULL) &&
		newest)
		return error_next(err, "the newest is %lld; \"dogshore runs\" lists them",
			(long long)newest);
	return error_next(err, "there are none yet: dogshore run");
}

bool ledger_runs_find(struct ledger *ledger, const struct ledger_run_filter *filter,
	struct ledger_runs *out_runs, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	bool more = false;
	/* A NULL parameter matches everything; the planner still uses the index on open runs. */
	const char *all = RUN_COLUMNS
		"WHERE ($1 IS NULL OR repository = $1) AND ($2 IS NULL OR branch = $2)"
		" AND ($3 IS NULL OR environment = $3) AND ($4 IS NULL OR commit_id = $4)"
		" ORDER BY r.id DESC LIMIT $5";
	const char *open = RUN_COLUMNS
		"WHERE ended_ms = 0 AND ($1 IS NULL OR repository = $1) AND ($2 IS NULL OR branch "
		"= "
		"$2)"
		" AND ($3 IS NULL OR environment = $3) AND ($4 IS NULL OR commit_id = $4)"
		" ORDER BY r.id DESC LIMIT $5";

	if (!db_query(ledger_db(ledger), filter->open ? open : all,
		    db_values(db_of_text(filter->repository), db_of_text(filter->branch),
			    db_of_text(filter->environment), db_of_text(filter->commit),
			    db_of_int(filter->limit ? (int64_t)filter->limit : 1000)),
		    &rows, err))
		return false;
	for (;;) {
		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			break;
		runs.items = memory_resize(runs.items, (runs.count + 1) * sizeof(*runs.items));
		if (!read_run(&rows, &runs.items[runs.count++], err))
			return false;
	}
	*out_runs = runs;
	runs = (struct ledger_runs){0};
	return true;
}

void ledger_step_free(struct ledger_step *step)
{
	free(step->service);
	free(step->name);
	free(step->reason);
	free(step->token);
	free(step->result);
	*step = (struct ledger_step){0};
}

void ledger_steps_free(struct ledger_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		ledger_step_free(&steps->items[i]);
	free(steps->items);
	*steps = (struct ledger_steps){0};
}

bool ledger_step_save(struct ledger *ledger, struct ledger_step *step, struct error *err)
{
	struct db *db = ledger_db(ledger);
	const char *insert = "INSERT INTO steps (run, service, name, status, reason, token, result,"
			     " attempts, started_ms, ended_ms, exit_status)"
			     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
	const char *update =
		"UPDATE steps SET run = $1, service = $2, name = $3, status = $4, reason = $5,"
		" token = $6, result = $7, attempts = $8, started_ms = $9, ended_ms = $10,"
		" exit_status = $11 WHERE id = $12";
	struct db_value values[] = {db_of_int(step->run), text(step->service), text(step->name),
		text(outcome_name(step->status)), text(step->reason), text(step->token),
		text(step->result), db_of_int(step->attempts), db_of_int(step->started_ms),
		db_of_int(step->ended_ms), db_of_int(step->exit_status), db_of_int(step->id)};

	if (!db_exec(db, step->id ? update : insert, values,
		    step->id ? countof(values) : countof(values) - 1, NULL, err))
		return error_while(err, "recording the step %s of %s", step->name, step->service);
	if (!step->id)
		step->id = db_last_id(db);
	return true;
}

static bool read_step(struct db_rows *rows, struct ledger_step *out, struct error *err)
{
	struct ledger_step step = {
		.id = db_int(rows, 0),
		.run = db_int(rows, 1),
		.service = column(rows, 2),
		.name = column(rows, 3),
		.reason = column(rows, 5),
		.token = column(rows, 6),
		.result = column(rows, 7),
		.attempts = db_int(rows, 8),
		.started_ms = db_int(rows, 9),
		.ended_ms = db_int(rows, 10),
		.exit_status = (int)db_int(rows, 11),
	};
	bool known = outcome_of_name(db_text(rows, 4), &step.status);

	*out = step;
	return known || error_raise(err, ERROR_INVALID, "step %lld has the unknown status \"%s\"",
				(long long)step.id, db_text(rows, 4));
}

bool ledger_steps_find(struct ledger *ledger, int64_t run, struct ledger_steps *out_steps,
	struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	bool more = false;

	if (!db_query(ledger_db(ledger),
		    "SELECT id, run, service, name, status, reason, token, result, attempts,"
		    " started_ms, ended_ms, exit_status FROM steps WHERE run = $1 ORDER BY id",
		    db_values(db_of_int(run)), &rows, err))
		return false;
	for (;;) {
		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			break;
		steps.items = memory_resize(steps.items, (steps.count + 1) * sizeof(*steps.items));
		if (!read_step(&rows, &steps.items[steps.count++], err))
			return false;
	}
	*out_steps = steps;
	steps = (struct ledger_steps){0};
	return true;
}

bool ledger_count_runs(struct ledger *ledger, int64_t *out_counts, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	bool more = false;

	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		out_counts[i] = 0;
	if (!db_query(ledger_db(ledger), "SELECT status, count(*) FROM runs GROUP BY status",
		    db_no_values, &rows, err))
		return false;
	for (;;) {
		enum outcome outcome = OUTCOME_UNKNOWN;

		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			return true;
		if (outcome_of_name(db_text(&rows, 0), &outcome))
			out_counts[outcome] = db_int(&rows, 1);
	}
}
