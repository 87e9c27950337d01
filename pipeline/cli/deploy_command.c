#include "base/memory.h"
#include "pipeline/cli/cancel.h"
#include "pipeline/cli/deploy_admission.h"
#include "pipeline/cli/deploy_report.h"
#include "pipeline/cli/deploy_target.h"
#include "pipeline/ledger/act_journal.h"

#include <stdlib.h>

static struct deploy_flags flags = {.attempts = DEPLOY_ATTEMPTS};
static struct {
	const char *image, *strategy, *client_token;
	int64_t timeout_ms;
	bool no_wait;
} given;

static const struct option_row rows[] = {
	DEPLOY_FLAG_ROWS(flags),
	{"image", OPTION_TEXT, &given.image, "REF@DIGEST",
		"the image (default: the one that runs, with the files as they are now)", NULL},
	{"strategy", OPTION_CHOICE, &given.strategy, "S",
		"instead of the environment's or the service file's",
		"rolling|blue_green|canary|linear"},
	{"no-wait", OPTION_SWITCH, &given.no_wait, NULL, "do not wait for the verdict", NULL},
	{"timeout", OPTION_DURATION, &given.timeout_ms, "D",
		"roll back when there is no verdict by then (default 30m)", NULL},
	{"client-token", OPTION_TEXT, &given.client_token, "T",
		"a second try with the same token follows the first one", NULL},
};

static const struct option_set options = {
	.usage = "deploy SERVICE --env E [--image REF@DIGEST] [--strategy S] [flags]",
	.about = "register, update, watch, judge; roll back when it must",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

/* --strategy alone knows no times: they are the environment's when it is the same strategy. */
static struct deploy_strategy_choice strategy_of(const struct project_environment *environment)
{
	const struct project_strategy *own = &environment->strategy;

	if (given.strategy && !text_equal(given.strategy, own->type))
		return (struct deploy_strategy_choice){.type = given.strategy};
	return (struct deploy_strategy_choice){
		.type = own->type,
		.bake_ms = own->bake_ms,
		.percent = own->percent,
		.step_ms = own->step_ms,
	};
}

static struct deploy_route route_of(const struct project_service *service)
{
	const struct project_route *route = &service->deploy.route;

	return (struct deploy_route){
		.given = route->given,
		.path = route->path,
		.host = route->host,
		.health = route->health,
		.port = route->port,
	};
}

/* What a deployment is made of, beside the request that borrows it. */
struct order {
	struct deploy_target target;
	struct buf task, service;
	char *name;
	struct http_check *checks;
	struct ledger *ledger;
	struct act_journal journal;
};

static void order_free(struct order *order)
{
	ledger_close(&order->ledger);
	deploy_target_free(&order->target);
	buf_free(&order->task);
	buf_free(&order->service);
	text_free(&order->name);
	free(order->checks);
}

/* The environment's checks as the deployer takes them; owned. */
static struct http_check *checks_of(const struct project_http_checks *given_checks)
{
	struct http_check *checks = memory_new_array(given_checks->count, sizeof(*checks));

	for (size_t i = 0; i < given_checks->count; i++)
		checks[i] = (struct http_check){.http = given_checks->items[i].http,
			.expect = (int)given_checks->items[i].expect,
			.for_ms = given_checks->items[i].for_ms};
	return checks;
}

static bool prepare(struct command_context *context, struct order *order,
	struct deploy_request *request, struct error *err)
{
	const struct project_service *service;
	struct deploy_target *target = &order->target;

	if (!deploy_target_open(target, &flags, context, err))
		return false;
	service = deploy_target_service(target, context->words.items[0], err);
	if (!service || (given.image && !deploy_admit(target, given.image, err)) ||
		!deploy_target_place(target, service, &request->place, &order->name, err) ||
		!deploy_target_read(target, service, service->deploy.task, &order->task, err) ||
		!deploy_target_read(target, service, service->deploy.service, &order->service,
			err) ||
		!ledger_open(context->ledger, LEDGER_WRITE, &order->ledger, err))
		return false;
	act_journal_init(&order->journal, order->ledger);
	request->provision = text_equal(target->environment->target, "local");
	request->task_text = buf_str(&order->task);
	request->service_text = buf_str(&order->service);
	request->task_file = service->deploy.task;
	request->service_file = service->deploy.service;
	request->image = given.image;
	request->route = route_of(service);
	request->strategy = strategy_of(target->environment);
	request->alarms = target->environment->alarms.items;
	request->alarm_count = target->environment->alarms.count;
	order->checks = checks_of(&target->environment->checks);
	request->checks = order->checks;
	request->check_count = target->environment->checks.count;
	/* The image that runs is only known after looking at it. */
	request->admit = given.image ? NULL : deploy_admit;
	request->admit_context = target;
	request->client_token = given.client_token;
	request->timeout_ms = given.timeout_ms;
	request->no_wait = given.no_wait;
	request->journal = &order->journal.journal;
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(order_free) struct order order = {0};
	scoped(deploy_result_free) struct deploy_result result = {0};
	struct deploy_request request = {0};
	struct event_sink progress;

	if (!prepare(context, &order, &request, err) ||
		!cancel_watch(&request.place.cancel_fd, err))
		return false;
	if (!ledger_current_forget(order.ledger, order.target.current->app,
		    order.target.environment->name, context->words.items[0], err))
		return false;
	deploy_progress_start(&progress);
	bool done = ecs_deploy(&request, &result, err);

	event_remove_sink(&progress);
	const char *commit = order.target.opened.snapshot ? order.target.opened.commit.id : NULL;

	return done && deploy_report(context, "deploy", &request.place, commit, &result, err);
}

const struct command deploy_command = {"deploy", &options, run, false};
