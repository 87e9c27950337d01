#include "pipeline/cli/progress.h"

#include "base/clock.h"

#include <stdlib.h>
#include <unistd.h>

struct colour_row {
	const char *status, *start;
};

static const struct colour_row colours[] = {
	{"passed", "\033[32m"},
	{"skipped", "\033[2m"},
	{"failed", "\033[31m"},
	{"error", "\033[31m"},
	{"rolled_back", "\033[31m"},
	{"timed_out", "\033[31m"},
	{"unknown", "\033[31m"},
	{"cancelled", "\033[33m"},
};

static bool coloured;

static const char *colour_of(const char *status)
{
	for (size_t i = 0; coloured && i < countof(colours); i++)
		if (text_equal(colours[i].status, status))
			return colours[i].start;
	return "";
}

static const char *text_of(const struct event *event, const char *key)
{
	return json_get_text(event->fields, key, "");
}

static void print_step(const struct event *event)
{
	const char *status = text_of(event, "status"), *reason = text_of(event, "reason");
	const char *start = colour_of(status);
	char took[TIME_TEXT_SIZE] = "";

	if (json_get(event->fields, "duration_ms"))
		duration_to_text(json_int(json_get(event->fields, "duration_ms"), 0), took);
	fprintf(stderr, "%-12s %-6s %s%s%s%s%s%s%s\n", text_of(event, "service"),
		text_of(event, "step"), start, status, *start ? "\033[0m" : "", *took ? "  " : "",
		took, *reason ? "  " : "", reason);
}

static void take(void *self, const struct event *event)
{
	long long run = (long long)json_int(json_get(event->fields, "run"), 0);
	const char *environment = text_of(event, "environment");

	(void)self;
	if (text_equal(event->name, "run.started"))
		fprintf(stderr, "run %lld: commit %.12s%s%s  %s\n", run, text_of(event, "commit"),
			*environment ? " to " : "", environment, text_of(event, "subject"));
	else if (text_equal(event->name, "run.resumed"))
		fprintf(stderr, "run %lld: taken over from an engine that died\n", run);
	else if (text_equal(event->name, "step.started") || text_equal(event->name, "step.ended"))
		print_step(event);
}

void progress_start(struct event_sink *sink)
{
	const char *no_colour = getenv("NO_COLOR");

	coloured = isatty(STDERR_FILENO) && !(no_colour && *no_colour);
	*sink = (struct event_sink){.take = take};
	event_add_sink(sink);
}

void progress_stop(struct event_sink *sink)
{
	event_remove_sink(sink);
}
