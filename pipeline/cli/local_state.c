#include "pipeline/cli/local_command.h"

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
