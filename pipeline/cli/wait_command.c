#include "base/memory.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/deploy_report.h"
#include "pipeline/cli/deploy_target.h"

static struct deploy_flags flags;
static int64_t timeout_ms;

static const struct option_row rows[] = {
	DEPLOY_FLAG_ROWS(flags),
	{"timeout", OPTION_DURATION, &timeout_ms, "D",
		"stop looking when there is no verdict by then (default 30m)", NULL},
};

static const struct option_set options = {
	.usage = "wait SERVICE --env E [--timeout D]",
	.about = "follow the deployment under way to its verdict, or judge the last one",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	scoped(deploy_target_free) struct deploy_target target = {0};
	scoped(deploy_result_free) struct deploy_result result = {0};
	scoped(text_free) char *name = NULL;
	const struct project_service *service = NULL;
	struct deploy_place place;
	struct event_sink progress;

	if (!deploy_target_open(&target, &flags, context, err))
		return false;
	service = deploy_target_service(&target, context->words.items[0], err);
	if (!service || !deploy_target_place(&target, service, &place, &name, err) ||
		!cancel_watch(&place.cancel_fd, err))
		return false;
	deploy_progress_start(&progress);
	bool done = ecs_wait(&place, timeout_ms, &result, err);

	event_remove_sink(&progress);
	return done && deploy_report(context, "wait", &place, NULL, &result, err);
}

const struct command wait_command = {"wait", &options, run, false};
