#include "pipeline/ledger/act_journal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>

static void write_json(const struct json *value, struct buf *out)
{
	if (value)
		json_write(value, out);
}

static bool intend(void *self, const char *kind, const char *subject, const struct json *detail,
	int64_t *out_act, struct error *err)
{
	struct act_journal *act = self;
	scoped(ledger_rollback) struct ledger *open = act->ledger;
	struct db *db = ledger_db(act->ledger);
	scoped(buf_free) struct buf written = {0};

	write_json(detail, &written);
	if (!ledger_begin(act->ledger, err) ||
		!db_exec(db,
			"INSERT INTO acts (run, kind, subject, detail, outcome, result, created_ms,"
			" settled_ms) VALUES ($1, $2, $3, $4, '', '', $5, 0)",
			db_values(db_of_int(act->run), db_of_text(kind), db_of_text(subject),
				db_of_str(buf_str(&written)), db_of_int(clock_now(&system_clock))),
			NULL, err))
		return error_while(err, "announcing %s of %s", kind, subject);
	int64_t id = db_last_id(db);

	if (!ledger_commit(act->ledger, err))
		return false;
	*out_act = id;
	return true;
}

static bool settle(void *self, int64_t number, const char *outcome, const struct json *result,
	struct error *err)
{
	struct act_journal *act = self;
	scoped(ledger_rollback) struct ledger *open = act->ledger;
	scoped(buf_free) struct buf written = {0};
	int64_t changed = 0;

	write_json(result, &written);
	if (!ledger_begin(act->ledger, err) ||
		!db_exec(ledger_db(act->ledger),
			"UPDATE acts SET outcome = $1, result = $2, settled_ms = $3 WHERE id = $4",
			db_values(db_of_text(outcome), db_of_str(buf_str(&written)),
				db_of_int(clock_now(&system_clock)), db_of_int(number)),
			&changed, err))
		return false;
	if (!changed)
		return error_raise(err, ERROR_NOT_FOUND, "the ledger has no act %lld",
			(long long)number);
	return ledger_commit(act->ledger, err);
}

static bool read_json(const char *text, const char *what, struct json **out, struct error *err)
{
	*out = NULL;
	return !text || !*text || json_parse(str_of(text), what, NULL, out, err);
}

static bool find(void *self, const char *kind, const char *subject, int64_t *out_act,
	char **out_outcome, struct json **out_detail, struct json **out_result, struct error *err)
{
	struct act_journal *act = self;
	scoped(db_rows_free) struct db_rows rows = {0};
	scoped(json_free) struct json *detail = NULL, *result = NULL;
	bool more = false;

	*out_act = 0;
	*out_outcome = NULL;
	*out_detail = *out_result = NULL;
	if (!db_query(ledger_db(act->ledger),
		    "SELECT id, outcome, detail, result FROM acts"
		    " WHERE kind = $1 AND subject = $2 ORDER BY id DESC LIMIT 1",
		    db_values(db_of_text(kind), db_of_text(subject)), &rows, err) ||
		!db_next(&rows, &more, err))
		return false;
	if (!more)
		return true;
	if (!read_json(db_text(&rows, 2), "detail of an act", &detail, err) ||
		!read_json(db_text(&rows, 3), "result of an act", &result, err))
		return false;
	*out_act = db_int(&rows, 0);
	*out_outcome = *db_text(&rows, 1) ? memory_copy_text(db_text(&rows, 1)) : NULL;
	*out_detail = detail;
	*out_result = result;
	detail = result = NULL;
	return true;
}

void act_journal_init(struct act_journal *act, struct ledger *ledger)
{
	const char *run = getenv("DOGSHORE_RUN");

	*act = (struct act_journal){.journal = {intend, settle, find, act}, .ledger = ledger};
	if (run && !str_to_int(str_of(run), &act->run))
		act->run = 0;
}
