#include "pipeline/cli/local_command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <unistd.h>

char *local_state(const struct command_context *context, const char *flag)
{
	scoped(text_free) char *here = NULL;
	scoped(text_free) char *whole = NULL;

	if (!flag || !*flag)
		return path_join(context->state, "local");
	here = *flag == '/' ? NULL : getcwd(NULL, 0);
	whole = path_join(here ? here : "/", flag);
	return path_normalise(whole);
}

bool local_endpoint(const char *text, char **out_host, int *out_port, struct error *err)
{
	const char *colon = strrchr(text, ':');
	int64_t port = -1;

	if (colon == text || !colon || !str_to_int(str_of(colon + 1), &port) || port < 0 ||
		port > 65535)
		return error_raise(err, ERROR_USAGE,
			"--endpoint \"%s\" is not of the form HOST:PORT", text);
	*out_host = memory_copy(text, (size_t)(colon - text));
	*out_port = (int)port;
	return true;
}

enum { SETTLE_MS = 10, SETTLE_LIMIT_MS = 10000 };

bool local_find(const char *state, struct cloud_found *out_found, struct error *err)
{
	int64_t end_ms = clock_elapsed(&system_clock) + SETTLE_LIMIT_MS;

	while (cloud_find(state, out_found, err)) {
		if (!out_found->running || cloud_answers(out_found))
			return true;
		pid_t pid = out_found->pid;

		cloud_found_free(out_found);
		if (clock_elapsed(&system_clock) >= end_ms) {
			error_raise(err, ERROR_TIMED_OUT,
				"the local cloud in %s is running but does not answer", state);
			return error_next(err, "kill -9 %d, then try again: nothing is lost",
				(int)pid);
		}
		clock_sleep(&system_clock, SETTLE_MS);
	}
	return false;
}
