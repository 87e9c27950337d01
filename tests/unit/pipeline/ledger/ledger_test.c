#include "tests/test.h"

#include "base/file.h"
#include "base/journal.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/ledger/act_journal.h"
#include "pipeline/ledger/schema.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct opened {
	char *folder; /* owned */
	char *url;    /* owned */
	struct ledger *ledger;
};

static void opened_free(struct opened *opened)
{
	ledger_close(&opened->ledger);
	if (opened->folder && !folder_remove(opened->folder, NULL))
		printf("# \"%s\" is left behind\n", opened->folder);
	free(opened->folder);
	free(opened->url);
}

static bool open_new(struct opened *opened, struct error *err)
{
	if (!folder_make_temporary(NULL, "ledger", &opened->folder, err))
		return false;
	opened->url = memory_format("sqlite:%s/deep/er/ledger.db", opened->folder);
	return ledger_open(opened->url, LEDGER_WRITE, &opened->ledger, err);
}

static bool add_run(struct ledger *ledger, const char *commit, enum outcome status, int64_t *out_id)
{
	struct ledger_run run = {
		.repository = memory_copy_text("/r.git"),
		.commit = memory_copy_text(commit),
		.branch = memory_copy_text("main"),
		.environment = memory_copy_text("local"),
		.subject = memory_copy_text("a subject"),
		.status = status,
		.created_ms = 1000,
		.ended_ms = outcome_is_final(status) ? 2000 : 0,
	};
	bool done = ledger_begin(ledger, NULL) && ledger_run_save(ledger, &run, NULL) &&
		    ledger_commit(ledger, NULL);

	*out_id = run.id;
	ledger_run_free(&run);
	return done;
}

/* A ledger that has as many migrations as asked for, and one run. */
static bool write_by_another(struct opened *opened, const char *const *migrations, size_t count)
{
	scoped(db_close) struct db *db = NULL;
	const struct db_options options = {0};

	if (!folder_make_temporary(NULL, "ledger", &opened->folder, NULL))
		return false;
	opened->url = memory_format("sqlite:%s/ledger.db", opened->folder);
	return db_open(opened->url, &options, &db, NULL) &&
	       db_migrate(db, migrations, count, NULL) &&
	       db_exec_script(db,
		       "INSERT INTO runs (repository, app, commit_id, branch, environment, status,"
		       " reason, plan, folder, force, release_id, created_ms, started_ms, ended_ms)"
		       " VALUES ('/r', 'shop', 'c', 'main', 'local', 'passed', '', '{}', '/f', '',"
		       " 0, 1, 2, 3);"
		       "INSERT INTO commits VALUES ('c', 'a', 's', 1)",
		       NULL);
}

TEST(whoever_reads_finds_what_an_older_program_wrote)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	struct ledger_run run = {0};

	CHECK(write_by_another(&opened, ledger_migrations, 1));
	CHECK_OK(ledger_open(opened.url, LEDGER_READ, &opened.ledger, &err));
	CHECK_OK(ledger_run_get(opened.ledger, 1, &run, &err));
	CHECK_TEXT(run.app, "shop");
	ledger_run_free(&run);
}

TEST(what_a_newer_program_wrote_is_not_read)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	const char **more = memory_new_array(ledger_migration_count + 1, sizeof(*more));

	memcpy(more, ledger_migrations, ledger_migration_count * sizeof(*more));
	more[ledger_migration_count] = "CREATE TABLE newer (id INTEGER)";
	CHECK(write_by_another(&opened, more, ledger_migration_count + 1));
	CHECK(!ledger_open(opened.url, LEDGER_READ, &opened.ledger, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	free(more);
}

TEST(a_run_and_its_steps_are_found_again)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_run_free) struct ledger_run run = {0};
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	struct ledger_step step = {0};
	int64_t id = 0;

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE(add_run(opened.ledger, "c1", OUTCOME_RUNNING, &id));
	step.run = id;
	step.service = memory_copy_text("rooms");
	step.name = memory_copy_text("build");
	step.token = memory_copy_text("t");
	REQUIRE_OK(ledger_begin(opened.ledger, &err));
	CHECK_OK(ledger_step_save(opened.ledger, &step, &err));
	step.status = OUTCOME_FAILED;
	step.exit_status = 1;
	CHECK_OK(ledger_step_save(opened.ledger, &step, &err));
	REQUIRE_OK(ledger_commit(opened.ledger, &err));
	ledger_step_free(&step);
	REQUIRE_OK(ledger_run_get(opened.ledger, id, &run, &err));
	CHECK_TEXT(run.commit, "c1");
	CHECK_TEXT(run.subject, "a subject");
	CHECK_INT(run.status, OUTCOME_RUNNING);
	REQUIRE_OK(ledger_steps_find(opened.ledger, id, &steps, &err));
	REQUIRE(steps.count == 1);
	CHECK_TEXT(steps.items[0].service, "rooms");
	CHECK_INT(steps.items[0].status, OUTCOME_FAILED);
}

TEST(open_runs_are_told_from_ended_ones)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_runs_free) struct ledger_runs open = {0}, all = {0}, other = {0};
	int64_t one = 0, two = 0;

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE(add_run(opened.ledger, "c1", OUTCOME_PASSED, &one));
	REQUIRE(add_run(opened.ledger, "c2", OUTCOME_WAITING, &two));
	REQUIRE_OK(ledger_runs_find(opened.ledger,
		&(struct ledger_run_filter){.open = true, .branch = "main"}, &open, &err));
	REQUIRE(open.count == 1);
	CHECK_INT(open.items[0].id, two);
	REQUIRE_OK(ledger_runs_find(opened.ledger, &(struct ledger_run_filter){0}, &all, &err));
	REQUIRE(all.count == 2);
	CHECK_INT(all.items[0].id, two);
	REQUIRE_OK(ledger_runs_find(opened.ledger,
		&(struct ledger_run_filter){.environment = "other"}, &other, &err));
	CHECK_INT(other.count, 0);
}

/* Run number N of 32 has the second of two values where bit K of N-1 is set. */
static bool add_combinations(struct ledger *ledger, struct error *err)
{
	static const char *const values[][2] = {{"/one/.git", "/two/.git"}, {"main", "next"},
		{"local", ""}, {"c1", "c2"}};

	if (!ledger_begin(ledger, err))
		return false;
	for (unsigned n = 0; n < 32; n++) {
		struct ledger_run run = {
			.repository = memory_copy_text(values[0][n & 1]),
			.branch = memory_copy_text(values[1][n >> 1 & 1]),
			.environment = memory_copy_text(values[2][n >> 2 & 1]),
			.commit = memory_copy_text(values[3][n >> 3 & 1]),
			.status = n >> 4 & 1 ? OUTCOME_PASSED : OUTCOME_RUNNING,
			.ended_ms = n >> 4 & 1,
		};
		bool done = ledger_run_save(ledger, &run, err);

		ledger_run_free(&run);
		if (!done)
			return false;
	}
	return ledger_commit(ledger, err);
}

TEST(each_combination_of_a_filter_finds_what_matches)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE_OK(add_combinations(opened.ledger, &err));
	for (unsigned asked = 0; asked < 32; asked++) {
		scoped(ledger_runs_free) struct ledger_runs runs = {0};
		const struct ledger_run_filter filter = {
			.repository = asked & 1 ? "/one/.git" : NULL,
			.branch = asked & 2 ? "main" : NULL,
			.environment = asked & 4 ? "local" : NULL,
			.commit = asked & 8 ? "c1" : NULL,
			.open = asked & 16,
		};
		size_t at = 0;

		REQUIRE_OK(ledger_runs_find(opened.ledger, &filter, &runs, &err));
		/* the newest first; what is asked for is always the first of the two values */
		for (unsigned n = 32; n-- > 0;)
			if (!(n & asked) && (at >= runs.count || runs.items[at++].id != n + 1))
				TEST_FAIL("filter %u does not find run %u", asked, n + 1);
		CHECK_INT(at, runs.count);
	}
	scoped(ledger_runs_free) struct ledger_runs few = {0};

	REQUIRE_OK(ledger_runs_find(opened.ledger, &(struct ledger_run_filter){.limit = 3}, &few,
		&err));
	CHECK_INT(few.count, 3);
}

TEST(a_run_that_is_not_there_is_named_with_the_newest)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	struct ledger_run run = {0};
	int64_t id = 0;

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE(add_run(opened.ledger, "c1", OUTCOME_PASSED, &id));
	CHECK(!ledger_run_get(opened.ledger, 99, &run, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.next, "the newest is 1");
}

TEST(what_an_environment_has_is_replaced_and_sorted)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents currents = {0};
	char rooms[] = "rooms", users[] = "users", c1[] = "c1", c2[] = "c2", k[] = "k";
	struct ledger_current one = {users, c1, k, NULL, NULL, 1, 0};
	struct ledger_current two = {rooms, c1, k, NULL, NULL, 1, 0};
	struct ledger_current three = {rooms, c2, k, NULL, NULL, 2, 0};

	REQUIRE_OK(open_new(&opened, &err));
	CHECK_OK(ledger_current_save(opened.ledger, "app", "local", &one, &err));
	CHECK_OK(ledger_current_save(opened.ledger, "app", "local", &two, &err));
	CHECK_OK(ledger_current_save(opened.ledger, "app", "local", &three, &err));
	CHECK_OK(ledger_current_save(opened.ledger, "other", "local", &one, &err));
	REQUIRE_OK(ledger_currents_find(opened.ledger, "app", "local", &currents, &err));
	REQUIRE(currents.count == 2);
	CHECK_TEXT(currents.items[0].service, "rooms");
	CHECK_TEXT(currents.items[0].commit, "c2");
	CHECK(ledger_currents_get(&currents, "users") == &currents.items[1]);
	CHECK(ledger_currents_get(&currents, "zzz") == NULL);
}

TEST(what_was_deployed_by_hand_is_not_known_any_more)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_currents_free) struct ledger_currents by_run = {0}, by_hand = {0};
	char rooms[] = "rooms", commit[] = "c1", key[] = "k", image[] = "sha256:1",
	     deployed[] = "d";
	struct ledger_current one = {rooms, commit, key, image, deployed, 1, 0};

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE_OK(ledger_current_save(opened.ledger, "app", "local", &one, &err));
	setenv("DOGSHORE_RUN", "1", 1);
	CHECK_OK(ledger_current_forget(opened.ledger, "app", "local", "rooms", &err));
	unsetenv("DOGSHORE_RUN");
	REQUIRE_OK(ledger_currents_find(opened.ledger, "app", "local", &by_run, &err));
	CHECK_TEXT(by_run.items[0].image, "sha256:1");
	CHECK_OK(ledger_current_forget(opened.ledger, "app", "local", "rooms", &err));
	REQUIRE_OK(ledger_currents_find(opened.ledger, "app", "local", &by_hand, &err));
	CHECK_TEXT(by_hand.items[0].image, "");
	CHECK_TEXT(by_hand.items[0].deploy_key, "");
	/* nothing it reads changed: it is left alone */
	CHECK_TEXT(by_hand.items[0].key, "k");
}

TEST(what_was_not_committed_is_not_there)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	bool found = true;

	REQUIRE_OK(open_new(&opened, &err));
	{
		scoped(ledger_rollback) struct ledger *open = opened.ledger;

		REQUIRE_OK(ledger_begin(open, &err));
		CHECK_OK(ledger_push_save(opened.ledger, "h/r", "sha256:1", "h/r:1", &err));
	}
	CHECK_OK(ledger_push_get(opened.ledger, "h/r", "sha256:1", &found, &err));
	CHECK(!found);
}

TEST(acts_are_journaled_before_and_after)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(json_free) struct json *detail = json_object_of("a", json_int_new(1), NULL);
	scoped(json_free) struct json *found = NULL, *result = NULL;
	scoped(text_free) char *outcome = NULL;
	struct act_journal act;
	int64_t number = 0, again = 0;

	REQUIRE_OK(open_new(&opened, &err));
	act_journal_init(&act, opened.ledger);
	struct journal *journal = &act.journal;

	REQUIRE_OK(journal_find(journal, "push", "x", &again, &outcome, &found, &result, &err));
	CHECK_INT(again, 0);
	REQUIRE_OK(journal_intend(journal, "push", "x", detail, &number, &err));
	REQUIRE_OK(journal_find(journal, "push", "x", &again, &outcome, &found, &result, &err));
	CHECK_INT(again, number);
	CHECK(outcome == NULL);
	CHECK_INT(json_int(json_get(found, "a"), 0), 1);
	REQUIRE_OK(journal_settle(journal, number, "done", NULL, &err));
	json_free(&found);
	REQUIRE_OK(journal_find(journal, "push", "x", &again, &outcome, &found, &result, &err));
	CHECK_TEXT(outcome, "done");
	CHECK_FAILS(journal_settle(journal, 999, "done", NULL, &err), ERROR_NOT_FOUND);
}

/* Saves one record of what a build read, in a transaction of its own. */
static void save_reads(struct ledger *ledger, const char *key, const char *rest, const char *files)
{
	struct ledger_reads reads = {memory_copy_text(key), memory_copy_text(rest),
		memory_copy_text(files)};
	struct error err = {0};

	CHECK_OK(ledger_begin(ledger, &err));
	CHECK_OK(ledger_reads_save(ledger, "app", "rooms", &reads, &err));
	CHECK_OK(ledger_commit(ledger, &err));
	ledger_reads_free(&reads);
}

/* How many records are found, of at most 8. */
static size_t count_reads(struct ledger *ledger, const char *service, const char *key,
	const char *rest)
{
	scoped(ledger_reads_list_free) struct ledger_reads_list list = {0};
	struct error err = {0};

	CHECK_OK(ledger_reads_find(ledger, "app", service, key, rest, 8, &list, &err));
	return list.count;
}

TEST(what_builds_read_is_found_by_key_and_by_rest)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(ledger_reads_list_free) struct ledger_reads_list list = {0};
	struct error err = {0};

	REQUIRE_OK(open_new(&opened, &err));
	save_reads(opened.ledger, "k1", "r", "[\"a.h\"]");
	save_reads(opened.ledger, "k2", "r", "[]");
	save_reads(opened.ledger, "k3", "other", "[]");
	CHECK_INT(count_reads(opened.ledger, "rooms", NULL, "r"), 2);
	CHECK_INT(count_reads(opened.ledger, "users", NULL, "r"), 0);
	save_reads(opened.ledger, "k1", "r", "[\"b.h\"]");
	REQUIRE_OK(ledger_reads_find(opened.ledger, "app", "rooms", "k1", NULL, 8, &list, &err));
	REQUIRE(list.count == 1);
	CHECK_TEXT(list.items[0].files, "[\"b.h\"]");
	CHECK_TEXT(list.items[0].rest, "r");
	/* A build of which nothing is known takes the place of one of which something was. */
	save_reads(opened.ledger, "k1", "r", "");
	CHECK_INT(count_reads(opened.ledger, "rooms", "k1", NULL), 0);
}

TEST(a_corrupt_ledger_is_named_and_left_alone)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf content = {0};

	REQUIRE_OK(open_new(&opened, &err));
	ledger_close(&opened.ledger);
	const char *path = opened.url + strlen("sqlite:");
	scoped(text_free) char *log = memory_format("%s-wal", path);

	/* what is in the log would heal it */
	REQUIRE_OK(file_remove(log, &err));
	REQUIRE_OK(file_write(path,
		str_literal("this is no database, and it is long enough "
			    "to be looked at as one by anybody who tries"),
		0600, false, &err));
	CHECK(!ledger_open(opened.url, LEDGER_WRITE, &opened.ledger, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, path);
	CHECK(err.next != NULL);
	REQUIRE(file_read(path, 1000, &content, NULL));
	CHECK(str_starts_with(buf_str(&content), "this is no database"));
}

TEST(a_locked_ledger_is_waited_for_and_then_named)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	struct db *other = NULL, *waiting = NULL;

	REQUIRE_OK(open_new(&opened, &err));
	REQUIRE_OK(db_open(opened.url, NULL, &other, &err));
	REQUIRE_OK(db_begin(other, &err));
	/* the ledger's own connection waits 5 s; the same through one that does not */
	REQUIRE_OK(db_open(opened.url, &(struct db_options){.busy_timeout_ms = 1}, &waiting, &err));
	CHECK(!db_begin(waiting, &err));
	CHECK_INT(err.kind, ERROR_UNAVAILABLE);
	CHECK(err.next != NULL);
	error_free(&err);
	db_rollback(&other);
	CHECK_OK(ledger_begin(opened.ledger, &err));
	CHECK_OK(ledger_commit(opened.ledger, &err));
	db_close(&other);
	db_close(&waiting);
}

TEST(reading_makes_no_ledger)
{
	scoped(error_free) struct error err = {0};
	struct ledger *ledger = NULL;

	CHECK_FAILS(ledger_open("sqlite:/nonexistent/x/ledger.db", LEDGER_READ, &ledger, &err),
		ERROR_NOT_FOUND);
	CHECK_FAILS(ledger_open("mysql://x", LEDGER_WRITE, &ledger, &err), ERROR_USAGE);
}

TEST(the_crash_hook_ends_the_process_after_that_commit)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(error_free) struct error err = {0};
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	int status = 0;

	REQUIRE_OK(open_new(&opened, &err));
	ledger_close(&opened.ledger);
	pid_t pid = fork();

	if (pid == 0) {
		struct ledger *ledger = NULL;
		int64_t id = 0;

		setenv("DOGSHORE_CRASH_AFTER_WRITE", "2", 1);
		if (!ledger_open(opened.url, LEDGER_ENGINE, &ledger, NULL))
			_exit(1);
		for (int i = 0; i < 3; i++)
			if (!add_run(ledger, "c", OUTCOME_WAITING, &id))
				_exit(1);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	REQUIRE_OK(ledger_open(opened.url, LEDGER_READ, &opened.ledger, &err));
	REQUIRE_OK(ledger_runs_find(opened.ledger, &(struct ledger_run_filter){0}, &runs, &err));
	CHECK_INT(runs.count, 2);
}

TEST(outcomes_and_exit_statuses_are_those_of_the_contract)
{
	/* design/interfaces.md, "Exit statuses" */
	CHECK_INT(outcome_exit_status(OUTCOME_PASSED), 0);
	CHECK_INT(outcome_exit_status(OUTCOME_FAILED), 1);
	CHECK_INT(outcome_exit_status(OUTCOME_ERROR), 3);
	CHECK_INT(outcome_exit_status(OUTCOME_ROLLED_BACK), 4);
	CHECK_INT(outcome_exit_status(OUTCOME_SUPERSEDED), 5);
	CHECK_INT(outcome_exit_status(OUTCOME_TIMED_OUT), 6);
	CHECK_INT(outcome_exit_status(OUTCOME_UNKNOWN), 7);
	for (int status = 0; status < 8; status++)
		CHECK(outcome_exit_status(outcome_of_exit_status(status)) ==
			(status == 2 ? 3 : status));
	CHECK_INT(outcome_of_exit_status(139), OUTCOME_ERROR);
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		enum outcome outcome = OUTCOME_WAITING;

		CHECK(outcome_of_name(outcome_name((enum outcome)i), &outcome) &&
			(int)outcome == i);
	}
}

TEST_MAIN()
