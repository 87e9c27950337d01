#include "pipeline/cli/push_warnings.h"

#include "base/terminal.h"

#include <stdio.h>

void push_warnings_print(const struct push_result *result)
{
	for (size_t i = 0; i < result->warnings.count; i++) {
		fputs("warning: the registry says: ", stderr);
		terminal_print(stderr, str_of(result->warnings.items[i]));
		fputc('\n', stderr);
	}
	if (result->plain_referrers > 0)
		fprintf(stderr,
			"warning: the registry takes no artifacts: %lld of the referrers went "
			"there as "
			"plain images, which dogshore reads and other tools see without their "
			"type\n",
			(long long)result->plain_referrers);
}
