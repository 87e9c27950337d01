#include "pipeline/engine/report.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/terminal.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/run.h"
#include "pipeline/engine/step_log.h"
#include "pipeline/engine/test_record.h"

#include <string.h>

enum { TAIL_LINES = 20, TAIL_BYTES = 8192 };

const char *report_status(const struct ledger_run *run)
{
	if (run->status == OUTCOME_RUNNING && !engine_is_alive(run))
		return "interrupted";
	return outcome_name(run->status);
}

static int64_t duration_of(const struct ledger_run *run)
{
	int64_t end = run->ended_ms ? run->ended_ms : clock_now(&system_clock);

	return run->started_ms ? end - run->started_ms : 0;
}

static void write_head(const struct ledger_run *run, struct json_writer *w)
{
	json_put_int(w, "run", run->id);
	json_put_text(w, "commit", run->commit);
	json_put_text(w, "status", report_status(run));
	json_put_text(w, "reason", run->reason);
	json_put_text(w, "app", run->app);
	json_put_text(w, "branch", run->branch);
	json_put_text(w, "environment", run->environment);
	json_put_text(w, "subject", run->subject);
	json_put_text(w, "author", run->author);
	json_put_time(w, "created_at", run->created_ms);
	if (run->started_ms)
		json_put_time(w, "started_at", run->started_ms);
	json_put_int(w, "duration_ms", duration_of(run));
}

void report_write_line(const struct ledger_run *run, struct json_writer *w)
{
	json_object_begin(w);
	write_head(run, w);
	json_object_end(w);
}

/* NULL when it has none. */
static struct json *result_of(const struct ledger_step *step)
{
	scoped(error_free) struct error err = {0};
	struct json *result = NULL;

	if (*step->result && !json_parse(str_of(step->result), "result", NULL, &result, &err))
		error_ignore(&err, "a result that is no JSON any more is left out");
	return result;
}

/* Most results need not be parsed to see that they have no reports. */
static bool has_reports(const struct ledger_step *step)
{
	return strstr(step->result, "\"reports\":[{") != NULL;
}

static void write_tests(const struct json *result, struct json_writer *w)
{
	const struct test_totals totals = test_totals_of(result);

	if (!totals.any)
		return;
	json_key(w, "tests");
	json_object_begin(w);
	json_put_int(w, "passed", totals.passed);
	json_put_int(w, "failed", totals.failed);
	json_put_int(w, "errors", totals.errors);
	json_put_int(w, "skipped", totals.skipped);
	json_object_end(w);
}

static void write_step(const struct ledger_step *step, const char *folder, bool results,
	struct json_writer *w)
{
	scoped(text_free) char *log = step_log_said(folder, step->service, step->name);
	scoped(text_free) char *output = step_log_output(folder, step->service, step->name);
	scoped(json_free) struct json *result =
		results || has_reports(step) ? result_of(step) : NULL;
	int64_t end = step->ended_ms ? step->ended_ms : clock_now(&system_clock);

	json_object_begin(w);
	json_put_text(w, "name", step->name);
	json_put_text(w, "service", step->service);
	json_put_text(w, "status", outcome_name(step->status));
	json_put_text(w, "reason", step->reason);
	json_put_int(w, "duration_ms", step->started_ms ? end - step->started_ms : 0);
	json_put_int(w, "exit_status", step->exit_status);
	json_put_int(w, "attempts", step->attempts);
	if (step->attempts)
		json_put_text(w, "log", log);
	if (step->attempts && output)
		json_put_text(w, "output", output);
	write_tests(result, w);
	if (results && *step->result)
		json_put_value(w, "result", result);
	json_object_end(w);
}

/* Services of the plan that the run left alone. */
static void write_skipped(const struct ledger_run *run, struct json_writer *w)
{
	scoped(json_free) struct json *plan = NULL;
	scoped(error_free) struct error err = {0};

	if (!*run->plan || !json_parse(str_of(run->plan), "plan", NULL, &plan, &err)) {
		error_ignore(&err, "there is no plan when the commit could not be read");
		return;
	}
	const struct json *services = json_get(plan, "services");

	for (size_t i = 0; i < json_count(services); i++) {
		const struct json *service = json_at(services, i);

		if (!text_equal(json_get_text(service, "action", ""), "skip"))
			continue;
		json_object_begin(w);
		json_put_text(w, "name", "build");
		json_put_text(w, "service", json_get_text(service, "name", ""));
		json_put_text(w, "status", outcome_name(OUTCOME_SKIPPED));
		json_put_text(w, "reason", json_get_text(service, "reason", ""));
		json_put_int(w, "duration_ms", 0);
		json_object_end(w);
	}
}

/* A service that a rerun forced is in the plan as skipped and has steps: those count. */
bool report_write(struct ledger *ledger, const struct ledger_run *run, bool results,
	struct json_writer *w, struct error *err)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	if (!ledger_steps_find(ledger, run->id, &steps, err))
		return false;
	json_object_begin(w);
	write_head(run, w);
	json_key(w, "steps");
	json_array_begin(w);
	for (size_t i = 0; i < steps.count; i++)
		write_step(&steps.items[i], run->folder, results, w);
	if (!*run->force)
		write_skipped(run, w);
	json_array_end(w);
	json_key(w, "release");
	if (run->release)
		json_write_int(w, run->release);
	else
		json_write_null(w);
	json_object_end(w);
	return true;
}

static void print_duration(FILE *out, int64_t duration_ms)
{
	char text[TIME_TEXT_SIZE];

	duration_to_text(duration_ms, text);
	fprintf(out, "%s", text);
}

/* Below the step they belong to. */
static void print_tests(FILE *out, const struct ledger_step *step, int width, int step_width)
{
	scoped(json_free) struct json *result = has_reports(step) ? result_of(step) : NULL;
	const struct test_totals totals = test_totals_of(result);
	scoped(text_free) char *text = test_totals_text(&totals);

	if (text)
		fprintf(out, "  %-*s  %-*s  %s\n", width, "", step_width, "", text);
}

/* "Debian GNU/Linux 12 (bookworm), Linux 6.8.0 x86_64, sandbox"; owned, NULL when it is not known. */
static char *built_on(const struct ledger_step *step)
{
	scoped(json_free) struct json *result = result_of(step);
	const struct json *where = json_get(result, "environment");
	const char *kernel = json_get_text(where, "kernel", NULL);

	if (!kernel)
		return NULL;
	return memory_format("%s, %s %s, %s", json_get_text(where, "system", "an unnamed system"),
		kernel, json_get_text(where, "machine", ""),
		json_get_bool(where, "sandbox", false) ? "sandbox" : "no sandbox");
}

/* Each place once. */
static void print_built_on(FILE *out, const struct ledger_steps *steps)
{
	scoped(strings_free) struct strings seen = {0};

	for (size_t i = 0; i < steps->count; i++) {
		scoped(text_free) char *where = built_on(&steps->items[i]);

		if (!where || strings_contain(&seen, where))
			continue;
		strings_add(&seen, where);
		fprintf(out, "  built on     %s\n", where);
	}
}

static void widen(int *width, const char *text)
{
	if ((int)strlen(text) > *width)
		*width = (int)strlen(text);
}

bool report_print(FILE *out, struct ledger *ledger, const struct ledger_run *run, struct error *err)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	char created[TIME_TEXT_SIZE];
	int width = 0, step_width = 6;

	if (!ledger_steps_find(ledger, run->id, &steps, err))
		return false;
	time_to_rfc3339(run->created_ms, created);
	fprintf(out, "run %lld: %s", (long long)run->id, report_status(run));
	if (run->started_ms) {
		fprintf(out, " in ");
		print_duration(out, duration_of(run));
	}
	fprintf(out, "\n  commit       %.12s %s\n  created      %s\n", run->commit, run->subject,
		created);
	if (*run->branch)
		fprintf(out, "  branch       %s\n", run->branch);
	if (*run->environment)
		fprintf(out, "  environment  %s\n", run->environment);
	if (*run->reason)
		fprintf(out, "  reason       %s\n", run->reason);
	if (*run->folder)
		fprintf(out, "  logs         %s\n", run->folder);
	print_built_on(out, &steps);
	for (size_t i = 0; i < steps.count; i++) {
		widen(&width, steps.items[i].service);
		widen(&step_width, steps.items[i].name);
	}
	for (size_t i = 0; i < steps.count; i++) {
		const struct ledger_step *step = &steps.items[i];

		fprintf(out, "  %-*s  %-*s  %-11s ", width, step->service, step_width, step->name,
			outcome_name(step->status));
		if (step->started_ms && step->ended_ms)
			print_duration(out, step->ended_ms - step->started_ms);
		fprintf(out, "%s%s\n", *step->reason ? "  " : "", step->reason);
		print_tests(out, step, width, step_width);
	}
	return true;
}

void report_print_head(FILE *out)
{
	fprintf(out, "%6s  %-12s  %-11s  %-12s  %-10s  %s\n", "run", "commit", "status",
		"environment", "took", "subject");
}

void report_print_line(FILE *out, const struct ledger_run *run)
{
	char took[TIME_TEXT_SIZE] = "";

	if (run->started_ms)
		duration_to_text(duration_of(run), took);
	fprintf(out, "%6lld  %.12s  %-11s  %-12s  %-10s  %s\n", (long long)run->id, run->commit,
		report_status(run), run->environment, took, run->subject);
}

/* Where the last lines begin. */
static size_t tail_start(struct str text, int lines)
{
	size_t start = text.size;

	/* The end of the last line begins no other one. */
	if (start && text.data[start - 1] == '\n')
		start--;
	for (; start > 0; start--)
		if (text.data[start - 1] == '\n' && --lines == 0)
			break;
	return start;
}

static void print_tail(FILE *out, const struct ledger_run *run, const struct ledger_step *step)
{
	scoped(buf_free) struct buf text = {0}, safe = {0};
	struct terminal_filter filter = {0};

	step_log_tail(run->folder, step->service, step->name, TAIL_BYTES, &text);
	if (!text.size)
		return;
	size_t start = tail_start(buf_str(&text), TAIL_LINES);

	terminal_filter_feed(&filter, (struct str){text.data + start, text.size - start}, &safe);
	terminal_filter_flush(&filter, &safe);
	fprintf(out, "--- dogshore logs %lld %s %s\n", (long long)run->id, step->service,
		step->name);
	fwrite(safe.data, 1, safe.size, out);
	if (safe.size && safe.data[safe.size - 1] != '\n')
		fputc('\n', out);
}

/* The step that gave the run its status; NULL when there is none. */
static const struct ledger_step *telling_step(const struct ledger_steps *steps,
	const struct ledger_run *run)
{
	for (size_t i = 0; i < steps->count; i++)
		if (steps->items[i].status == run->status &&
			!str_starts_with(str_of(steps->items[i].reason), STEP_IGNORED))
			return &steps->items[i];
	return NULL;
}

static void find_steps(struct ledger *ledger, const struct ledger_run *run,
	struct ledger_steps *out_steps)
{
	struct error err = {0};

	if (!ledger_steps_find(ledger, run->id, out_steps, &err))
		error_ignore(&err, "the run's own outcome is told anyway");
}

void report_print_failure(FILE *out, struct ledger *ledger, const struct ledger_run *run)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	find_steps(ledger, run, &steps);
	const struct ledger_step *step = telling_step(&steps, run);

	if (step)
		print_tail(out, run, step);
}

char *report_advice(struct ledger *ledger, const struct ledger_run *run, int *out_exit_status)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	scoped(buf_free) struct buf text = {0};
	static const char mark[] = "  next:  ";
	struct str advice = {0};

	find_steps(ledger, run, &steps);
	const struct ledger_step *step = telling_step(&steps, run);

	*out_exit_status = step ? step->exit_status : 0;
	if (!step)
		return NULL;
	step_log_tail(run->folder, step->service, step->name, TAIL_BYTES, &text);
	for (struct str rest = buf_str(&text); rest.size;) {
		struct str line = str_cut(&rest, '\n');

		if (str_starts_with(line, mark))
			advice = (struct str){line.data + strlen(mark), line.size - strlen(mark)};
	}
	if (advice.size)
		return str_copy(advice);
	return text.size ? memory_format("read its log: dogshore logs %lld %s %s",
				   (long long)run->id, step->service, step->name)
			 : NULL;
}
