#include "pipeline/ledger/schema.h"

#include "base/attributes.h"

/* Times are milliseconds since 1970; texts that are not known are '', so that comparisons in SQL
 * need no third value. */
static const char first[] =
	"CREATE TABLE commits ("
	" id TEXT PRIMARY KEY, author TEXT NOT NULL, subject TEXT NOT NULL,"
	" seen_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE runs ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, repository TEXT NOT NULL, app TEXT NOT NULL,"
	" commit_id TEXT NOT NULL, branch TEXT NOT NULL, environment TEXT NOT NULL,"
	" status TEXT NOT NULL, reason TEXT NOT NULL, plan TEXT NOT NULL, folder TEXT NOT NULL,"
	" force TEXT NOT NULL, release_id INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL);"
	"CREATE INDEX runs_by_branch ON runs (repository, branch, environment, id);"
	"CREATE INDEX runs_by_commit ON runs (commit_id, id);"
	"CREATE INDEX runs_open ON runs (id) WHERE ended_ms = 0;"
	"CREATE TABLE steps ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, service TEXT NOT NULL,"
	" name TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, token TEXT NOT NULL,"
	" result TEXT NOT NULL, attempts INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" ended_ms INTEGER NOT NULL, exit_status INTEGER NOT NULL, UNIQUE (run, service, name));"
	"CREATE TABLE works ("
	" run INTEGER NOT NULL REFERENCES runs, service TEXT NOT NULL, action TEXT NOT NULL,"
	" reason TEXT NOT NULL, key TEXT NOT NULL, previous_key TEXT NOT NULL,"
	" previous_commit TEXT NOT NULL, image TEXT NOT NULL, deploy_key TEXT NOT NULL,"
	" PRIMARY KEY (run, service)) WITHOUT ROWID;"
	"CREATE TABLE keys (key TEXT PRIMARY KEY, parts TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE builds ("
	" app TEXT NOT NULL, service TEXT NOT NULL, key TEXT NOT NULL, image TEXT NOT NULL,"
	" layout TEXT NOT NULL, run INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	" PRIMARY KEY (app, service, key)) WITHOUT ROWID;"
	"CREATE TABLE pushes ("
	" repository TEXT NOT NULL, digest TEXT NOT NULL, reference TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;"
	"CREATE TABLE currents ("
	" app TEXT NOT NULL, environment TEXT NOT NULL, service TEXT NOT NULL,"
	" commit_id TEXT NOT NULL, key TEXT NOT NULL, image TEXT NOT NULL,"
	" deploy_key TEXT NOT NULL, run INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
	" PRIMARY KEY (app, environment, service)) WITHOUT ROWID;"
	"CREATE TABLE releases ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, app TEXT NOT NULL,"
	" environment TEXT NOT NULL, commit_id TEXT NOT NULL, images TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL);"
	"CREATE TABLE deployments ("
	" token TEXT PRIMARY KEY, run INTEGER NOT NULL, app TEXT NOT NULL,"
	" environment TEXT NOT NULL, service TEXT NOT NULL, image TEXT NOT NULL,"
	" verdict TEXT NOT NULL, deployment TEXT NOT NULL, created_ms INTEGER NOT NULL,"
	" ended_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE acts ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, kind TEXT NOT NULL,"
	" subject TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL,"
	" result TEXT NOT NULL, created_ms INTEGER NOT NULL, settled_ms INTEGER NOT NULL);"
	"CREATE INDEX acts_by_subject ON acts (kind, subject, id);"
	"CREATE TABLE events ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
	" name TEXT NOT NULL, fields TEXT NOT NULL);"
	"CREATE INDEX events_by_run ON events (run, id);";

/* Of a rerun that must not restore what was built before. */
static const char fresh_runs[] = "ALTER TABLE runs ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0;";

/* test_history.h: how each test came out in the last runs of its service. */
static const char test_history[] =
	"CREATE TABLE test_runs ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, app TEXT NOT NULL,"
	" service TEXT NOT NULL, branch TEXT NOT NULL, commit_id TEXT NOT NULL,"
	" key TEXT NOT NULL, UNIQUE (app, service, run));"
	"CREATE TABLE tests ("
	" id INTEGER PRIMARY KEY, app TEXT NOT NULL, service TEXT NOT NULL, grp TEXT NOT NULL,"
	" suite TEXT NOT NULL, class TEXT NOT NULL, name TEXT NOT NULL,"
	" UNIQUE (app, service, grp, suite, class, name));"
	"CREATE TABLE test_results ("
	" test INTEGER NOT NULL, test_run INTEGER NOT NULL, outcome INTEGER NOT NULL,"
	" PRIMARY KEY (test, test_run)) WITHOUT ROWID;"
	"CREATE INDEX test_results_by_run ON test_results (test_run, outcome);";

/* What the build of a key has read of what it may use; rest is its key without those paths. */
static const char reads[] =
	"CREATE TABLE reads ("
	" app TEXT NOT NULL, service TEXT NOT NULL, key TEXT NOT NULL, rest TEXT NOT NULL,"
	" files TEXT NOT NULL, created_ms INTEGER NOT NULL,"
	" PRIMARY KEY (app, service, key)) WITHOUT ROWID;"
	"CREATE INDEX reads_by_rest ON reads (app, service, rest, created_ms);";

const char *const ledger_migrations[] = {first, fresh_runs, test_history, reads};
const size_t ledger_migration_count = countof(ledger_migrations);
