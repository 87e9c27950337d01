#include "pipeline/cli/execute.h"

#include "base/memory.h"
#include "pipeline/cli/opened.h"
#include "pipeline/cli/progress.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/known.h"
#include "pipeline/engine/report.h"

#include <signal.h>

struct executing {
	struct loop *loop;
	struct engine *engine;
	int64_t run; /* the one we wait for */
	bool over;
	struct error failure;
};

static void ended(void *context, const struct ledger_run *run, const struct error *err)
{
	struct executing *executing = context;

	if (executing->run && run->id != executing->run)
		return;
	executing->run = run->id;
	executing->over = true;
	if (err) {
		error_raise(&executing->failure, err->kind, "%s", err->message);
		for (size_t i = 0; i < err->context_count; i++)
			error_while(&executing->failure, "%s", err->contexts[i]);
		if (err->next)
			error_next(&executing->failure, "%s", err->next);
	}
	loop_stop(executing->loop);
}

static void interrupted(void *context)
{
	struct executing *executing = context;

	engine_cancel_all(executing->engine, "it was interrupted by a signal");
}

/* The branch a commit belongs to, as far as it can be told: the checked-out one at its tip. */
static bool branch_of(struct repository *repository, const struct commit *commit, char **out_branch,
	struct error *err)
{
	scoped(text_free) char *head = NULL;
	scoped(commit_free) struct commit tip = {0};
	scoped(error_free) struct error none = {0};

	if (!repository_head_branch(repository, &head, err))
		return false;
	if (head && !repository_resolve(repository, "HEAD", &tip, &none))
		error_ignore(&none, "a branch without commits has no tip");
	*out_branch = memory_copy_text(head && text_equal(tip.id, commit->id) ? head : "");
	return true;
}

/* The environment must be known before there is a run, so that a typing error leaves no trace. */
static bool choose_environment(struct repository *repository, const struct commit *commit,
	const char *name, const char *state, char **out_environment, struct error *err)
{
	scoped(snapshot_free) struct snapshot *snapshot = NULL;
	scoped(project_free) struct project *project = NULL;
	const struct project_environment *environment = NULL;

	if (!snapshot_open(repository, commit->id, &snapshot, err) ||
		!plan_read_project_cached(snapshot, state, &project, err) ||
		!environment_choose(project, name, false, &environment, err))
		return false;
	*out_environment = memory_copy_text(environment ? environment->name : "");
	return true;
}

static bool start(struct executing *executing, const struct execute_options *options,
	struct repository *repository, const char *state, struct error *err)
{
	scoped(commit_free) struct commit commit = {0};
	scoped(text_free) char *environment = NULL, *branch = NULL;

	if (!repository_resolve(repository, options->rev ? options->rev : "HEAD", &commit, err) ||
		!choose_environment(repository, &commit, options->environment, state, &environment,
			err) ||
		!branch_of(repository, &commit, &branch, err))
		return false;
	if (!options->force && !options->fresh &&
		!engine_resume(executing->engine, commit.id, environment, &executing->run, err))
		return false;
	if (executing->run)
		return true;
	const struct engine_request request = {
		.commit = &commit,
		.branch = branch,
		.environment = environment,
		.force = options->force,
		.fresh = options->fresh,
	};
	int64_t run = 0;

	return engine_submit(executing->engine, &request, &run, err);
}

/* The run's outcome as this command's: the document or the report, and an error unless it passed. */
static bool tell(struct command_context *context, struct ledger *ledger,
	struct executing *executing, struct error *err)
{
	scoped(ledger_run_free) struct ledger_run run = {0};

	if (!ledger_run_get(ledger, executing->run, &run, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		if (!report_write(ledger, &run, true, &w, err))
			return false;
	} else if (!report_print(stdout, ledger, &run, err)) {
		return false;
	}
	/* The commit's own fault, with its place and advice. */
	if (executing->failure.kind != ERROR_NONE) {
		error_move(err, &executing->failure);
		return false;
	}
	if (run.status == OUTCOME_PASSED)
		return true;
	if (run.status != OUTCOME_CANCELLED)
		report_print_failure(stderr, ledger, &run);
	int exit_status;
	scoped(text_free) char *advice = report_advice(ledger, &run, &exit_status);
	/* A stage that found its files wrong says so with its exit status alone. */
	bool invalid = run.status == OUTCOME_ERROR && exit_status == 2;

	error_raise(err, invalid ? ERROR_INVALID : outcome_error_kind(run.status), "%s",
		run.reason);
	error_while(err, "bringing commit %.12s%s%s (run %lld, %s)", run.commit,
		*run.environment ? " to " : "", run.environment, (long long)run.id,
		outcome_name(run.status));
	if (advice)
		error_next(err, "%s; all about it: dogshore show %lld", advice, (long long)run.id);
	return error_next(err, "dogshore show %lld", (long long)run.id);
}

static bool follow(struct command_context *context, const struct execute_options *options,
	struct executing *executing, struct ledger *ledger, struct repository *repository,
	struct error *err)
{
	struct engine_options engine = {
		.loop = executing->loop,
		.ledger = ledger,
		.repository = repository,
		.ledger_url = context->ledger,
		.state = context->state,
		.jobs = (size_t)options->jobs,
		.ended = ended,
		.context = executing,
	};
	executing->engine = engine_new(&engine);
	bool done = start(executing, options, repository, context->state, err) &&
		    (executing->over || loop_run(executing->loop, err));

	engine_free(&executing->engine);
	return done && tell(context, ledger, executing, err);
}

bool execute(struct command_context *context, const struct execute_options *options,
	struct error *err)
{
	scoped(loop_free) struct loop *loop = NULL;
	scoped(repository_free) struct repository *repository = NULL;
	scoped(ledger_close) struct ledger *ledger = NULL;
	struct executing executing = {0};
	struct event_sink progress;

	if (!repository_open(options->repository ? options->repository : ".", &repository, err) ||
		!ledger_open(context->ledger, LEDGER_ENGINE, &ledger, err) || !loop_new(&loop, err))
		return false;
	executing.loop = loop;
	struct watch *terminate = loop_add_signal(loop, SIGTERM, interrupted, &executing);
	struct watch *interrupt = loop_add_signal(loop, SIGINT, interrupted, &executing);

	progress_start(&progress);
	bool done = follow(context, options, &executing, ledger, repository, err);

	progress_stop(&progress);
	loop_remove(loop, &terminate);
	loop_remove(loop, &interrupt);
	error_free(&executing.failure);
	return done;
}
