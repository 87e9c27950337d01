#include "base/landlock.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's <linux/landlock.h> of ABI 6; older systems' headers end before it. */
struct ruleset {
	uint64_t files, network, scopes;
};

enum {
	SCOPE_ABSTRACT_SOCKETS = 1,
	SCOPE_SIGNALS = 2,
	GET_VERSION = 1,
	LEAST_VERSION = 6,
};

int landlock_open(bool sockets)
{
	const struct ruleset rules = {
		.scopes = SCOPE_SIGNALS | (sockets ? SCOPE_ABSTRACT_SOCKETS : 0u)};

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION) < LEAST_VERSION)
		return 0;
	long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

	return fd > 0 ? (int)fd : 0;
}

bool landlock_enter(int fd)
{
	return syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}
