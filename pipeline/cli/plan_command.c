#include "pipeline/cli/command.h"
#include "pipeline/cli/opened.h"
#include "pipeline/engine/known.h"
#include "pipeline/engine/site.h"

static struct {
	const char *since, *environment, *repository;
} given;

static const struct option_row rows[] = {
	{"since", OPTION_TEXT, &given.since, "REV",
		"compare with this commit instead of with what is deployed", NULL},
	{"env", OPTION_TEXT, &given.environment, "ENV",
		"compare with what this environment has (default: the first)", NULL},
	{"repository", OPTION_TEXT, &given.repository, "DIR", "default: the current folder", NULL},
};

static const struct option_set options = {
	.usage = "plan [REV] [--since REV] [--env ENV]",
	.about = "show what a commit means for each service, and why",
	.rows = rows,
	.count = countof(rows),
	.word_max = 1,
};

/* With --since nothing but Git is looked at for what was there; builds are still known. */
static bool plan_since(struct opened *opened, struct known *known, const char *toolchain,
	struct plan_commit *before, struct error *err)
{
	scoped(commit_free) struct commit since = {0};

	if (!repository_resolve(opened->repository, given.since, &since, err) ||
		!plan_commit_read(opened->repository, since.id, opened->snapshot, opened->project,
			toolchain, before, err))
		return false;
	known->plan.currents = before->items;
	known->plan.count = before->count;
	known->plan.from_commit = true;
	known->plan.environment = NULL;
	return true;
}

static bool open_ledger(const char *url, struct ledger **out_ledger, struct error *err)
{
	scoped(error_free) struct error wrong = {0};

	if (ledger_open(url, LEDGER_READ, out_ledger, &wrong))
		return true;
	if (wrong.kind == ERROR_NOT_FOUND) {
		error_ignore(&wrong, "nothing was ever run: nothing is known");
		return true;
	}
	error_move(err, &wrong);
	return false;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(opened_free) struct opened opened = {0};
	scoped(ledger_close) struct ledger *ledger = NULL;
	scoped(known_free) struct known known = {0};
	scoped(site_free) struct site site = {0};
	scoped(plan_commit_free) struct plan_commit before = {0};
	scoped(plan_free) struct plan plan = {0};
	scoped(error_free) struct error missing = {0};
	scoped(text_free) char *toolchain = key_toolchain();
	const struct project_environment *environment = NULL;
	const char *rev = context->words.count ? context->words.items[0] : NULL;

	if (!opened_read_cached(&opened, given.repository, rev, context->state, err) ||
		!open_ledger(context->ledger, &ledger, err))
		return false;
	/* Comparing two commits needs no environment. */
	if (!(given.since && !given.environment) &&
		!environment_choose(opened.project, given.environment, true, &environment, err))
		return false;
	if (environment && !site_of(environment, context->state, &site, &missing))
		error_ignore(&missing, "a cloud that is not up does not keep us from planning");
	if (!known_read(&known, ledger, context->state, opened.project, environment, site.identity,
		    err))
		return false;
	if (given.since && !plan_since(&opened, &known, toolchain, &before, err))
		return false;
	if (!plan_make(opened.repository, opened.snapshot, opened.project, &known.plan, toolchain,
		    &plan, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		plan_write(&plan, &w);
	} else {
		plan_print(stdout, &plan);
	}
	return true;
}

const struct command plan_command = {"plan", &options, run, false};
