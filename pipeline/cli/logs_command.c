#include "base/json_writer.h"
#include "base/memory.h"
#include "pipeline/cli/deploy_target.h"

static struct deploy_flags flags;
static struct {
	const char *task;
	int64_t lines;
} given = {NULL, 100};

static const struct option_row rows[] = {
	DEPLOY_FLAG_ROWS(flags),
	{"task", OPTION_TEXT, &given.task, "ID", "only this task (its id, or how it begins)", NULL},
	{"lines", OPTION_INT, &given.lines, "N", "the last N lines (default 100)", NULL},
};

static const struct option_set options = {
	.usage = "logs SERVICE --env E [--task ID] [--lines N]",
	.about = "what the service's tasks wrote, in order of time",
	.rows = rows,
	.count = countof(rows),
	.word_min = 1,
	.word_max = 1,
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

static bool run(struct command_context *context, struct error *err)
{
	scoped(deploy_target_free) struct deploy_target target = {0};
	scoped(text_free) char *name = NULL;
	const struct project_service *service = NULL;
	struct deploy_place place;

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
