#include "pipeline/ledger/ledger.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/ledger/schema.h"

#include <signal.h>
#include <stdlib.h>

struct ledger {
	struct db *db;       /* owned */
	int64_t crash_after; /* 0: never */
};

static bool make_folder(const char *url, struct error *err)
{
	const char *path = text_starts_with(url, "sqlite:") ? url + strlen("sqlite:") : NULL;

	if (!path || !*path || *path == ':')
		return true;
	scoped(text_free) char *folder = path_parent(path);

	return file_exists(folder) || folder_make(folder, 0700, err);
}

/* A reader that finds the ledger of an older program brings it up to date first, as a writer would. */
static bool update(const char *url, struct db *reader, struct error *err)
{
	scoped(db_close) struct db *db = NULL;
	const struct db_options options = {0};
	bool behind;

	if (!db_is_behind(reader, ledger_migration_count, &behind, err))
		return false;
	if (!behind)
		return true;
	if (db_open(url, &options, &db, err) &&
		db_migrate(db, ledger_migrations, ledger_migration_count, err))
		return true;
	error_while(err, "bringing a ledger that an older dogshore wrote up to date");
	return error_next(err, "once, as the user who may write it: dogshore runs");
}

static bool prepare(const char *url, enum ledger_mode mode, struct db *db, struct error *err)
{
	bool done = mode == LEDGER_READ
			    ? update(url, db, err)
			    : db_migrate(db, ledger_migrations, ledger_migration_count, err);

	return done || error_while(err, "preparing the ledger %s", url);
}

bool ledger_open(const char *url, enum ledger_mode mode, struct ledger **out_ledger,
	struct error *err)
{
	scoped(ledger_close) struct ledger *ledger = memory_new(sizeof(*ledger));
	struct db_options options = {.read_only = mode == LEDGER_READ};
	const char *crash = mode == LEDGER_ENGINE ? getenv("DOGSHORE_CRASH_AFTER_WRITE") : NULL;

	if (mode != LEDGER_READ && !make_folder(url, err))
		return error_while(err, "opening the ledger %s", url);
	if (!db_open(url, &options, &ledger->db, err))
		return error_while(err, "opening the ledger %s", url);
	if (!prepare(url, mode, ledger->db, err))
		return false;
	if (crash && !str_to_int(str_of(crash), &ledger->crash_after))
		return error_raise(err, ERROR_USAGE,
			"DOGSHORE_CRASH_AFTER_WRITE must be a number, not \"%s\"", crash);
	*out_ledger = ledger;
	ledger = NULL;
	return true;
}

void ledger_close(struct ledger **ledger)
{
	if (!*ledger)
		return;
	db_close(&(*ledger)->db);
	free(*ledger);
	*ledger = NULL;
}

struct db *ledger_db(struct ledger *ledger)
{
	return ledger->db;
}

bool ledger_begin(struct ledger *ledger, struct error *err)
{
	return db_begin(ledger->db, err) || error_while(err, "writing to the ledger");
}

bool ledger_commit(struct ledger *ledger, struct error *err)
{
	if (!db_commit(ledger->db, err))
		return error_while(err, "writing to the ledger");
	if (ledger->crash_after && --ledger->crash_after == 0)
		raise(SIGKILL);
	return true;
}

void ledger_rollback(struct ledger **ledger)
{
	if (*ledger)
		db_rollback(&(*ledger)->db);
}
