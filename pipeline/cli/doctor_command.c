#include "pipeline/cli/command.h"

#include "base/control_group.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const struct option_set options = {
	.usage = "doctor",
	.about = "say what this machine lacks and how to get it",
};

enum verdict {
	FINE,
	LACKS, /* something does not work without it */
	EXTRA, /* only some things need it */
};

struct report {
	struct json_writer *w; /* NULL: print */
	size_t lacks;
};

static void tell(struct report *report, enum verdict verdict, const char *what, const char *state,
	const char *next)
{
	static const char *const words[] =
		{[FINE] = "ok", [LACKS] = "missing", [EXTRA] = "optional"};

	report->lacks += verdict == LACKS;
	if (!report->w) {
		printf("%-8s  %-14s  %s%s%s\n", words[verdict], what, state, next ? "; " : "",
			next ? next : "");
		return;
	}
	json_object_begin(report->w);
	json_put_text(report->w, "what", what);
	json_put_text(report->w, "verdict", words[verdict]);
	json_put_text(report->w, "state", state);
	json_put_text(report->w, "next", next);
	json_object_end(report->w);
}

struct program_row {
	const char *name, *needed_for, *package;
	bool optional;
};

static const struct program_row programs[] = {
	{"bwrap", "the sandbox that builds run in", "bubblewrap", false},
	{"git", "pushing commits to what is served", "git", false},
	{"crun", "containers of the local cloud", "crun", false},
	{"haproxy", "load balancers of the local cloud", "haproxy", false},
	{"cc", "building services in C", "build-essential", true},
	{"make", "building services in C", "make", true},
	{"buildah", "images from a Dockerfile", "buildah", true},
};

static void check_programs(struct report *report)
{
	for (size_t i = 0; i < countof(programs); i++) {
		const struct program_row *row = &programs[i];
		scoped(text_free) char *path = program_find(row->name);
		scoped(text_free) char *next = memory_format("apt-get install %s", row->package);

		if (path)
			tell(report, FINE, row->name, path, NULL);
		else
			tell(report, row->optional ? EXTRA : LACKS, row->name, row->needed_for,
				next);
	}
}

static void check_sandbox(struct report *report)
{
	scoped(error_free) struct error err = {0};

	if (sandbox_check(&err))
		tell(report, FINE, "sandbox", "builds can be run in namespaces of their own", NULL);
	else
		tell(report, LACKS, "sandbox", err.message, err.next);
}

static void check_limits(struct report *report)
{
	const struct limits limits = {.memory_bytes = 64 << 20, .processes = 64, .cpus = 1};
	struct control_group group;
	scoped(buf_free) struct buf missing = {0};

	control_group_make(&limits, &group);
	for (int i = 0; i < CONTROL_COUNT; i++)
		if (group.of[i].why)
			buf_printf(&missing, "%s%s (%s)", missing.size ? ", " : "",
				control_name((enum control)i), group.of[i].why);
	if (!control_group_remove(&group))
		buf_append_text(&missing, "a control group that could not be removed");
	if (!missing.size) {
		tell(report, FINE, "build limits",
			"memory, processes and processors of builds can be limited", NULL);
		return;
	}
	scoped(text_free) char *state =
		memory_format("builds are not limited in %s", buf_text(&missing));

	tell(report, EXTRA, "build limits", state,
		"run as root, or in a systemd unit with Delegate=yes and DelegateSubgroup=engine");
}

static void check_rights(struct report *report)
{
	if (geteuid() == 0)
		tell(report, FINE, "rights", "root: the local cloud can make networks", NULL);
	else
		tell(report, EXTRA, "rights", "containers of the local cloud need root",
			"sudo dogshore local up");
}

static void check_state(struct report *report, const char *state)
{
	scoped(error_free) struct error err = {0};
	struct statvfs space;

	if (!folder_make(state, 0700, &err) || access(state, W_OK) != 0) {
		tell(report, LACKS, "state folder", err.message ? err.message : strerror(errno),
			"name another one: --state DIR or DOGSHORE_STATE");
		return;
	}
	scoped(text_free) char *text = NULL;

	if (statvfs(state, &space) == 0) {
		long long free_mib = (long long)(space.f_bavail * space.f_frsize >> 20);

		text = memory_format("%s, %lld MiB free", state, free_mib);
		if (free_mib < 512) {
			tell(report, LACKS, "state folder", text, "free at least 512 MiB");
			return;
		}
	}
	tell(report, FINE, "state folder", text ? text : state, NULL);
}

static bool run(struct command_context *context, struct error *err)
{
	struct json_writer w = json_writer_start(&context->result);
	struct report report = {.w = context->json ? &w : NULL};

	(void)err;
	if (context->json) {
		json_object_begin(&w);
		json_key(&w, "checks");
		json_array_begin(&w);
	}
	check_programs(&report);
	check_sandbox(&report);
	check_limits(&report);
	check_rights(&report);
	check_state(&report, context->state);
	if (context->json) {
		json_array_end(&w);
		json_put_text(&w, "status", report.lacks ? "failed" : "passed");
		json_object_end(&w);
	}
	context->exit_status = report.lacks ? 3 : 0;
	return true;
}

const struct command doctor_command = {"doctor", &options, run, false};
