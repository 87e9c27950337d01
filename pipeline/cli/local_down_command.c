#include "pipeline/cli/local_command.h"

#include "base/json_writer.h"
#include "base/memory.h"

static const char *given_state;

static const struct option_row rows[] = {
	{"state", OPTION_TEXT, &given_state, "DIR",
		"the local cloud's folder (default: \"local\" in the state folder)", NULL},
};

static const struct option_set down_options = {
	.usage = "local down [--state DIR]",
	.about = "end the local cloud: endpoint, tasks, balancer, networks",
	.rows = rows,
	.count = countof(rows),
};

static const struct option_set reset_options = {
	.usage = "local reset [--state DIR]",
	.about = "take the local cloud down and forget everything in it",
	.rows = rows,
	.count = countof(rows),
};

static void tell(struct command_context *context, const char *status, bool was_up, const char *text)
{
	struct json_writer w = json_writer_start(&context->result);

	if (!context->json) {
		puts(text);
		return;
	}
	json_object_begin(&w);
	json_put_text(&w, "status", status);
	json_put_bool(&w, "was_up", was_up);
	json_object_end(&w);
}

static bool run_down(struct command_context *context, struct error *err)
{
	scoped(text_free) char *state = local_state(context, given_state);
	bool was_up;

	if (!cloud_down(state, false, &was_up, err))
		return false;
	tell(context, "down", was_up,
		was_up ? "the local cloud is down; its state is kept" : "nothing was running");
	return true;
}

static bool run_reset(struct command_context *context, struct error *err)
{
	scoped(text_free) char *state = local_state(context, given_state);
	bool was_up;

	if (!cloud_down(state, true, &was_up, err) || !cloud_forget(state, err))
		return false;
	tell(context, "reset", was_up, "the local cloud is down and its state is gone");
	return true;
}

const struct command local_down_command = {.name = "local down",
	.options = &down_options,
	.run = run_down};
const struct command local_reset_command = {.name = "local reset",
	.options = &reset_options,
	.run = run_reset};
