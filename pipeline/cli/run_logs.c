#include "pipeline/cli/run_logs.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/terminal.h"
#include "builders/executor/stored_log.h"
#include "pipeline/engine/report.h"
#include "pipeline/engine/step_log.h"

#include <fcntl.h>
#include <unistd.h>

enum { FOLLOW_MS = 200, PIECE_BYTES = 64 * 1024 };

/* What goes to stdout. */
struct printer {
	const struct run_logs_options *options;
	bool terminal;
	bool inside_line;
	int64_t skip_lines; /* before the first that is printed */
	struct terminal_filter filter;
	struct buf safe;
};

static void printer_free(struct printer *printer)
{
	buf_free(&printer->safe);
}

static void put(struct printer *printer, struct str text)
{
	if (printer->terminal) {
		buf_clear(&printer->safe);
		terminal_filter_feed(&printer->filter, text, &printer->safe);
		text = buf_str(&printer->safe);
	}
	fwrite(text.data, 1, text.size, stdout);
}

/* Up to the end of a line, or less; time_ms is that of its first byte, 0: not known. */
static void put_line(struct printer *printer, struct str line, int64_t time_ms)
{
	char time[TIME_TEXT_SIZE];
	bool ends = line.data[line.size - 1] == '\n';

	if (printer->skip_lines > 0) {
		printer->skip_lines -= ends;
		return;
	}
	if (!printer->inside_line && printer->options->timestamps) {
		time_to_rfc3339(time_ms, time);
		printf("%s ", time_ms ? time : "                        ");
	}
	put(printer, line);
	printer->inside_line = !ends;
}

static void end_line(struct printer *printer)
{
	if (printer->inside_line)
		putchar('\n');
	printer->inside_line = false;
}

static void put_block(struct printer *printer, const struct stored_block *block)
{
	struct str rest = buf_str(&block->text);
	size_t time = 0, until = block->time_count ? block->times[0].size : 0;

	for (size_t at = 0; at < rest.size;) {
		const char *end = memchr(rest.data + at, '\n', rest.size - at);
		size_t size = end ? (size_t)(end - rest.data) + 1 - at : rest.size - at;

		for (; at >= until && time + 1 < block->time_count; time++)
			until += block->times[time + 1].size;
		put_line(printer, (struct str){rest.data + at, size},
			block->time_count ? block->times[time].time_ms : 0);
		at += size;
	}
}

static void count_lines(void *self, struct str piece)
{
	int64_t *lines = self;
	const char *at = piece.data, *end = piece.data + piece.size;

	for (; (at = memchr(at, '\n', (size_t)(end - at))); at++)
		++*lines;
}

/* What the stage said itself; without times. */
static bool print_said(struct printer *printer, const char *path, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	enum { SAID_LIMIT = 64 * 1024 * 1024 };

	end_line(printer);
	if (!file_exists(path))
		return true;
	if (!file_read(path, SAID_LIMIT, &text, err))
		return false;
	struct stored_block block = {.text = text};

	put_block(printer, &block);
	return true;
}

/* Is the step still at work? Asks the ledger. */
static bool is_running(struct ledger *ledger, int64_t run, const struct ledger_step *step)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	scoped(ledger_run_free) struct ledger_run found = {0};
	struct error err = {0};

	if (!ledger_run_get(ledger, run, &found, &err) ||
		!ledger_steps_find(ledger, run, &steps, &err)) {
		error_ignore(&err, "then there is nothing to wait for");
		return false;
	}
	for (size_t i = 0; i < steps.count; i++)
		if (text_equal(steps.items[i].service, step->service) &&
			text_equal(steps.items[i].name, step->name))
			return steps.items[i].status == OUTCOME_RUNNING &&
			       text_equal(report_status(&found), "running");
	return false;
}

static bool print_blocks(struct printer *printer, struct stored_log_reader *reader,
	struct error *err)
{
	scoped(stored_block_free) struct stored_block block = {0};
	bool more = true;

	while (more) {
		if (!stored_log_read(reader, false, &block, &more, err))
			return false;
		if (more)
			put_block(printer, &block);
	}
	fflush(stdout);
	return true;
}

static bool print_output(struct printer *printer, struct ledger *ledger,
	const struct ledger_step *step, const char *path, struct error *err)
{
	scoped(stored_log_reader_free) struct stored_log_reader *reader = NULL;
	const struct run_logs_options *options = printer->options;
	int64_t lines = 0;
	bool running = options->follow;

	/* A step that has only just begun has no log yet. */
	while (running && !file_exists(path) && is_running(ledger, options->run, step))
		clock_sleep(&system_clock, FOLLOW_MS);
	if (!file_exists(path))
		return true;
	if (options->lines && !stored_log_each(path, count_lines, &lines, err))
		return false;
	printer->skip_lines = lines > options->lines && options->lines ? lines - options->lines : 0;
	if (!stored_log_reader_open(path, &reader, err))
		return false;
	do {
		/* Asked first: what was written until then is read below. */
		running = options->follow && is_running(ledger, options->run, step);
		if (!print_blocks(printer, reader, err))
			return false;
		if (running)
			clock_sleep(&system_clock, FOLLOW_MS);
	} while (running);
	if (stored_log_is_cut(reader))
		fputs("dogshore: the log breaks off here: its writer was killed, or is still at "
		      "work\n",
			stderr);
	return true;
}

static bool print_step(struct printer *printer, struct ledger *ledger, const struct ledger_run *run,
	const struct ledger_step *step, struct error *err)
{
	scoped(text_free) char *said = step_log_said(run->folder, step->service, step->name);
	scoped(text_free) char *output = step_log_output(run->folder, step->service, step->name);
	bool done = (!output || print_output(printer, ledger, step, output, err)) &&
		    print_said(printer, said, err);

	end_line(printer);
	return done || error_while(err, "reading the log of %s of %s", step->name, step->service);
}

static bool is_wanted(const struct run_logs_options *options, const struct ledger_step *step)
{
	return step->attempts &&
	       (!options->service || text_equal(options->service, step->service)) &&
	       (!options->step || text_equal(options->step, step->name));
}

static bool none(const struct run_logs_options *options, struct error *err)
{
	error_raise(err, ERROR_NOT_FOUND, "run %lld has no log of %s%s%s", (long long)options->run,
		options->service ? options->service : "any step", options->step ? " " : "",
		options->step ? options->step : "");
	return error_next(err, "dogshore show %lld lists its steps", (long long)options->run);
}

bool run_logs_print(struct command_context *context, const struct run_logs_options *options,
	struct error *err)
{
	scoped(ledger_close) struct ledger *ledger = NULL;
	scoped(ledger_run_free) struct ledger_run run = {0};
	scoped(ledger_steps_free) struct ledger_steps steps = {0};
	scoped(printer_free) struct printer printer = {.options = options,
		.terminal = isatty(STDOUT_FILENO)};
	size_t wanted = 0;

	if (!ledger_open(context->ledger, LEDGER_READ, &ledger, err))
		return error_next(err, "there are no runs yet: dogshore run");
	if (!ledger_run_get(ledger, options->run, &run, err) ||
		!ledger_steps_find(ledger, options->run, &steps, err))
		return false;
	for (size_t i = 0; i < steps.count; i++)
		wanted += is_wanted(options, &steps.items[i]);
	for (size_t i = 0; i < steps.count; i++) {
		if (!is_wanted(options, &steps.items[i]))
			continue;
		if (wanted > 1)
			printf("--- %s %s\n", steps.items[i].service, steps.items[i].name);
		if (!print_step(&printer, ledger, &run, &steps.items[i], err))
			return false;
	}
	return wanted || none(options, err);
}
