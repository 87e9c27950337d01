#include "base/clock.h"
#include "base/path.h"
#include "buildspec/batch.h"
#include "buildspec/build_inside.h"
#include "buildspec/environment.h"
#include "buildspec/tools.h"

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
		build_fail(build, phase, "YAML_FILE_ERROR", 1, "%s:%d:%d: %s%s%s",
			options->buildspec, first->line, first->column, first->path,
			*first->path ? ": " : "", first->message);
	else
		build_fail(build, phase, "YAML_FILE_ERROR", 1, "%s: %s", options->buildspec,
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
	scoped(text_free) char *tools = path_join(build->shell.control_inside, TOOLS_FOLDER);
	const struct environment_places places = {build->shell.source_inside, tools};
	struct error missing = {0};

	if (!environment_build(build->options, &build->spec, &places, &build->log.masker,
		    &environment, &missing)) {
		if (!is_outcome(missing.kind)) {
			error_move(err, &missing);
			return false;
		}
		build_fail(build, phase, "CLIENT_ERROR", 1, "%s%s%s", missing.message,
			missing.context_count ? "; while " : "",
			missing.context_count ? missing.contexts[missing.context_count - 1] : "");
		if (missing.next)
			build_log_line(&build->log, "What next: %s", missing.next);
		error_ignore(&missing, "it is the build's outcome");
		return true;
	}
	secret_names_free(&build->result->asked);
	build->result->asked = environment.asked;
	environment.asked = (struct secret_names){0};
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

/* Of the sources and of the cache; how many. */
static size_t gather_binds(struct build *build)
{
	const struct secondary_sources *secondary = build->options->secondary;
	size_t sources = secondary ? secondary->count : 0;

	build->binds = memory_new_array(sources + build->cache.count + 1, sizeof(*build->binds));
	for (size_t i = 0; i < sources; i++)
		build->binds[i] = (struct sandbox_bind){secondary->items[i].folder,
			secondary->items[i].inside, true};
	for (size_t i = 0; i < build->cache.count; i++)
		build->binds[sources + i] = build->cache.binds[i];
	return sources + build->cache.count;
}

static bool open_shell(struct build *build, struct build_phase *phase, struct error *err)
{
	const struct build_options *options = build->options;

	const struct keyed_cache_options cache = {.folder = options->cache,
		.source = options->source,
		.work = options->work,
		.sandbox = options->sandbox,
		.say = build_say,
		.self = &build->log};

	if (options->cache && !cache_open(&build->spec.cache, &cache, &build->cache, err))
		return false;
	size_t bind_count = gather_binds(build);
	const struct shell_options shell = {.program = build->spec.minor == 1 ? "/bin/sh"
									      : build->spec.shell,
		.source = options->source,
		.work = options->work,
		.binds = build->binds,
		.bind_count = bind_count,
		.sandbox = options->sandbox,
		.network = options->network,
		.limits = options->limits,
		.cache = build->cache.has_key ? NULL : options->cache,
		.deadline_ms = options->timeout_ms ? build->phase_start + options->timeout_ms : 0,
		.cancel_fd = options->cancel_fd,
		.break_fds = {options->break_fds[0], options->break_fds[1]},
		.masker = &build->log.masker,
		.take = build_log_output,
		.self = &build->log};

	if (!shell_open(&shell, &build->shell, err))
		return false;
	say_missing_limits(build);
	return tools_write(build->shell.control, options->break_fds, err) &&
	       set_variables(build, phase, err);
}

static bool evaluate_all(struct build *build, const struct texts *texts, struct strings *out,
	struct error *err)
{
	for (size_t i = 0; i < texts->count; i++) {
		char *value = NULL;

		if (!build_evaluate(build, texts->items[i], true, &value, err))
			return false;
		strings_add_owned(out, value);
	}
	return true;
}

/* A cache makes builds faster; what goes wrong with it fails none. */
static bool restore_cache(struct build *build, struct error *err)
{
	const struct cache_spec *spec = &build->spec.cache;
	scoped(strings_free) struct strings fallback_keys = {0};
	scoped(text_free) char *key = NULL;
	struct error why = {0};

	if (!build->cache.has_key)
		return true;
	if (!build_evaluate(build, spec->key, true, &key, err))
		return false;
	keyed_cache_set_key(&build->cache.keyed, key);
	if (!spec->restores)
		return true;
	if (!evaluate_all(build, &spec->fallback_keys, &fallback_keys, err))
		return false;
	if (!keyed_cache_restore(&build->cache.keyed, &fallback_keys, &why)) {
		build_log_line(&build->log, "warning: the cache could not be restored: %s",
			why.message);
		error_ignore(&why, "it is told");
	}
	return true;
}

bool build_start(struct build *build, struct error *err)
{
	struct build_phase *phase = build_enter(build, "DOWNLOAD_SOURCE");

	if (read_spec(build, phase) && build->spec.shell[0] != '/')
		build_fail(build, phase, "CLIENT_ERROR", 1, "env.shell: %s runs on Windows only",
			build->spec.shell);
	if (!phase->failed && batch_is_all(&build->spec))
		build_log_line(&build->log,
			"warning: only the tasks of the batch section would run something: "
			"buildspec run --batch, or build: {batch: true} in dogshore.yml");
	if (build->spec.proxy_artifacts || build->spec.proxy_logs)
		build_log_line(&build->log, "proxy: has no effect here");
	if (!phase->failed && !open_shell(build, phase, err))
		return false;
	if (!phase->failed && !restore_cache(build, err))
		return false;
	build_leave(build, phase);
	build->failed = phase->failed;
	return true;
}
