#include "base/memory.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/deploy_report.h"
#include "pipeline/cli/deploy_target.h"
#include "pipeline/ledger/act_journal.h"

static struct deploy_flags flags = {.attempts = DEPLOY_ATTEMPTS};
static int64_t timeout_ms;

static const struct option_row rows[] = {
	DEPLOY_FLAG_ROWS(flags),
	{"timeout", OPTION_DURATION, &timeout_ms, "D", "give up by then (default 30m)", NULL},
};

static const struct option_set options = {
	.usage = "rollback SERVICE --env E [--timeout D]",
	.about = "go back to the version before the current one",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(deploy_target_free) struct deploy_target target = {0};
	scoped(deploy_result_free) struct deploy_result result = {0};
	scoped(ledger_close) struct ledger *ledger = NULL;
	scoped(text_free) char *name = NULL;
	const struct project_service *service = NULL;
	struct act_journal journal;
	struct deploy_place place;
	struct event_sink progress;

	if (!deploy_target_open(&target, &flags, context, err))
		return false;
	service = deploy_target_service(&target, context->words.items[0], err);
	if (!service || !deploy_target_place(&target, service, &place, &name, err) ||
		!ledger_open(context->ledger, LEDGER_WRITE, &ledger, err) ||
		!ledger_current_forget(ledger, target.current->app, target.environment->name,
			service->name, err) ||
		!cancel_watch(&place.cancel_fd, err))
		return false;
	act_journal_init(&journal, ledger);
	deploy_progress_start(&progress);
	bool done = ecs_rollback(&place, timeout_ms, &journal.journal, &result, err);

	event_remove_sink(&progress);
	return done && deploy_report(context, "rollback", &place, NULL, &result, err);
}

const struct command rollback_command = {"rollback", &options, run, false};
