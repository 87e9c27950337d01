#include "base/json_writer.h"
#include "base/memory.h"
#include "pipeline/cli/deploy_target.h"
#include "pipeline/cli/run_logs.h"

static struct deploy_flags flags;
static struct {
	const char *task;
	int64_t lines; /* -1: not given */
	bool timestamps, follow;
} given = {NULL, -1, false, false};

static const struct option_row rows[] = {
	DEPLOY_FLAG_ROWS(flags),
	{"task", OPTION_TEXT, &given.task, "ID", "only this task (its id, or how it begins)", NULL},
	{"lines", OPTION_INT, &given.lines, "N",
		"the last N lines (default: of a service 100, of a run's step all)", NULL},
	{"timestamps", OPTION_SWITCH, &given.timestamps, NULL,
		"of a run: with the time of each line", NULL},
	{"follow", OPTION_SWITCH, &given.follow, NULL, "of a run: go on while it is at work", NULL},
};

static const struct option_set options = {
	.usage = "logs RUN [SERVICE [STEP]] [flags], or logs SERVICE --env E [flags]",
	.about = "what the steps of a run printed, or the tasks of a service wrote",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 3,
};

static void print_line(void *context, const struct deploy_log_line *line)
{
	char time[TIME_TEXT_SIZE];

	(void)context;
	time_to_rfc3339(line->time_ms, time);
	printf("%s %.8s %s\n", time, line->task, line->text);
}

static void write_line(void *context, const struct deploy_log_line *line)
{
	struct json_writer *w = context;

	json_object_begin(w);
	json_put_time(w, "at", line->time_ms);
	json_put_text(w, "task", line->task);
	json_put_text(w, "container", line->container);
	json_put_text(w, "message", line->text);
	json_object_end(w);
}

static bool write_all(struct command_context *context, const struct deploy_place *place,
	struct error *err)
{
	scoped(buf_free) struct buf out = {0};
	struct json_writer w = json_writer_start(&out);

	json_object_begin(&w);
	json_put_text(&w, "service", place->service);
	json_put_text(&w, "environment", place->environment);
	json_key(&w, "lines");
	json_array_begin(&w);
	if (!ecs_logs(place, given.task, given.lines, write_line, &w, err))
		return false;
	json_array_end(&w);
	json_object_end(&w);
	buf_append_str(&context->result, buf_str(&out));
	return true;
}

static bool run_logs(struct command_context *context, int64_t run, struct error *err)
{
	const struct strings *words = &context->words;
	const struct run_logs_options wanted = {.run = run,
		.service = words->count > 1 ? words->items[1] : NULL,
		.step = words->count > 2 ? words->items[2] : NULL,
		.lines = given.lines < 0 ? 0 : given.lines,
		.timestamps = given.timestamps,
		.follow = given.follow};

	if (given.lines == 0 || given.lines < -1)
		return error_raise(err, ERROR_USAGE, "--lines is at least 1");
	if (context->json) {
		error_raise(err, ERROR_USAGE, "the log of a run is bytes, not JSON");
		return error_next(err,
			"leave --json away, or read the file that \"dogshore show %lld "
			"--json\" names",
			(long long)run);
	}
	return run_logs_print(context, &wanted, err);
}

static bool run(struct command_context *context, struct error *err)
{
	int64_t number;

	scoped(deploy_target_free) struct deploy_target target = {0};
	scoped(text_free) char *name = NULL;
	const struct project_service *service = NULL;
	struct deploy_place place;

	if (str_to_int(str_of(context->words.items[0]), &number))
		return run_logs(context, number, err);
	if (context->words.count > 1)
		return error_raise(err, ERROR_USAGE, "\"%s\" is no number of a run",
			context->words.items[0]);
	if (given.lines == -1)
		given.lines = 100;
	if (given.lines < 1 || given.lines > 10000)
		return error_raise(err, ERROR_USAGE, "--lines is from 1 to 10000");
	if (!deploy_target_open(&target, &flags, context, err))
		return false;
	service = deploy_target_service(&target, context->words.items[0], err);
	if (!service || !deploy_target_place(&target, service, &place, &name, err))
		return false;
	if (context->json)
		return write_all(context, &place, err);
	return ecs_logs(&place, given.task, given.lines, print_line, NULL, err);
}

const struct command logs_command = {"logs", &options, run, false};
