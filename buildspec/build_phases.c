#include "buildspec/build_inside.h"

#include <pwd.h>
#include <regex.h>
#include <unistd.h>

static const char *const phase_names[] = {
	[PHASE_INSTALL] = "INSTALL",
	[PHASE_PRE_BUILD] = "PRE_BUILD",
	[PHASE_BUILD] = "BUILD",
	[PHASE_POST_BUILD] = "POST_BUILD",
};

/* Forgets a failure: the attempt is repeated. */
static void forgive(struct build_phase *phase)
{
	text_free(&phase->context_message);
	phase->failed = false;
	phase->exit_code = 0;
	phase->context_code = NULL;
}

/* Why a command that failed may have: a limit that was hit. */
static void say_hits(struct build *build)
{
	scoped(buf_free) struct buf hits = {0};

	shell_tell_hits(&build->shell, &hits);
	if (hits.size)
		build_log_line(&build->log, "%s", buf_text(&hits));
}

/* Until the first that fails. */
static bool run_commands(struct build *build, struct build_phase *phase, const struct texts *list,
	struct buf *output, struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *text = list->items[i];
		const struct shell_command command = {.text = text,
			.fresh = build->spec.minor == 1,
			.succeeding = build->succeeding,
			.output = output};
		int status;

		if (output)
			buf_clear(output);
		build_log_line(&build->log, "Running command %s", text);
		if (!shell_run(&build->shell, &command, &status, err))
			return error_while(err, "running: %s", text);
		if (status == 0)
			continue;
		build_log_line(&build->log, "Command did not exit successfully %s exit status %d",
			text, status);
		say_hits(build);
		build_fail(build, phase, "COMMAND_EXECUTION_ERROR", status,
			"Error while executing command: %s. Reason: exit status %d", text, status);
		break;
	}
	return true;
}

/* Does the failure's message, followed by what the command printed, match the phase's regex? */
static bool may_retry(const struct phase_spec *spec, const struct build_phase *phase,
	const struct buf *output)
{
	scoped(buf_free) struct buf message = {0};
	regex_t regex;

	if (!spec->retry_regex)
		return true;
	buf_printf(&message, "%s%s", phase->context_message, output->size ? "\n" : "");
	buf_append_str(&message, buf_str(output));
	if (regcomp(&regex, spec->retry_regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool matches = regexec(&regex, buf_text(&message), 0, NULL, 0) == 0;

	regfree(&regex);
	return matches;
}

static bool run_attempts(struct build *build, struct build_phase *phase,
	const struct phase_spec *spec, struct error *err)
{
	scoped(buf_free) struct buf output = {0};
	bool retries = spec->on_failure == ON_FAILURE_RETRY;
	int left = retries ? spec->retry_count : 0;

	for (;;) {
		if (!run_commands(build, phase, &spec->commands, retries ? &output : NULL, err))
			return false;
		if (!phase->failed || left == 0 || !may_retry(spec, phase, &output))
			return true;
		build_log_line(&build->log, "Trying the commands of %s again, %d of %d",
			phase->name, spec->retry_count - left + 1, spec->retry_count);
		left--;
		forgive(phase);
	}
}

static bool is_our_name(const char *name)
{
	const struct passwd *us = getpwuid(geteuid());

	return text_equal(name, us ? us->pw_name : "root");
}

/* Section 5.6 of the buildspec reference: root runs commands as anybody, others as themselves. */
static void choose_user(struct build *build, struct build_phase *phase, const char *name)
{
	if (!name || is_our_name(name)) {
		shell_become(&build->shell, NULL);
		return;
	}
	const struct passwd *user = getpwnam(name);

	if (!user)
		build_fail(build, phase, "CLIENT_ERROR", 1,
			"run-as: %s: this machine has no such user", name);
	else if (geteuid() != 0 || !build->options->sandbox)
		build_fail(build, phase, "CLIENT_ERROR", 1,
			"run-as: %s: %s, commands can only run as the user who runs dogshore", name,
			build->options->sandbox ? "without root" : "without the sandbox");
	else
		shell_become(&build->shell, &(struct sandbox_user){user->pw_uid, user->pw_gid});
}

static bool run_phase(struct build *build, enum phase which, struct error *err)
{
	const struct phase_spec *spec = &build->spec.phases[which];
	struct build_phase *phase = build_enter(build, phase_names[which]);

	choose_user(build, phase, spec->run_as ? spec->run_as : build->spec.run_as);
	if (spec->wants_runtimes)
		build_log_line(&build->log,
			"Skipping install of runtimes. Runtime version selection is not supported "
			"by this build image.");
	if (!phase->failed && (!run_attempts(build, phase, spec, err) ||
				      !run_commands(build, phase, &spec->finally, NULL, err)))
		return false;
	build_leave(build, phase);
	if (phase->failed) {
		build->succeeding = false;
		build->failed = build->failed || spec->on_failure != ON_FAILURE_CONTINUE;
	}
	return true;
}

/* Which phases follow a failed one: section 4.2 and 4.5 of the buildspec reference. */
static bool goes_on_after(const struct phase_spec *spec, enum phase which)
{
	switch (spec->on_failure) {
	case ON_FAILURE_CONTINUE:
		return true;
	case ON_FAILURE_DEFAULT:
		return which == PHASE_BUILD;
	case ON_FAILURE_ABORT:
	case ON_FAILURE_RETRY:
		break;
	}
	return false;
}

bool build_run_phases(struct build *build, bool *out_reached_build, struct error *err)
{
	*out_reached_build = false;
	for (int i = 0; i < PHASE_COUNT; i++) {
		size_t at = build->result->phase_count;

		*out_reached_build = *out_reached_build || i == PHASE_BUILD;
		if (!run_phase(build, (enum phase)i, err))
			return false;
		if (build->result->phases[at].failed &&
			!goes_on_after(&build->spec.phases[i], (enum phase)i))
			break;
	}
	return true;
}
