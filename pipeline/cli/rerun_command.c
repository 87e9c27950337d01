#include "base/memory.h"
#include "pipeline/cli/execute.h"
#include "pipeline/engine/schedule.h"
#include "pipeline/ledger/ledger.h"

static struct {
	const char *step;
	bool no_restore;
	int64_t jobs;
} given;

static const struct option_row rows[] = {
	{"step", OPTION_TEXT, &given.step, "[SERVICE/]STEP",
		"do it again from this step on, although nothing changed", NULL},
	{"no-restore", OPTION_SWITCH, &given.no_restore, NULL,
		"build again what could be restored from an earlier build", NULL},
	{"jobs", OPTION_INT, &given.jobs, "N", "steps at once (default: number of processors)",
		NULL},
};

static const struct option_set options = {
	.usage = "rerun RUN [--step [SERVICE/]STEP] [--no-restore]",
	.about = "do again what did not end well in a run",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
};

static bool check_step(struct ledger *ledger, int64_t run, struct error *err)
{
	static const char *const known[] = {"build", "image", "push", "deploy"};
	const char *slash = strchr(given.step, '/'), *name = slash ? slash + 1 : given.step;
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	enum step_kind kind = STEP_BUILD;

	if (!step_kind_of_name(name, &kind)) {
		const char *nearest = text_nearest(name, known, countof(known));

		error_raise(err, ERROR_USAGE, "there is no step \"%s\"", name);
		if (nearest)
			error_next(err, "did you mean \"%s\"?", nearest);
		return error_next(err, "steps are build, build:TASK, image, push and deploy");
	}
	if (!ledger_steps_find(ledger, run, &steps, err))
		return false;
	for (size_t i = 0; i < steps.count; i++)
		if (kind != STEP_TASK || text_equal(steps.items[i].name, name))
			return true;
	return kind != STEP_TASK ||
	       error_raise(err, ERROR_USAGE, "run %lld has no step \"%s\"", (long long)run, name);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(ledger_run_free) struct ledger_run old = {0};
	int64_t id = 0;

	if (!str_to_int(str_of(context->words.items[0]), &id))
		return error_raise(err, ERROR_USAGE, "\"%s\" is no number of a run",
			context->words.items[0]);
	{
		/* Closed before the engine opens its own. */
		scoped(ledger_close) struct ledger *ledger = NULL;

		if (!ledger_open(context->ledger, LEDGER_READ, &ledger, err) ||
			!ledger_run_get(ledger, id, &old, err) ||
			(given.step && !check_step(ledger, id, err)))
			return false;
	}
	const struct execute_options execution = {
		.repository = old.repository,
		.rev = old.commit,
		.environment = *old.environment ? old.environment : NULL,
		.force = given.step,
		.fresh = given.no_restore,
		.jobs = given.jobs,
	};

	return execute(context, &execution, err);
}

const struct command rerun_command = {"rerun", &options, run, false};
