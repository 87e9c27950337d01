#include "base/clock.h"
#include "buildspec/build_inside.h"

#include <stdlib.h>

static void build_free(struct build *build)
{
	shell_close(&build->shell);
	free(build->binds);
	cache_free(&build->cache);
	build_log_free(&build->log);
	arena_free(&build->arena);
}

struct build_phase *build_enter(struct build *build, const char *name)
{
	struct build_phase *phase = &build->result->phases[build->result->phase_count++];

	phase->name = name;
	build->phase_start = clock_elapsed(&system_clock);
	build_log_line(&build->log, "Entering phase %s", name);
	return phase;
}

void build_say(void *self, const char *line)
{
	build_log_line(self, "%s", line);
}

void build_fail(struct build *build, struct build_phase *phase, const char *code, int exit_code,
	const char *format, ...)
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

void build_leave(struct build *build, struct build_phase *phase)
{
	phase->duration_ms = clock_elapsed(&system_clock) - build->phase_start;
	build_log_line(&build->log, "Phase complete: %s State: %s", phase->name,
		phase->failed ? "FAILED" : "SUCCEEDED");
	if (phase->failed)
		build_log_line(&build->log, "Phase context status code: %s Message: %s",
			phase->context_code, phase->context_message);
}

static bool run(struct build *build, struct error *err)
{
	bool reached_build = false;

	if (!build_start(build, err))
		return false;
	if (!build->failed && (!build_run_phases(build, &reached_build, err) ||
				      !build_collect(build, reached_build, err)))
		return false;
	build_leave(build, build_enter(build, "FINALIZING"));
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
	secret_names_free(&result->asked);
	free(result->problem.message);
	free(result->problem.path);
	*result = (struct build_result){0};
}
