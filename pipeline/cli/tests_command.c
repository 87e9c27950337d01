#include "base/memory.h"
#include "pipeline/cli/command.h"
#include "pipeline/cli/tests_print.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/schedule.h"
#include "pipeline/engine/test_record.h"

static struct {
	int64_t slowest;
} given = {5};

static const struct option_row rows[] = {
	{"slowest", OPTION_INT, &given.slowest, "N",
		"how many of the slowest tests of a report group, at most 10 (default: 5)", NULL},
};

static const struct option_set options = {
	.usage = "tests RUN [SERVICE]",
	.about = "the tests of a run: failed, slowest, flaky",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 2,
};

enum { EXIT_FAILED = 1, SLOWEST_MAX = 10 };

struct asked {
	struct ledger *ledger;
	struct ledger_run run;
	struct ledger_steps steps;
	struct test_totals sum;
	const char *service; /* NULL: all */
};

static void asked_free(struct asked *asked)
{
	ledger_steps_free(&asked->steps);
	ledger_run_free(&asked->run);
	ledger_close(&asked->ledger);
}

static bool open_run(struct command_context *context, struct asked *asked, struct error *err)
{
	int64_t id = 0;

	if (given.slowest < 0 || given.slowest > SLOWEST_MAX)
		return error_raise(err, ERROR_USAGE, "--slowest is from 0 to %d", SLOWEST_MAX);
	if (!str_to_int(str_of(context->words.items[0]), &id)) {
		error_raise(err, ERROR_USAGE, "\"%s\" is no number of a run",
			context->words.items[0]);
		return error_next(err, "\"dogshore runs\" lists them");
	}
	asked->service = context->words.count > 1 ? context->words.items[1] : NULL;
	if (!ledger_open(context->ledger, LEDGER_READ, &asked->ledger, err))
		return error_next(err, "there are no runs yet: dogshore run");
	return ledger_run_get(asked->ledger, id, &asked->run, err) &&
	       ledger_steps_find(asked->ledger, id, &asked->steps, err);
}

/* Then what its build has are the tests of its tasks. */
static bool has_tasks(const struct asked *asked, const char *service)
{
	enum step_kind kind = STEP_IMAGE;

	for (size_t i = 0; i < asked->steps.count; i++)
		if (text_equal(asked->steps.items[i].service, service) &&
			step_kind_of_name(asked->steps.items[i].name, &kind) && kind == STEP_TASK)
			return true;
	return false;
}

static bool is_asked_for(const struct asked *asked, const struct ledger_step *step)
{
	enum step_kind kind = STEP_IMAGE;

	return step_kind_of_name(step->name, &kind) &&
	       (kind == STEP_TASK || (kind == STEP_BUILD && !has_tasks(asked, step->service))) &&
	       (!asked->service || text_equal(step->service, asked->service));
}

static bool check_service(const struct asked *asked, struct error *err)
{
	for (size_t i = 0; i < asked->steps.count; i++)
		if (is_asked_for(asked, &asked->steps.items[i]))
			return true;
	if (!asked->service)
		return true;
	error_raise(err, ERROR_NOT_FOUND, "run %lld did not build \"%s\"", (long long)asked->run.id,
		asked->service);
	return error_next(err, "\"dogshore show %lld\" lists what it did",
		(long long)asked->run.id);
}

static bool look_at(struct asked *asked, const struct ledger_step *step, struct tested_service *out,
	struct error *err)
{
	scoped(error_free) struct error wrong = {0};
	scoped(text_free) char *name = test_record_name(step->service, step->name);

	out->step = step;
	if (*step->result &&
		!json_parse(str_of(step->result), "result", NULL, &out->result, &wrong))
		error_ignore(&wrong, "a stage that died has no result");
	out->totals = test_totals_of(out->result);
	asked->sum.any = asked->sum.any || out->totals.any;
	asked->sum.passed += out->totals.passed;
	asked->sum.failed += out->totals.failed;
	asked->sum.errors += out->totals.errors;
	asked->sum.skipped += out->totals.skipped;
	return test_history_flaky(asked->ledger, asked->run.app, name, asked->run.id, &out->flaky,
		err);
}

static bool report_services(struct asked *asked, struct json_writer *w, struct error *err)
{
	for (size_t i = 0; i < asked->steps.count; i++) {
		scoped(tested_service_free) struct tested_service service = {0};

		if (!is_asked_for(asked, &asked->steps.items[i]))
			continue;
		if (!look_at(asked, &asked->steps.items[i], &service, err))
			return false;
		if (w)
			tests_write(&service, given.slowest, w);
		else
			tests_print(stdout, &service, given.slowest);
	}
	return true;
}

static bool write_all(struct asked *asked, struct buf *result, struct error *err)
{
	struct json_writer w = json_writer_start(result);

	json_object_begin(&w);
	json_put_int(&w, "run", asked->run.id);
	json_put_text(&w, "commit", asked->run.commit);
	json_key(&w, "services");
	json_array_begin(&w);
	if (!report_services(asked, &w, err))
		return false;
	json_array_end(&w);
	tests_write_totals(&asked->sum, &w);
	json_put_text(&w, "status", asked->sum.failed + asked->sum.errors ? "failed" : "passed");
	json_object_end(&w);
	return true;
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(asked_free) struct asked asked = {0};
	scoped(buf_free) struct buf result = {0};

	if (!open_run(context, &asked, err) || !check_service(&asked, err) ||
		!(context->json ? write_all(&asked, &result, err)
				: report_services(&asked, NULL, err)))
		return false;
	buf_append_str(&context->result, buf_str(&result));
	if (!context->json && !asked.sum.any)
		printf("run %lld has no test reports: \"reports\" of a buildspec.yml names them\n",
			(long long)asked.run.id);
	context->exit_status = asked.sum.failed + asked.sum.errors ? EXIT_FAILED : 0;
	return true;
}

const struct command tests_command = {"tests", &options, run, false};
