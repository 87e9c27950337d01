#include "pipeline/cli/command.h"

#include "base/json_writer.h"
#include "pipeline/source/repository.h"

static const struct option_set options = {
	.usage = "fetch URL FOLDER",
	.about = "bring a bare mirror of a repository up to date",
	.word_min = 2,
	.word_max = 2,
};

static bool run(struct command_context *context, struct error *err)
{
	bool changed = false;

	if (!repository_mirror(context->words.items[0], context->words.items[1], &changed, err))
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_put_bool(&w, "changed", changed);
		json_object_end(&w);
	}
	return true;
}

const struct command fetch_command = {"fetch", &options, run, true};
