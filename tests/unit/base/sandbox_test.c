#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sandbox.h"
#include "base/syscall_filter.h"

#include <stdlib.h>
#include <unistd.h>

/* What a script prints inside; *folder is bound at /work. */
static bool run_inside(const char *folder, const char *etc, bool network, const char *script,
	struct process_result *result, struct error *err)
{
	const struct sandbox_bind binds[] = {{folder, "/work", true}};
	const struct sandbox_options options = {.etc = etc,
		.binds = binds,
		.bind_count = 1,
		.folder = "/work",
		.env = (const char *const[]){"PATH=/usr/bin:/bin", "EQUALS=a=b", NULL},
		.network = network};
	scoped(strings_free) struct strings argv = {0};

	sandbox_command(&options, (const char *const[]){"sh", "-c", script, NULL}, &argv);
	const struct process_options start = {.argv = (const char *const *)argv.items,
		.merge_output = true};

	return process_run(&start, (struct str){0}, 60000, 0, result, err);
}

TEST(a_command_sees_its_folder_and_the_system_and_nothing_else)
{
	static const char *const hidden[] = {"/home", "/etc/shadow", "/var/lib", "/srv"};
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	scoped(text_free) char *folder = NULL;
	scoped(buf_free) struct buf script = {0};

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	REQUIRE_OK(folder_make_temporary(NULL, "sandbox-test-", &folder, &err));
	scoped(text_free) char *made = path_join(folder, "made");

	buf_append_text(&script, "pwd; echo $EQUALS${SANDBOX_TEST_LEAK-clean}; echo x >made; "
				 "touch /usr/x 2>/dev/null || echo read-only; ls -A /tmp /root; "
				 "set -- /proc/[0-9]*; echo $#; ");
	for (size_t i = 0; i < countof(hidden); i++)
		buf_printf(&script, "[ -e %s ] && echo sees %s; ", hidden[i], hidden[i]);
	buf_append_text(&script, "[ $(grep -c : /proc/net/dev) = 1 ] && echo only lo");
	setenv("SANDBOX_TEST_LEAK", "leaked", 1);
	CHECK_OK(run_inside(folder, NULL, false, buf_text(&script), &result, &err));
	/* Processes: bwrap and sh, which counts them itself. */
	CHECK_TEXT(buf_text(&result.output),
		"/work\na=bclean\nread-only\n/root:\n\n/tmp:\n2\nonly lo\n");
	CHECK(file_exists(made));
	CHECK_OK(folder_remove(folder, &err));
}

TEST(the_network_is_there_when_allowed)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	scoped(text_free) char *folder = NULL;
	scoped(buf_free) struct buf ours = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "sandbox-test-", &folder, &err));
	CHECK_OK(run_inside(folder, NULL, true, "readlink /proc/self/ns/net", &result, &err));
	char link[64] = "";

	CHECK(readlink("/proc/self/ns/net", link, sizeof(link) - 1) > 0);
	buf_printf(&ours, "%s\n", link);
	CHECK_TEXT(buf_text(&result.output), buf_text(&ours));
	CHECK_OK(folder_remove(folder, &err));
}

TEST(a_command_that_fails_passes_its_status_on)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	CHECK_OK(run_inside("/usr", NULL, false, "exit 5", &result, &err));
	CHECK_INT(result.exit.status, 5);
}

TEST(its_etc_is_enough_for_programs_and_holds_no_secrets)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	scoped(text_free) char *folder = NULL;

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	REQUIRE_OK(folder_make_temporary(NULL, "sandbox-test-", &folder, &err));
	scoped(text_free) char *etc = path_join(folder, "etc");

	REQUIRE_OK(sandbox_make_etc(etc, &err));
	CHECK_OK(run_inside(folder, etc, false,
		"id -un; getent hosts localhost >/dev/null && echo hosts; "
		"[ -e /etc/ld.so.cache ] && [ -e /etc/alternatives/awk ] && echo links; "
		"touch /etc/x 2>/dev/null || echo read-only; ls /etc/shadow /etc/ssh 2>/dev/null",
		&result, &err));
	CHECK_CONTAINS(buf_text(&result.output), "hosts\nlinks\nread-only\n");
	CHECK(text_ends_with(buf_text(&result.output), "read-only\n"));
	CHECK_OK(folder_remove(folder, &err));
}

/* What bwrap says is from its sources and from machines that refused it. */
TEST(a_refusal_names_the_setting_to_change)
{
	static const struct {
		struct sandbox_facts facts;
		const char *said, *advice;
	} cases[] = {
		{{.userns_clone = 0, .userns_max = 100, .userns_apparmor = -1},
			"No permissions to create new namespace",
			"kernel.unprivileged_userns_clone=1"},
		{{.userns_clone = 1, .userns_max = 0, .userns_apparmor = -1},
			"Creating new namespace failed: No space left on device",
			"user.max_user_namespaces=15000"},
		{{.userns_clone = -1, .userns_max = 100, .userns_apparmor = 1},
			"loopback: Failed RTM_NEWADDR: Operation not permitted",
			"kernel.apparmor_restrict_unprivileged_userns=0"},
		{{.userns_clone = -1, .userns_max = 100, .userns_apparmor = -1},
			"Creating new namespace failed: No space left on device",
			"raise sysctl user.max_user_namespaces"},
		{{.userns_clone = -1, .userns_max = 100, .userns_apparmor = -1, .filtered = true},
			"Creating new namespace failed: Operation not permitted", "--privileged"},
		{{.userns_clone = -1,
			 .userns_max = 100,
			 .userns_apparmor = 1,
			 .container = true,
			 .administrator = true},
			"Can't mount proc on /newroot/proc: Operation not permitted",
			"--privileged"},
		{{.userns_clone = -1, .userns_max = 100, .userns_apparmor = -1},
			"Creating new namespace failed: Operation not permitted", "chmod u+s"},
		{{.userns_clone = 0, .userns_max = 0, .userns_apparmor = 1, .setuid = true},
			"something else", "--no-sandbox"},
		{{.userns_clone = 1, .userns_max = 100, .userns_apparmor = -1},
			"bwrap: Unknown option --size", "0.8"},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_CONTAINS(sandbox_advice(&cases[i].facts, str_of(cases[i].said)),
			cases[i].advice);
}

TEST(the_filter_refuses_what_builds_have_no_business_with)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	scoped(strings_free) struct strings argv = {0};
	scoped(descriptor_close) int fd = -1;
	int filter = 0;

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	REQUIRE_OK(syscall_filter_open(&filter, &err));
	if (!filter)
		SKIP("there is no filter for this processor");
	fd = filter;
	const struct sandbox_options options = {.filter_fd = filter};

	sandbox_command(&options,
		(const char *const[]){"/bin/sh", "-c",
			"unshare -U true 2>&1; unshare -Ur true 2>&1; cat /proc/keys 2>&1; "
			"ls /proc/self/fd | wc -l; true & wait; echo threads and children work",
			NULL},
		&argv);
	const struct process_options start = {.argv = (const char *const *)argv.items,
		.merge_output = true,
		.keep_fds = &fd,
		.keep_fd_count = 1};

	CHECK_OK(process_run(&start, (struct str){0}, 60000, 0, &result, &err));
	/* Descriptors: 0, 1, 2 and the one that ls reads the folder with. */
	CHECK_TEXT(buf_text(&result.output),
		"unshare: unshare failed: Operation not permitted\n"
		"unshare: unshare failed: Operation not permitted\n"
		"cat: /proc/keys: Permission denied\n4\nthreads and children work\n");
}

/* As root, files of /proc would be writable without privileges, and hold for the whole machine. */
TEST(nothing_of_proc_that_holds_for_the_machine_is_writable)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	/* Of what is left, monitors of pressure need privileges, and the others are the sandbox's own. */
	CHECK_OK(run_inside("/usr", NULL, false,
		"find /proc -path '/proc/[0-9]*' -prune -o -path /proc/pressure -prune -o -type f "
		"-print | "
		"while read -r f; do if (exec 3>>$f) 2>/dev/null; then echo $f; fi; done",
		&result, &err));
	CHECK_TEXT(buf_text(&result.output), "");
}

TEST(scratch_folders_hold_as_much_as_said)
{
	scoped(error_free) struct error err = {0};
	scoped(process_result_free) struct process_result result = {0};
	scoped(strings_free) struct strings argv = {0};

	if (!sandbox_check(&err))
		SKIP("bubblewrap does not work on this machine");
	const struct sandbox_options options = {.scratch_bytes = 1 << 20};

	sandbox_command(&options,
		(const char *const[]){"/bin/sh", "-c",
			"for f in /tmp /root /dev/shm /var/tmp; do head -c 2097152 /dev/zero >$f/x "
			"2>/dev/null && echo $f is large; rm $f/x; done",
			NULL},
		&argv);
	const struct process_options start = {.argv = (const char *const *)argv.items,
		.merge_output = true};

	CHECK_OK(process_run(&start, (struct str){0}, 60000, 0, &result, &err));
	CHECK_TEXT(buf_text(&result.output), "");
}

TEST_MAIN()
