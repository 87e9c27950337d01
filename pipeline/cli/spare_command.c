#include "pipeline/cli/frame.h"

#include "base/digest.h"
#include "builders/executor/undertaker.h"
#include "pipeline/engine/spare.h"
#include "pipeline/source/repository.h"

#include <sys/prctl.h>
#include <unistd.h>

static const struct option_set options = {
	.usage = "spare",
	.about = "wait for a stage's command line from the engine that started us",
};

/* What every stage begins with, done before anybody waits for it. The undertaker comes first: a copy of
 * a small process. */
static void warm_up(void)
{
	undertaker_warm_up();
	struct digest nothing = digest_of("", 0);

	(void)nothing;
	repository_warm_up();
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(strings_free) struct strings argv = {0};

	(void)context;
	warm_up();
	if (!spare_wait(&argv, err))
		return false;
	if (argv.count > 1)
		prctl(PR_SET_NAME, argv.items[1]);
	/* The command is this process's own from here to its exit status. */
	int status = argv.count ? frame_main((int)argv.count, argv.items) : 0;

	undertaker_cool_down();
	_exit(status);
}

const struct command spare_command = {"spare", &options, run, true};
