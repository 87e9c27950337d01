#include "buildspec/build.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/build_log.h"
#include "buildspec/cache.h"
#include "buildspec/environment.h"
#include "buildspec/shell.h"

#include <pwd.h>
#include <regex.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const phase_names[] = {
	[PHASE_INSTALL] = "INSTALL",
	[PHASE_PRE_BUILD] = "PRE_BUILD",
	[PHASE_BUILD] = "BUILD",
	[PHASE_POST_BUILD] = "POST_BUILD",
};

struct build {
	const struct build_options *options;
	struct arena arena;
	struct buildspec spec;
	struct build_log log;
	struct shell shell;
	struct cache cache;
	struct build_result *result;
	bool succeeding;     /* CODEBUILD_BUILD_SUCCEEDING: no phase has failed so far */
	bool failed;         /* a phase failed in a way that fails the build */
	int64_t phase_start; /* of the phase that is open */
};

static void build_free(struct build *build)
{
	shell_close(&build->shell);
	cache_free(&build->cache);
	build_log_free(&build->log);
	arena_free(&build->arena);
}

static struct build_phase *enter(struct build *build, const char *name)
{
	struct build_phase *phase = &build->result->phases[build->result->phase_count++];

	phase->name = name;
	build->phase_start = clock_elapsed(&system_clock);
	build_log_line(&build->log, "Entering phase %s", name);
	return phase;
}

static void say(void *self, const char *line)
{
	build_log_line(self, "%s", line);
}

/* Only the first failure of a phase is the phase's. */
static void printf_like(5, 6) fail(struct build *build, struct build_phase *phase, const char *code,
	int exit_code, const char *format, ...)
{
	va_list args;

	if (phase->failed)
		return;
	va_start(args, format);
	scoped(text_free) char *message = memory_format_list(format, args);
	va_end(args);
	phase->failed = true;
	phase->exit_code = exit_code;
	phase->context_code = code;
	phase->context_message = build_log_mask(&build->log, message);
}

static void leave(struct build *build, struct build_phase *phase)
{
	phase->duration_ms = clock_elapsed(&system_clock) - build->phase_start;
	build_log_line(&build->log, "Phase complete: %s State: %s", phase->name,
		phase->failed ? "FAILED" : "SUCCEEDED");
	if (phase->failed)
		build_log_line(&build->log, "Phase context status code: %s Message: %s",
			phase->context_code, phase->context_message);
}

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
		fail(build, phase, "COMMAND_EXECUTION_ERROR", status,
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
	buf_printf(&message, "%s\n", phase->context_message);
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

/* Commands run as whoever runs us: changing the user needs more than a sandbox gives. */
static bool is_our_name(const char *name)
{
	const struct passwd *us = getpwuid(geteuid());

	return text_equal(name, us ? us->pw_name : "root");
}

static bool run_phase(struct build *build, enum phase which, struct error *err)
{
	const struct phase_spec *spec = &build->spec.phases[which];
	struct build_phase *phase = enter(build, phase_names[which]);
	const char *user = spec->run_as ? spec->run_as : build->spec.run_as;

	if (user && !is_our_name(user))
		fail(build, phase, "CLIENT_ERROR", 1,
			"run-as: %s: commands can only run as the user who runs dogshore", user);
	if (spec->wants_runtimes)
		build_log_line(&build->log,
			"Skipping install of runtimes. Runtime version selection is not supported "
			"by this build image.");
	if (!phase->failed && (!run_attempts(build, phase, spec, err) ||
				      !run_commands(build, phase, &spec->finally, NULL, err)))
		return false;
	leave(build, phase);
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

static bool run_phases(struct build *build, bool *out_reached_build, struct error *err)
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

/* Quotes are allowed inside $( ) only, so the name can stand between double quotes. */
static bool evaluate_name(struct build *build, const char *name, char **out_name, struct error *err)
{
	scoped(text_free) char *script = memory_format("printf %%s \"%s\"", name);
	scoped(buf_free) struct buf value = {0};

	if (!shell_ask(&build->shell, script, &value, err))
		return error_while(err, "evaluating the name %s", name);
	*out_name = build_log_mask(&build->log, buf_text(&value));
	return true;
}

static bool collect_one(struct build *build, const struct artifact_spec *spec,
	struct build_phase *phase, struct error *err)
{
	const struct build_options *options = build->options;
	struct build_result *result = build->result;
	scoped(text_free) char *folder =
		spec->identifier ? path_join(options->secondary_folder, spec->identifier)
				 : memory_copy_text(options->primary_folder);
	scoped(text_free) char *normal = path_normalise(folder);
	const struct artifact_place place = {options->source, build->shell.source_inside,
		options->output, normal};
	scoped(text_free) char *missing = NULL;
	struct artifact artifact = {0};

	if (!artifact_collect(spec, &place, say, &build->log, &artifact, &missing, err))
		return false;
	if (missing) {
		fail(build, phase, "CLIENT_ERROR", 1, "%s", missing);
		return true;
	}
	result->artifacts =
		memory_resize(result->artifacts, (result->artifact_count + 1) * sizeof(artifact));
	result->artifacts[result->artifact_count++] = artifact;
	return !spec->name || evaluate_name(build, spec->name,
				      &result->artifacts[result->artifact_count - 1].name, err);
}

static bool collect_report(struct build *build, struct reporting *reporting,
	const struct report_spec *spec, bool reached_build, struct error *err)
{
	scoped(text_free) char *name = NULL;

	if (strchr(spec->group, '$') && !evaluate_name(build, spec->group, &name, err))
		return false;
	return reports_collect(reporting, spec, name && *name ? name : spec->group, !reached_build,
		err);
}

/* Also of a build that failed: its reports tell why. */
static bool collect_reports(struct build *build, bool reached_build, struct error *err)
{
	const struct build_options *options = build->options;
	const struct artifact_place place = {.source = options->source,
		.inside = build->shell.source_inside,
		.output = options->reports ? options->reports : options->output};
	scoped(reporting_free) struct reporting reporting = {0};

	reports_begin(&reporting, &place, &build->log.masker.secrets, say, &build->log,
		&build->result->reports);
	for (size_t i = 0; i < build->spec.report_count; i++)
		if (!collect_report(build, &reporting, &build->spec.reports[i], reached_build, err))
			return false;
	return reports_end(&reporting, err);
}

static bool upload(struct build *build, struct error *err)
{
	struct build_phase *phase = enter(build, "UPLOAD_ARTIFACTS");

	for (size_t i = 0; i < build->spec.artifact_count && !phase->failed; i++)
		if (!collect_one(build, &build->spec.artifacts[i], phase, err))
			return false;
	leave(build, phase);
	build->failed = build->failed || phase->failed;
	return true;
}

static bool is_secret(const struct buildspec *spec, const char *name)
{
	for (size_t i = 0; i < spec->parameters.count; i++)
		if (text_equal(spec->parameters.items[i].name, name))
			return true;
	for (size_t i = 0; i < spec->secrets.count; i++)
		if (text_equal(spec->secrets.items[i].name, name))
			return true;
	return text_starts_with(name, "AWS_");
}

/* "x" and the value, or nothing when the variable is not set. */
static bool export_variables(struct build *build, struct error *err)
{
	for (size_t i = 0; i < build->spec.exported.count; i++) {
		const char *name = build->spec.exported.items[i];
		scoped(buf_free) struct buf value = {0};

		if (is_secret(&build->spec, name) || !environment_is_name(name))
			continue;
		scoped(text_free) char *script =
			memory_format("printf %%s \"${%s+x$%s}\"", name, name);

		if (!shell_ask(&build->shell, script, &value, err))
			return error_while(err, "reading the exported variable %s", name);
		if (!value.size)
			continue;
		scoped(text_free) char *masked = build_log_mask(&build->log, buf_text(&value) + 1);

		strings_printf(&build->result->exported, "%s=%s", name, masked);
	}
	return true;
}

static bool read_spec(struct build *build, struct build_phase *phase)
{
	scoped(buildspec_findings_free) struct buildspec_findings findings = {0};
	const struct build_options *options = build->options;
	struct build_result *result = build->result;
	scoped(text_free) char *path = path_join(options->source, options->buildspec);

	buildspec_load(path, &build->arena, &build->spec, &findings);
	for (size_t i = 0; i < findings.count; i++)
		build_log_line(&build->log, "%s: %s:%d:%d: %s: %s",
			findings.items[i].warning ? "warning" : "error", options->buildspec,
			findings.items[i].line, findings.items[i].column, findings.items[i].path,
			findings.items[i].message);
	const struct buildspec_finding *first = buildspec_first_error(&findings);

	if (!first)
		return true;
	result->problem.given = true;
	result->problem.message = memory_copy_text(first->message);
	result->problem.path = memory_copy_text(first->path);
	result->problem.line = first->line;
	result->problem.column = first->column;
	if (first->line)
		fail(build, phase, "YAML_FILE_ERROR", 1, "%s:%d:%d: %s%s%s", options->buildspec,
			first->line, first->column, first->path, *first->path ? ": " : "",
			first->message);
	else
		fail(build, phase, "YAML_FILE_ERROR", 1, "%s: %s", options->buildspec,
			first->message);
	return false;
}

/* On CodeBuild, too, a value that is not there or may not be read fails the build. */
static bool is_outcome(enum error_kind kind)
{
	return kind == ERROR_NOT_FOUND || kind == ERROR_INVALID || kind == ERROR_DENIED ||
	       kind == ERROR_USAGE;
}

static bool set_variables(struct build *build, struct build_phase *phase, struct error *err)
{
	scoped(environment_free) struct environment environment = {0};
	struct error missing = {0};

	if (!environment_build(build->options, &build->spec, build->shell.source_inside,
		    &build->log.masker, &environment, &missing)) {
		if (!is_outcome(missing.kind)) {
			error_move(err, &missing);
			return false;
		}
		fail(build, phase, "CLIENT_ERROR", 1, "%s%s%s", missing.message,
			missing.context_count ? "; while " : "",
			missing.context_count ? missing.contexts[missing.context_count - 1] : "");
		if (missing.next)
			build_log_line(&build->log, "What next: %s", missing.next);
		error_ignore(&missing, "it is the build's outcome");
		return true;
	}
	for (size_t i = 0; i < environment.skipped.count; i++)
		build_log_line(&build->log, "warning: no shell can hold a variable called \"%s\"",
			environment.skipped.items[i]);
	return shell_set_variables(&build->shell, &environment.variables, err);
}

static void say_missing_limits(struct build *build)
{
	scoped(buf_free) struct buf missing = {0};

	shell_tell_missing_limits(&build->shell, &missing);
	if (missing.size)
		build_log_line(&build->log, "warning: this machine does not limit %s",
			buf_text(&missing));
}

static bool open_shell(struct build *build, struct build_phase *phase, struct error *err)
{
	const struct build_options *options = build->options;

	if (options->cache && !cache_open(&build->spec, options->cache, options->source,
				      options->sandbox, say, &build->log, &build->cache, err))
		return false;
	const struct shell_options shell = {.program = build->spec.minor == 1 ? "/bin/sh"
									      : build->spec.shell,
		.source = options->source,
		.work = options->work,
		.binds = build->cache.binds,
		.bind_count = build->cache.count,
		.sandbox = options->sandbox,
		.network = options->network,
		.limits = options->limits,
		.cache = options->cache,
		.deadline_ms = options->timeout_ms ? build->phase_start + options->timeout_ms : 0,
		.cancel_fd = options->cancel_fd,
		.masker = &build->log.masker,
		.take = build_log_output,
		.self = &build->log};

	if (!shell_open(&shell, &build->shell, err))
		return false;
	say_missing_limits(build);
	return set_variables(build, phase, err);
}

static bool download(struct build *build, struct error *err)
{
	struct build_phase *phase = enter(build, "DOWNLOAD_SOURCE");

	if (read_spec(build, phase) && build->spec.shell[0] != '/')
		fail(build, phase, "CLIENT_ERROR", 1, "env.shell: %s runs on Windows only",
			build->spec.shell);
	if (!phase->failed && !open_shell(build, phase, err))
		return false;
	leave(build, phase);
	build->failed = phase->failed;
	return true;
}

static bool run(struct build *build, struct error *err)
{
	bool reached_build = false;

	if (!download(build, err))
		return false;
	if (!build->failed && (!run_phases(build, &reached_build, err) ||
				      !collect_reports(build, reached_build, err)))
		return false;
	if (reached_build && (!upload(build, err) || !export_variables(build, err)))
		return false;
	leave(build, enter(build, "FINALIZING"));
	build->result->succeeded = !build->failed;
	return true;
}

bool build_run(const struct build_options *options, struct build_result *out_result,
	struct error *err)
{
	scoped(build_result_free) struct build_result result = {
		.started_at = clock_now(&system_clock)};
	scoped(build_free) struct build build = {.options = options,
		.log = {.take = options->log,
			.self = options->log_self,
			.limit_bytes = options->log_limit_bytes ? options->log_limit_bytes
								: BUILD_LOG_LIMIT},
		.result = &result,
		.succeeding = true};
	int64_t start = clock_elapsed(&system_clock);

	bool done = run(&build, err);

	build_log_end(&build.log);
	if (!done)
		return false;
	result.duration_ms = clock_elapsed(&system_clock) - start;
	*out_result = result;
	result = (struct build_result){0};
	return true;
}

void build_result_free(struct build_result *result)
{
	for (size_t i = 0; i < result->phase_count; i++)
		free(result->phases[i].context_message);
	for (size_t i = 0; i < result->artifact_count; i++)
		artifact_free(&result->artifacts[i]);
	free(result->artifacts);
	reports_free(&result->reports);
	strings_free(&result->exported);
	free(result->problem.message);
	free(result->problem.path);
	*result = (struct build_result){0};
}
