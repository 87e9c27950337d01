#include "pipeline/cli/tests_print.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/terminal.h"

enum { MESSAGE_LINES = 6 };

void tested_service_free(struct tested_service *service)
{
	json_free(&service->result);
	flaky_tests_free(&service->flaky);
	*service = (struct tested_service){0};
}

/* Names and messages are the tests' own. */
static void print_text(FILE *out, struct str text)
{
	struct terminal_filter filter = {0};
	scoped(buf_free) struct buf shown = {0};

	terminal_filter_feed(&filter, text, &shown);
	terminal_filter_flush(&filter, &shown);
	fwrite(shown.data ? shown.data : "", 1, shown.size, out);
}

/* "Class > name", or the suite where there is no class; the group when there are several. */
static void print_name(FILE *out, const char *suite, const char *class_name, const char *name)
{
	const char *before = *class_name ? class_name : suite;

	print_text(out, str_of(before));
	fputs(*before ? " > " : "", out);
	print_text(out, str_of(*name ? name : "(no name)"));
}

static void print_case_name(FILE *out, const struct json *found)
{
	print_name(out, json_get_text(found, "suite", ""), json_get_text(found, "class", ""),
		json_get_text(found, "name", ""));
}

static void print_duration(FILE *out, const struct json *found)
{
	double duration_ms = json_real(json_get(found, "duration_ms"), 0);
	char text[TIME_TEXT_SIZE];

	duration_to_text((int64_t)duration_ms, text);
	fprintf(out, "%s", text);
}

static void print_message(FILE *out, const char *message)
{
	struct str rest = str_of(message);

	for (int line = 0; rest.size && line < MESSAGE_LINES; line++) {
		fputs("             ", out);
		print_text(out, str_cut(&rest, '\n'));
		fputc('\n', out);
	}
}

static void print_failed(FILE *out, const struct json *found)
{
	const char *file = json_get_text(found, "file", "");
	int64_t line = json_get_int(found, "line", 0);

	fprintf(out, "  %-9s  ", json_get_text(found, "status", ""));
	print_case_name(out, found);
	if (*file) {
		fputs("  (", out);
		print_text(out, str_of(file));
		if (line)
			fprintf(out, ":%lld", (long long)line);
		fputc(')', out);
	}
	fputc('\n', out);
	print_message(out, json_get_text(found, "message", ""));
}

static void print_group(FILE *out, const struct json *group, int64_t slowest)
{
	const struct json *failed = json_get(group, "failed"), *slow = json_get(group, "slowest");
	const struct json *unread = json_get(group, "unread"), *totals = json_get(group, "totals");
	int64_t missing = json_get_int(totals, "failed", 0) + json_get_int(totals, "errors", 0) -
			  (int64_t)json_count(failed);

	for (size_t i = 0; i < json_count(failed); i++)
		print_failed(out, json_at(failed, i));
	if (missing > 0)
		fprintf(out, "  and %lld more, in reports.jsonl of the build\n",
			(long long)missing);
	for (size_t i = 0; i < json_count(slow) && (int64_t)i < slowest; i++) {
		fputs("  slow       ", out);
		print_case_name(out, json_at(slow, i));
		fputs("  ", out);
		print_duration(out, json_at(slow, i));
		fputc('\n', out);
	}
	for (size_t i = 0; i < json_count(unread); i++) {
		fputs("  unread     ", out);
		print_text(out, str_of(json_get_text(json_at(unread, i), "file", "")));
		fputs(": ", out);
		print_text(out, str_of(json_get_text(json_at(unread, i), "message", "")));
		fputc('\n', out);
	}
}

static void print_flaky(FILE *out, const struct flaky_test *test)
{
	fputs("  flaky      ", out);
	print_name(out, test->suite, test->class_name, test->name);
	fprintf(out, "  failed in %lld of %lld runs", (long long)(test->failed + test->repeated),
		(long long)(test->passed + test->failed + test->repeated));
	if (test->same_inputs)
		fputs(", with the same inputs", out);
	else if (test->repeated)
		fputs(", passed when repeated", out);
	fprintf(out, ", last in run %lld\n", (long long)test->last_failed);
}

void tests_print(FILE *out, const struct tested_service *service, int64_t slowest)
{
	const struct json *reports = json_get(service->result, "reports");
	const struct json *restored = json_get(service->result, "restored");
	scoped(text_free) char *text = test_totals_text(&service->totals);
	scoped(text_free) char *name =
		test_record_name(service->step->service, service->step->name);

	fprintf(out, "%s: %s", name, text ? text : "no test reports");
	if (restored)
		fprintf(out, " (restored from run %lld)",
			(long long)json_get_int(restored, "run", 0));
	fputc('\n', out);
	for (size_t i = 0; i < json_count(reports); i++)
		print_group(out, json_at(reports, i), slowest);
	for (size_t i = 0; i < service->flaky.count; i++)
		print_flaky(out, &service->flaky.items[i]);
}

void tests_write_totals(const struct test_totals *totals, struct json_writer *w)
{
	json_key(w, "tests");
	json_object_begin(w);
	json_put_int(w, "passed", totals->passed);
	json_put_int(w, "failed", totals->failed);
	json_put_int(w, "errors", totals->errors);
	json_put_int(w, "skipped", totals->skipped);
	json_object_end(w);
}

static void write_flaky(const struct flaky_test *test, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "group", test->group);
	json_put_text(w, "suite", test->suite);
	json_put_text(w, "class", test->class_name);
	json_put_text(w, "name", test->name);
	json_put_int(w, "passed", test->passed);
	json_put_int(w, "failed", test->failed);
	json_put_int(w, "repeated", test->repeated);
	json_put_int(w, "changes", test->changes);
	json_put_bool(w, "same_inputs", test->same_inputs);
	json_put_int(w, "last_failed_run", test->last_failed);
	json_object_end(w);
}

void tests_write(const struct tested_service *service, int64_t slowest, struct json_writer *w)
{
	struct json *reports = json_get(service->result, "reports");

	for (size_t i = 0; i < json_count(reports); i++) {
		struct json *slow = json_get(json_at(reports, i), "slowest");

		while ((int64_t)json_count(slow) > slowest)
			json_remove_at(slow, json_count(slow) - 1);
	}
	json_object_begin(w);
	json_put_text(w, "service", service->step->service);
	json_put_text(w, "step", service->step->name);
	json_put_text(w, "status", outcome_name(service->step->status));
	json_put_value(w, "restored", json_get(service->result, "restored"));
	tests_write_totals(&service->totals, w);
	json_key(w, "reports");
	if (reports) {
		json_write_value(w, reports);
	} else {
		json_array_begin(w);
		json_array_end(w);
	}
	json_key(w, "flaky");
	json_array_begin(w);
	for (size_t i = 0; i < service->flaky.count; i++)
		write_flaky(&service->flaky.items[i], w);
	json_array_end(w);
	json_put_int(w, "flaky_runs", service->flaky.runs);
	json_object_end(w);
}
