#include "pipeline/cli/execute.h"

static struct {
	const char *environment, *repository;
	int64_t jobs;
} given;

static const struct option_row rows[] = {
	{"env", OPTION_TEXT, &given.environment, "ENV",
		"where to (not needed when there is only one)", NULL},
	{"jobs", OPTION_INT, &given.jobs, "N", "steps at once (default: number of processors)",
		NULL},
	{"repository", OPTION_TEXT, &given.repository, "DIR", "default: the current folder", NULL},
};

static const struct option_set options = {
	.usage = "run [REV] --env ENV [--jobs N]",
	.about = "bring a commit the whole way: build, image, push, deploy",
	.rows = rows,
	.count = countof(rows),
	.word_max = 1,
};

static bool run(struct command_context *context, struct error *err)
{
	const struct execute_options execution = {
		.repository = given.repository,
		.rev = context->words.count ? context->words.items[0] : NULL,
		.environment = given.environment,
		.jobs = given.jobs,
	};

	if (given.jobs < 0)
		return error_raise(err, ERROR_USAGE, "--jobs must be 1 or more");
	return execute(context, &execution, err);
}

const struct command run_command = {"run", &options, run, false};
