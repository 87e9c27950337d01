#include "pipeline/cli/command.h"
#include "pipeline/cli/opened.h"
#include "pipeline/engine/known.h"
#include "pipeline/engine/site.h"
#include "pipeline/ledger/ledger.h"

#include "base/json_writer.h"
#include "base/path.h"

static struct {
	const char *since, *environment, *repository;
} given;

static const struct option_row rows[] = {
	{"since", OPTION_TEXT, &given.since, "REV", "compare with this commit", NULL},
	{"env", OPTION_TEXT, &given.environment, "ENV",
		"compare with what this environment has (default: the first)", NULL},
	{"repository", OPTION_TEXT, &given.repository, "DIR", "default: the current folder", NULL},
};

static const struct option_set options = {
	.usage = "why SERVICE [REV] [--since REV] [--env ENV]",
	.about = "tell which input of a service moved, and what became of it",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 2,
};

enum { MOVES_MAX = 64, PATHS_SHOWN = 10 };

/* What there is to tell; filled from a run of the commit, else from a comparison made now. */
struct telling {
	struct opened opened;
	const struct project_service *service;
	struct ledger *ledger; /* NULL: there is none */
	struct key now, before;
	char *before_commit; /* owned; NULL: there is nothing to compare with */
	struct ledger_work work;
	bool ran; /* work is set */
	struct ledger_steps steps;
	struct strings changed; /* paths between the two commits */
	struct strings unread;  /* all that moved, and the last build did not read it */
};

static void telling_free(struct telling *telling)
{
	strings_free(&telling->changed);
	strings_free(&telling->unread);
	ledger_steps_free(&telling->steps);
	ledger_work_free(&telling->work);
	text_free(&telling->before_commit);
	key_free(&telling->now);
	key_free(&telling->before);
	ledger_close(&telling->ledger);
	opened_free(&telling->opened);
}

static bool open_ledger(const char *url, struct ledger **out_ledger, struct error *err)
{
	scoped(error_free) struct error wrong = {0};

	if (ledger_open(url, LEDGER_READ, out_ledger, &wrong))
		return true;
	if (wrong.kind == ERROR_NOT_FOUND) {
		error_ignore(&wrong, "nothing was ever run");
		return true;
	}
	error_move(err, &wrong);
	return false;
}

static bool read_key(struct telling *telling, const char *key, struct key *out, struct error *err)
{
	scoped(json_free) struct json *parts = NULL;

	if (!key || !*key)
		return true;
	return ledger_key_get(telling->ledger, key, &parts, err) &&
	       (!parts || key_of_json(parts, out, err));
}

/* A run of this commit knows what it compared with and what came of it. */
static bool read_run(struct telling *telling, struct error *err)
{
	const char *commit = telling->opened.commit.id;

	if (!telling->ledger || given.since)
		return true;
	if (!ledger_work_of_commit(telling->ledger, commit, telling->service->name, &telling->work,
		    &telling->ran, err))
		return false;
	if (!telling->ran)
		return true;
	if (*telling->work.previous_commit)
		telling->before_commit = memory_copy_text(telling->work.previous_commit);
	return read_key(telling, telling->work.previous_key, &telling->before, err) &&
	       read_key(telling, telling->work.key, &telling->now, err) &&
	       ledger_steps_find(telling->ledger, telling->work.run, &telling->steps, err);
}

/* Without a run: what the environment has, or the commit given with --since. */
static bool read_current(struct telling *telling, struct error *err)
{
	const struct project_environment *environment = NULL;
	scoped(ledger_currents_free) struct ledger_currents currents = {0};

	if (telling->ran || given.since || !telling->ledger)
		return true;
	if (!environment_choose(telling->opened.project, given.environment, true, &environment,
		    err) ||
		!ledger_currents_find(telling->ledger, telling->opened.project->app,
			environment ? environment->name : "", &currents, err))
		return false;
	const struct ledger_current *current =
		ledger_currents_get(&currents, telling->service->name);

	if (!current)
		return true;
	telling->before_commit = memory_copy_text(current->commit);
	return read_key(telling, current->key, &telling->before, err);
}

static bool read_since(struct telling *telling, const char *toolchain, struct error *err)
{
	scoped(commit_free) struct commit since = {0};
	scoped(snapshot_free) struct snapshot *then = NULL;
	scoped(project_free) struct project *project = NULL;

	if (!given.since)
		return true;
	if (!repository_resolve(telling->opened.repository, given.since, &since, err) ||
		!snapshot_open(telling->opened.repository, since.id, &then, err) ||
		!plan_read_project(then, &project, err))
		return false;
	const struct project_service *service = project_service(project, telling->service->name);

	if (!service)
		return true;
	telling->before_commit = memory_copy_text(since.id);
	return key_of_service(service, then, toolchain, &telling->before, err);
}

static void read_changes(struct telling *telling)
{
	scoped(snapshot_free) struct snapshot *then = NULL;
	scoped(error_free) struct error err = {0};

	if (!telling->before_commit)
		return;
	if (!snapshot_open(telling->opened.repository, telling->before_commit, &then, &err) ||
		!snapshot_changes(then, telling->opened.snapshot, &telling->changed, &err))
		error_ignore(&err, "a commit that is gone costs the names of files only");
}

/* Was the build of before the same, as far as it read? */
static bool read_narrow(struct telling *telling, struct error *err)
{
	scoped(narrow_records_free) struct narrow_records records = {0};

	if (!telling->before.count)
		return true;
	if (!known_records(telling->ledger, telling->opened.project->app, telling->service->name,
		    telling->before.text, "", &records, err))
		return false;
	if (records.count && !narrow_same(telling->opened.repository, telling->service,
				     &records.items[0], &telling->now, &telling->unread))
		strings_free(&telling->unread);
	return true;
}

/* "services/rooms" of the part "path services/rooms"; NULL for parts that are no path. */
static const char *path_of_part(const char *name)
{
	if (text_starts_with(name, "path "))
		return name + strlen("path ");
	return text_starts_with(name, "uses ") ? name + strlen("uses ") : NULL;
}

static bool is_under(const char *path, const char *folder)
{
	return folder && (strcmp(folder, ".") == 0 || path_is_below(path, folder));
}

static void print_move(const struct telling *telling, const struct key_move *move)
{
	const char *folder = path_of_part(move->name);
	size_t shown = 0, more = 0;

	if (!folder) {
		printf("  %s: %s -> %s\n", move->name, move->before ? move->before : "(none)",
			move->after ? move->after : "(none)");
		return;
	}
	printf("  %s: %.12s -> %.12s\n", move->name, move->before ? move->before : "(none)",
		move->after ? move->after : "(none)");
	for (size_t i = 0; i < telling->changed.count; i++) {
		if (!is_under(telling->changed.items[i], folder))
			continue;
		if (shown++ < PATHS_SHOWN)
			printf("      %s\n", telling->changed.items[i]);
		else
			more++;
	}
	if (more)
		printf("      and %zu more\n", more);
}

static void print_steps(const struct telling *telling)
{
	if (!telling->ran)
		return;
	printf("run %lld: %s, because %s\n", (long long)telling->work.run, telling->work.action,
		telling->work.reason);
	for (size_t i = 0; i < telling->steps.count; i++) {
		const struct ledger_step *step = &telling->steps.items[i];

		if (strcmp(step->service, telling->service->name) == 0)
			printf("  %-6s  %s%s%s\n", step->name, outcome_name(step->status),
				*step->reason ? ": " : "", step->reason);
	}
}

static void print(const struct telling *telling, const struct key_move *moves, size_t count)
{
	printf("%s at %.12s\n", telling->service->name, telling->opened.commit.id);
	if (!telling->before_commit)
		printf("it was never built here before\n");
	else if (!telling->before.count)
		printf("what it was made of at %.12s is not known any more\n",
			telling->before_commit);
	else if (!count)
		printf("nothing it reads moved since %.12s\n", telling->before_commit);
	else
		printf("moved since %.12s:\n", telling->before_commit);
	for (size_t i = 0; telling->before.count && i < count && i < MOVES_MAX; i++)
		print_move(telling, &moves[i]);
	if (telling->unread.count) {
		scoped(text_free) char *text = narrow_text(&telling->unread);

		puts(text);
	}
	print_steps(telling);
}

static void write_moves(const struct telling *telling, const struct key_move *moves, size_t count,
	struct json_writer *w)
{
	json_array_begin(w);
	for (size_t i = 0; telling->before.count && i < count && i < MOVES_MAX; i++) {
		json_object_begin(w);
		json_put_text(w, "part", moves[i].name);
		json_put_text(w, "before", moves[i].before);
		json_put_text(w, "after", moves[i].after);
		json_key(w, "changed");
		json_array_begin(w);
		for (size_t j = 0; j < telling->changed.count; j++)
			if (is_under(telling->changed.items[j], path_of_part(moves[i].name)))
				json_write_text(w, telling->changed.items[j]);
		json_array_end(w);
		json_object_end(w);
	}
	json_array_end(w);
}

static void write_json(const struct telling *telling, const struct key_move *moves, size_t count,
	struct json_writer *w)
{
	scoped(text_free) char *narrowed =
		telling->unread.count ? narrow_text(&telling->unread) : NULL;

	json_object_begin(w);
	json_put_text(w, "service", telling->service->name);
	json_put_text(w, "commit", telling->opened.commit.id);
	json_put_text(w, "key", telling->now.text);
	json_put_text(w, "previous_key", telling->before.count ? telling->before.text : NULL);
	json_put_text(w, "previous_commit", telling->before_commit);
	json_key(w, "moved");
	write_moves(telling, moves, count, w);
	json_put_text(w, "narrowed", narrowed);
	json_key(w, "run");
	if (telling->ran)
		json_write_int(w, telling->work.run);
	else
		json_write_null(w);
	json_put_text(w, "action", telling->ran ? telling->work.action : NULL);
	json_put_text(w, "reason", telling->ran ? telling->work.reason : NULL);
	json_key(w, "steps");
	json_array_begin(w);
	for (size_t i = 0; telling->ran && i < telling->steps.count; i++) {
		const struct ledger_step *step = &telling->steps.items[i];

		if (strcmp(step->service, telling->service->name) != 0)
			continue;
		json_object_begin(w);
		json_put_text(w, "name", step->name);
		json_put_text(w, "status", outcome_name(step->status));
		json_put_text(w, "reason", step->reason);
		json_object_end(w);
	}
	json_array_end(w);
	json_object_end(w);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(telling_free) struct telling telling = {0};
	scoped(text_free) char *toolchain = key_toolchain();
	struct key_move moves[MOVES_MAX];
	const char *name = context->words.items[0];

	if (!opened_read_cached(&telling.opened, given.repository,
		    context->words.count > 1 ? context->words.items[1] : NULL, context->state, err))
		return false;
	telling.service = project_need_service(telling.opened.project, name, err);
	if (!telling.service || !open_ledger(context->ledger, &telling.ledger, err) ||
		!read_run(&telling, err) || !read_current(&telling, err) ||
		!read_since(&telling, toolchain, err))
		return false;
	if (!telling.now.count && !key_of_service(telling.service, telling.opened.snapshot,
					  toolchain, &telling.now, err))
		return false;
	if (!read_narrow(&telling, err))
		return false;
	read_changes(&telling);
	size_t count = key_compare(&telling.before, &telling.now, moves, MOVES_MAX);

	if (!context->json) {
		print(&telling, moves, count);
		return true;
	}
	struct json_writer w = json_writer_start(&context->result);

	write_json(&telling, moves, count, &w);
	return true;
}

const struct command why_command = {"why", &options, run, false};
