#include "base/memory.h"
#include "pipeline/ledger/ledger.h"
#include "pipeline/ledger/rows.h"

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

static bool save_commit(struct db *db, const struct ledger_run *run, struct error *err)
{
	return db_exec(db,
		"INSERT INTO commits (id, author, subject, seen_ms) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		db_values(row_text(run->commit), row_text(run->author), row_text(run->subject),
			row_now()),
		NULL, err);
}

bool ledger_run_save(struct ledger *ledger, struct ledger_run *run, struct error *err)
{
	struct db *db = ledger_db(ledger);
	const char *insert =
		"INSERT INTO runs (repository, app, commit_id, branch, environment, status, reason,"
		" plan, folder, force, release_id, created_ms, started_ms, ended_ms,"
		" fresh) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
	const char *update =
		"UPDATE runs SET repository = $1, app = $2, commit_id = $3, branch = $4,"
		" environment = $5, status = $6, reason = $7, plan = $8, folder = $9, force = $10,"
		" release_id = $11, created_ms = $12, started_ms = $13, ended_ms = $14,"
		" fresh = $15 WHERE id = $16";
	struct db_value values[] = {row_text(run->repository), row_text(run->app),
		row_text(run->commit), row_text(run->branch), row_text(run->environment),
		row_text(outcome_name(run->status)), row_text(run->reason), row_text(run->plan),
		row_text(run->folder), row_text(run->force), db_of_int(run->release),
		db_of_int(run->created_ms), db_of_int(run->started_ms), db_of_int(run->ended_ms),
		db_of_int(run->fresh), db_of_int(run->id)};

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
	" coalesce(c.author, ''), coalesce(c.subject, ''), fresh"                                  \
	" FROM runs r LEFT JOIN commits c ON c.id = r.commit_id "

static bool read_run(struct db_rows *rows, void *item, struct error *err)
{
	struct ledger_run run = {
		.id = db_int(rows, 0),
		.repository = row_column(rows, 1),
		.app = row_column(rows, 2),
		.commit = row_column(rows, 3),
		.branch = row_column(rows, 4),
		.environment = row_column(rows, 5),
		.reason = row_column(rows, 7),
		.plan = row_column(rows, 8),
		.folder = row_column(rows, 9),
		.force = row_column(rows, 10),
		.release = db_int(rows, 11),
		.created_ms = db_int(rows, 12),
		.started_ms = db_int(rows, 13),
		.ended_ms = db_int(rows, 14),
		.author = row_column(rows, 15),
		.subject = row_column(rows, 16),
		.fresh = db_int(rows, 17) != 0,
	};
	bool known = outcome_of_name(db_text(rows, 6), &run.status);

	*(struct ledger_run *)item = run;
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

/*
 * Only what is asked for, so that SQLite can use an index: "$1 IS NULL OR …" read all runs there ever
 * were. A "+" says which index not to use: the one by branch sorts only when all of it is given, and
 * what did not end is found fastest by the index that has nothing else.
 */
static void write_question(const struct ledger_run_filter *filter, struct buf *out)
{
	bool by_branch =
		!filter->open && filter->repository && filter->branch && filter->environment;
	const char *no_index = by_branch ? "" : "+";

	buf_printf(out, "%s WHERE %s", RUN_COLUMNS, filter->open ? "ended_ms = 0" : "true");
	if (filter->repository)
		buf_printf(out, " AND %srepository = $1", no_index);
	if (filter->branch)
		buf_printf(out, " AND %sbranch = $2", no_index);
	if (filter->environment)
		buf_printf(out, " AND %senvironment = $3", no_index);
	if (filter->commit)
		buf_append_text(out, " AND commit_id = $4");
	buf_append_text(out, " ORDER BY r.id DESC LIMIT $5");
}

bool ledger_runs_find(struct ledger *ledger, const struct ledger_run_filter *filter,
	struct ledger_runs *out_runs, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	scoped(buf_free) struct buf question = {0};

	write_question(filter, &question);
	if (!db_query(ledger_db(ledger), buf_text(&question),
		    db_values(db_of_text(filter->repository), db_of_text(filter->branch),
			    db_of_text(filter->environment), db_of_text(filter->commit),
			    db_of_int(filter->limit ? (int64_t)filter->limit : 1000)),
		    &rows, err) ||
		!rows_read(&rows, read_run, sizeof(*runs.items), &runs.items, &runs.count, err))
		return false;
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
	struct db_value values[] = {db_of_int(step->run), row_text(step->service),
		row_text(step->name), row_text(outcome_name(step->status)), row_text(step->reason),
		row_text(step->token), row_text(step->result), db_of_int(step->attempts),
		db_of_int(step->started_ms), db_of_int(step->ended_ms),
		db_of_int(step->exit_status), db_of_int(step->id)};

	if (!db_exec(db, step->id ? update : insert, values,
		    step->id ? countof(values) : countof(values) - 1, NULL, err))
		return error_while(err, "recording the step %s of %s", step->name, step->service);
	if (!step->id)
		step->id = db_last_id(db);
	return true;
}

static bool read_step(struct db_rows *rows, void *item, struct error *err)
{
	struct ledger_step step = {
		.id = db_int(rows, 0),
		.run = db_int(rows, 1),
		.service = row_column(rows, 2),
		.name = row_column(rows, 3),
		.reason = row_column(rows, 5),
		.token = row_column(rows, 6),
		.result = row_column(rows, 7),
		.attempts = db_int(rows, 8),
		.started_ms = db_int(rows, 9),
		.ended_ms = db_int(rows, 10),
		.exit_status = (int)db_int(rows, 11),
	};
	bool known = outcome_of_name(db_text(rows, 4), &step.status);

	*(struct ledger_step *)item = step;
	return known || error_raise(err, ERROR_INVALID, "step %lld has the unknown status \"%s\"",
				(long long)step.id, db_text(rows, 4));
}

bool ledger_steps_find(struct ledger *ledger, int64_t run, struct ledger_steps *out_steps,
	struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	if (!db_query(ledger_db(ledger),
		    "SELECT id, run, service, name, status, reason, token, result, attempts,"
		    " started_ms, ended_ms, exit_status FROM steps WHERE run = $1 ORDER BY id",
		    db_values(db_of_int(run)), &rows, err) ||
		!rows_read(&rows, read_step, sizeof(*steps.items), &steps.items, &steps.count, err))
		return false;
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
