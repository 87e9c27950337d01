#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRY_TIMEOUT_MS = 10000, CAP_SYS_ADMIN_BIT = 21 };

/* A number in a file, in a base; -1 when there is none. */
static int64_t read_number(const char *path)
{
	scoped(buf_free) struct buf text = {0};
	scoped(error_free) struct error err = {0};
	int64_t number;

	if (!file_read(path, 64, &text, &err)) {
		error_ignore(&err, "this kernel has no such setting");
		return -1;
	}
	return str_to_int(str_trim(buf_str(&text)), &number) ? number : -1;
}

/* The hexadecimal (or one-digit) value of a line of /proc/self/status. */
static unsigned long long status_value(struct str status, const char *name)
{
	while (status.data) {
		struct str line = str_cut(&status, '\n');

		if (str_starts_with(line, name))
			return strtoull(line.data + strlen(name), NULL, 16);
	}
	return 0;
}

void sandbox_find_facts(struct sandbox_facts *out)
{
	scoped(buf_free) struct buf status = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *program = program_find("bwrap");
	struct stat file;

	if (!file_read("/proc/self/status", 1 << 16, &status, &err))
		error_ignore(&err, "then nothing is known of our rights");
	*out = (struct sandbox_facts){.userns_clone = read_number(
					      "/proc/sys/kernel/unprivileged_userns_clone"),
		.userns_max = read_number("/proc/sys/user/max_user_namespaces"),
		.userns_apparmor =
			read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		.administrator = status_value(buf_str(&status), "CapEff:") >> CAP_SYS_ADMIN_BIT & 1,
		.filtered = status_value(buf_str(&status), "Seccomp:") != 0,
		.container = file_exists("/.dockerenv") || file_exists("/run/.containerenv"),
		.setuid = program && stat(program, &file) == 0 && (file.st_mode & S_ISUID)};
}

static bool says(struct str said, const char *piece)
{
	return said.size && memmem(said.data, said.size, piece, strlen(piece));
}

const char *sandbox_advice(const struct sandbox_facts *facts, struct str said)
{
	bool restricted = !facts->administrator && !facts->setuid;

	if (says(said, "Unknown option"))
		return "this bubblewrap is too old: install 0.8 or newer";
	if (restricted && facts->userns_clone == 0)
		return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1; or "
		       "install "
		       "bwrap setuid; or run as root";
	if (facts->userns_max == 0 && !facts->setuid)
		return "allow user namespaces: sysctl user.max_user_namespaces=15000; or run as "
		       "root";
	if (restricted && facts->userns_apparmor == 1)
		return "give bwrap an AppArmor profile with \"userns,\", or allow them to all: "
		       "sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns=0; or run as root";
	if (says(said, "No space left"))
		return "all user namespaces are in use: raise sysctl user.max_user_namespaces";
	if (facts->container || facts->filtered)
		return "this is a container that may not make namespaces: start it with "
		       "--privileged, or with --cap-add SYS_ADMIN and seccomp and AppArmor "
		       "unconfined "
		       "(--security-opt), and with /proc unmasked";
	if (restricted)
		return "the kernel may be built without user namespaces: install bwrap setuid "
		       "(chmod u+s), or run as root";
	return "run as root with CAP_SYS_ADMIN; --no-sandbox runs builds without any protection";
}

static bool try_sandbox(struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	scoped(strings_free) struct strings argv = {0};
	const struct sandbox_options options = {0};

	sandbox_command(&options, (const char *const[]){"/bin/true", NULL}, &argv);
	const struct process_options start = {.argv = (const char *const *)argv.items,
		.merge_output = true};

	if (!process_run(&start, (struct str){0}, TRY_TIMEOUT_MS, 0, &result, err)) {
		if (err && err->kind == ERROR_NOT_FOUND)
			error_next(err, "install it: apt-get install bubblewrap");
		return error_while(err, "trying the sandbox");
	}
	if (result.timed_out) {
		error_raise(err, ERROR_TIMED_OUT, "the sandbox did not start in %d s",
			TRY_TIMEOUT_MS / 1000);
		return error_next(err, "when the machine is busy, try again; else see: bwrap "
				       "--unshare-all --ro-bind / / true");
	}
	if (result.exit.exited && result.exit.status == 0)
		return true;
	return sandbox_explain(str_trim(buf_str(&result.output)), err);
}

bool sandbox_explain(struct str said, struct error *err)
{
	struct sandbox_facts facts;

	sandbox_find_facts(&facts);
	error_raise(err, ERROR_UNAVAILABLE, "the sandbox does not work here: %.*s", str_args(said));
	return error_next(err, "%s", sandbox_advice(&facts, said));
}

bool sandbox_check(struct error *err)
{
	static bool works; /* only success is remembered: what is missing may be installed */

	if (!works)
		works = try_sandbox(err);
	return works;
}
