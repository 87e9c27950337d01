#include "base/memory.h"
#include "pipeline/ledger/ledger.h"
#include "pipeline/ledger/rows.h"

#include <stdlib.h>

void ledger_work_free(struct ledger_work *work)
{
	free(work->service);
	free(work->action);
	free(work->reason);
	free(work->key);
	free(work->previous_key);
	free(work->previous_commit);
	free(work->image);
	free(work->deploy_key);
	*work = (struct ledger_work){0};
}

bool ledger_work_save(struct ledger *ledger, const struct ledger_work *work, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"INSERT OR REPLACE INTO works (run, service, action, reason, key, previous_key,"
		" previous_commit, image, deploy_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		db_values(db_of_int(work->run), row_text(work->service), row_text(work->action),
			row_text(work->reason), row_text(work->key), row_text(work->previous_key),
			row_text(work->previous_commit), row_text(work->image),
			row_text(work->deploy_key)),
		NULL, err);
}

static bool read_work(struct db_rows *rows, void *item, struct error *err)
{
	(void)err;
	*(struct ledger_work *)item = (struct ledger_work){
		.run = db_int(rows, 0),
		.service = row_column(rows, 1),
		.action = row_column(rows, 2),
		.reason = row_column(rows, 3),
		.key = row_column(rows, 4),
		.previous_key = row_column(rows, 5),
		.previous_commit = row_column(rows, 6),
		.image = row_column(rows, 7),
		.deploy_key = row_column(rows, 8),
	};
	return true;
}

/* The one row there may be. */
static bool read_one_work(struct db_rows *rows, struct ledger_work *out, bool *out_found,
	struct error *err)
{
	return db_next(rows, out_found, err) && (!*out_found || read_work(rows, out, err));
}

#define WORK_COLUMNS                                                                               \
	"SELECT run, service, action, w.reason, key, previous_key, previous_commit, image,"        \
	" deploy_key FROM works w "

bool ledger_work_get(struct ledger *ledger, int64_t run, const char *service,
	struct ledger_work *out_work, bool *out_found, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};

	return db_query(ledger_db(ledger), WORK_COLUMNS "WHERE run = $1 AND service = $2",
		       db_values(db_of_int(run), row_text(service)), &rows, err) &&
	       read_one_work(&rows, out_work, out_found, err);
}

void ledger_works_free(struct ledger_works *works)
{
	for (size_t i = 0; i < works->count; i++)
		ledger_work_free(&works->items[i]);
	free(works->items);
	*works = (struct ledger_works){0};
}

bool ledger_works_find(struct ledger *ledger, int64_t run, struct ledger_works *out_works,
	struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_works_free) struct ledger_works list = {0};

	if (!db_query(ledger_db(ledger), WORK_COLUMNS "WHERE run = $1 ORDER BY service",
		    db_values(db_of_int(run)), &rows, err) ||
		!rows_read(&rows, read_work, sizeof(*list.items), &list.items, &list.count, err))
		return false;
	*out_works = list;
	list = (struct ledger_works){0};
	return true;
}

bool ledger_work_of_commit(struct ledger *ledger, const char *commit, const char *service,
	struct ledger_work *out_work, bool *out_found, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};

	return db_query(ledger_db(ledger),
		       WORK_COLUMNS "JOIN runs r ON r.id = w.run WHERE r.commit_id = $1"
				    " AND w.service = $2 ORDER BY r.id DESC LIMIT 1",
		       db_values(row_text(commit), row_text(service)), &rows, err) &&
	       read_one_work(&rows, out_work, out_found, err);
}

bool ledger_key_save(struct ledger *ledger, const char *key, const struct json *parts,
	struct error *err)
{
	scoped(buf_free) struct buf written = {0};

	json_write(parts, &written);
	return db_exec(ledger_db(ledger),
		"INSERT INTO keys (key, parts) VALUES ($1, $2) ON CONFLICT DO NOTHING",
		db_values(row_text(key), db_of_str(buf_str(&written))), NULL, err);
}

bool ledger_key_get(struct ledger *ledger, const char *key, struct json **out_parts,
	struct error *err)
{
	scoped(text_free) char *written = NULL;
	bool found = false;

	*out_parts = NULL;
	if (!db_get_text(ledger_db(ledger), "SELECT parts FROM keys WHERE key = $1",
		    db_values(row_text(key)), &written, &found, err))
		return false;
	return !found || json_parse(str_of(written), "parts of a key", NULL, out_parts, err);
}

void ledger_build_free(struct ledger_build *build)
{
	free(build->app);
	free(build->service);
	free(build->key);
	free(build->image);
	free(build->layout);
	*build = (struct ledger_build){0};
}

bool ledger_build_save(struct ledger *ledger, const struct ledger_build *build, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"INSERT OR REPLACE INTO builds (app, service, key, image, layout, run, created_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		db_values(row_text(build->app), row_text(build->service), row_text(build->key),
			row_text(build->image), row_text(build->layout), db_of_int(build->run),
			row_now()),
		NULL, err);
}

static bool read_build(struct db_rows *rows, void *item, struct error *err)
{
	(void)err;
	*(struct ledger_build *)item = (struct ledger_build){
		.app = row_column(rows, 0),
		.service = row_column(rows, 1),
		.key = row_column(rows, 2),
		.image = row_column(rows, 3),
		.layout = row_column(rows, 4),
		.run = db_int(rows, 5),
	};
	return true;
}

bool ledger_build_get(struct ledger *ledger, const char *app, const char *service, const char *key,
	struct ledger_build *out_build, bool *out_found, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};

	return db_query(ledger_db(ledger),
		       "SELECT app, service, key, image, layout, run FROM builds"
		       " WHERE app = $1 AND service = $2 AND key = $3",
		       db_values(row_text(app), row_text(service), row_text(key)), &rows, err) &&
	       db_next(&rows, out_found, err) && (!*out_found || read_build(&rows, out_build, err));
}

void ledger_builds_free(struct ledger_builds *builds)
{
	for (size_t i = 0; i < builds->count; i++)
		ledger_build_free(&builds->items[i]);
	free(builds->items);
	*builds = (struct ledger_builds){0};
}

bool ledger_build_use(struct ledger *ledger, const char *app, const char *service, const char *key,
	int64_t run, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"UPDATE builds SET run = $4 WHERE app = $1 AND service = $2 AND key = $3",
		db_values(row_text(app), row_text(service), row_text(key), db_of_int(run)), NULL,
		err);
}

bool ledger_builds_unused(struct ledger *ledger, const char *app, const char *service, size_t kept,
	struct ledger_builds *out_builds, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_builds_free) struct ledger_builds list = {0};

	if (!db_query(ledger_db(ledger),
		    "SELECT app, service, key, image, layout, run FROM builds b"
		    " WHERE app = $1 AND service = $2 AND layout != ''"
		    " AND NOT EXISTS (SELECT 1 FROM currents c WHERE c.app = b.app"
		    "  AND c.service = b.service AND c.image = b.image)"
		    " AND NOT EXISTS (SELECT 1 FROM runs r JOIN works w ON w.run = r.id"
		    "  WHERE r.ended_ms = 0 AND w.service = b.service AND w.key = b.key)"
		    " ORDER BY run DESC, created_ms DESC LIMIT -1 OFFSET $3",
		    db_values(row_text(app), row_text(service), db_of_int((int64_t)kept)), &rows,
		    err) ||
		!rows_read(&rows, read_build, sizeof(*list.items), &list.items, &list.count, err))
		return false;
	*out_builds = list;
	list = (struct ledger_builds){0};
	return true;
}

bool ledger_build_forget(struct ledger *ledger, const struct ledger_build *build, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"DELETE FROM builds WHERE app = $1 AND service = $2 AND key = $3",
		db_values(row_text(build->app), row_text(build->service), row_text(build->key)),
		NULL, err);
}

bool ledger_push_save(struct ledger *ledger, const char *repository, const char *digest,
	const char *reference, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"INSERT OR REPLACE INTO pushes (repository, digest, reference, created_ms)"
		" VALUES ($1, $2, $3, $4)",
		db_values(row_text(repository), row_text(digest), row_text(reference), row_now()),
		NULL, err);
}

bool ledger_push_get(struct ledger *ledger, const char *repository, const char *digest,
	bool *out_found, struct error *err)
{
	int64_t one = 0;

	return db_get_int(ledger_db(ledger),
		"SELECT 1 FROM pushes WHERE repository = $1 AND digest = $2",
		db_values(row_text(repository), row_text(digest)), &one, out_found, err);
}

static void current_free(struct ledger_current *current)
{
	free(current->service);
	free(current->commit);
	free(current->key);
	free(current->image);
	free(current->deploy_key);
}

void ledger_currents_free(struct ledger_currents *currents)
{
	for (size_t i = 0; i < currents->count; i++)
		current_free(&currents->items[i]);
	free(currents->items);
	*currents = (struct ledger_currents){0};
}

bool ledger_current_save(struct ledger *ledger, const char *app, const char *environment,
	const struct ledger_current *current, struct error *err)
{
	return db_exec(ledger_db(ledger),
		"INSERT OR REPLACE INTO currents (app, environment, service, commit_id, key, image,"
		" deploy_key, run, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		db_values(row_text(app), row_text(environment), row_text(current->service),
			row_text(current->commit), row_text(current->key), row_text(current->image),
			row_text(current->deploy_key), db_of_int(current->run), row_now()),
		NULL, err);
}

static bool read_current(struct db_rows *rows, void *item, struct error *err)
{
	(void)err;
	*(struct ledger_current *)item = (struct ledger_current){
		.service = row_column(rows, 0),
		.commit = row_column(rows, 1),
		.key = row_column(rows, 2),
		.image = row_column(rows, 3),
		.deploy_key = row_column(rows, 4),
		.run = db_int(rows, 5),
		.updated_ms = db_int(rows, 6),
	};
	return true;
}

bool ledger_currents_find(struct ledger *ledger, const char *app, const char *environment,
	struct ledger_currents *out_currents, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_currents_free) struct ledger_currents list = {0};

	/* The primary key gives them sorted bytewise, as bsearch() wants them. */
	if (!db_query(ledger_db(ledger),
		    "SELECT service, commit_id, key, image, deploy_key, run, updated_ms"
		    " FROM currents WHERE app = $1 AND environment = $2 ORDER BY service",
		    db_values(row_text(app), row_text(environment)), &rows, err) ||
		!rows_read(&rows, read_current, sizeof(*list.items), &list.items, &list.count, err))
		return false;
	*out_currents = list;
	list = (struct ledger_currents){0};
	return true;
}

bool ledger_current_forget(struct ledger *ledger, const char *app, const char *environment,
	const char *service, struct error *err)
{
	if (getenv("DOGSHORE_RUN"))
		return true;
	return db_exec(ledger_db(ledger),
		"UPDATE currents SET image = '', deploy_key = ''"
		" WHERE app = $1 AND environment = $2 AND service = $3",
		db_values(row_text(app), row_text(environment), row_text(service)), NULL, err);
}

const struct ledger_current *ledger_currents_get(const struct ledger_currents *currents,
	const char *service)
{
	size_t low = 0, high = currents->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(currents->items[middle].service, service);

		if (order == 0)
			return &currents->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool ledger_release_save(struct ledger *ledger, int64_t run, const char *app,
	const char *environment, const char *commit, const struct json *images,
	int64_t *out_release, struct error *err)
{
	scoped(buf_free) struct buf written = {0};

	json_write_canonical(images, &written);
	if (!db_exec(ledger_db(ledger),
		    "INSERT INTO releases (run, app, environment, commit_id, images, created_ms)"
		    " VALUES ($1, $2, $3, $4, $5, $6)",
		    db_values(db_of_int(run), row_text(app), row_text(environment),
			    row_text(commit), db_of_str(buf_str(&written)), row_now()),
		    NULL, err))
		return false;
	*out_release = db_last_id(ledger_db(ledger));
	return true;
}

bool ledger_deployment_save(struct ledger *ledger, const struct ledger_deployment *deployment,
	struct error *err)
{
	bool ended = deployment->verdict != NULL;

	return db_exec(ledger_db(ledger),
		"INSERT INTO deployments (token, run, app, environment, service, image, verdict,"
		" deployment, created_ms, ended_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10 THEN $9 ELSE 0 END)"
		" ON CONFLICT (token) DO UPDATE SET verdict = excluded.verdict,"
		" deployment = excluded.deployment, ended_ms = excluded.ended_ms",
		db_values(row_text(deployment->token), db_of_int(deployment->run),
			row_text(deployment->app), row_text(deployment->environment),
			row_text(deployment->service), row_text(deployment->image),
			row_text(deployment->verdict), row_text(deployment->deployment), row_now(),
			db_of_int(ended)),
		NULL, err);
}

bool ledger_event_save(struct ledger *ledger, int64_t run, const char *name,
	const struct json *fields, int64_t *out_id, struct error *err)
{
	scoped(buf_free) struct buf written = {0};

	if (fields)
		json_write(fields, &written);
	else
		buf_append_text(&written, "{}");
	if (!db_exec(ledger_db(ledger),
		    "INSERT INTO events (run, time_ms, name, fields) VALUES ($1, $2, $3, $4)",
		    db_values(db_of_int(run), row_now(), row_text(name),
			    db_of_str(buf_str(&written))),
		    NULL, err))
		return false;
	if (out_id)
		*out_id = db_last_id(ledger_db(ledger));
	return true;
}

void ledger_events_free(struct ledger_events *events)
{
	for (size_t i = 0; i < events->count; i++) {
		free(events->items[i].name);
		free(events->items[i].fields);
	}
	free(events->items);
	*events = (struct ledger_events){0};
}

static bool read_event(struct db_rows *rows, void *item, struct error *err)
{
	(void)err;
	*(struct ledger_event *)item = (struct ledger_event){
		.id = db_int(rows, 0),
		.run = db_int(rows, 1),
		.time_ms = db_int(rows, 2),
		.name = row_column(rows, 3),
		.fields = row_column(rows, 4),
	};
	return true;
}

bool ledger_events_find(struct ledger *ledger, int64_t run, int64_t after, size_t limit,
	struct ledger_events *out_events, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(ledger_events_free) struct ledger_events list = {0};

	if (!db_query(ledger_db(ledger),
		    run ? "SELECT id, run, time_ms, name, fields FROM events"
			  " WHERE run = $1 AND id > $2 ORDER BY id LIMIT $3"
			: "SELECT id, run, time_ms, name, fields FROM events"
			  " WHERE $1 = 0 AND id > $2 ORDER BY id LIMIT $3",
		    db_values(db_of_int(run), db_of_int(after), db_of_int((int64_t)limit)), &rows,
		    err) ||
		!rows_read(&rows, read_event, sizeof(*list.items), &list.items, &list.count, err))
		return false;
	*out_events = list;
	list = (struct ledger_events){0};
	return true;
}
