#include "base/path.h"
#include "buildspec/build_inside.h"
#include "buildspec/environment.h"

bool build_evaluate(struct build *build, const char *text, bool strict, char **out_value,
	struct error *err)
{
	/* The status of an assignment is that of the last command in it. */
	scoped(text_free) char *script =
		memory_format("dogshore_text=\"%s\"%s printf %%s \"$dogshore_text\"", text,
			strict ? " &&" : ";");
	scoped(buf_free) struct buf value = {0};

	if (!shell_ask(&build->shell, script, &value, err))
		return error_while(err, "evaluating %s", text);
	*out_value = build_log_mask(&build->log, buf_text(&value));
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
	const struct artifact_place place = {.source = options->source,
		.inside = build->shell.source_inside,
		.output = options->output,
		.folder = normal,
		.secondary = options->secondary};
	scoped(text_free) char *missing = NULL;
	struct artifact artifact = {0};

	if (!artifact_collect(spec, &place, build_say, &build->log, &artifact, &missing, err))
		return false;
	if (missing) {
		build_fail(build, phase, "CLIENT_ERROR", 1, "%s", missing);
		return true;
	}
	result->artifacts =
		memory_resize(result->artifacts, (result->artifact_count + 1) * sizeof(artifact));
	result->artifacts[result->artifact_count++] = artifact;
	return !spec->name || build_evaluate(build, spec->name, false,
				      &result->artifacts[result->artifact_count - 1].name, err);
}

static bool collect_report(struct build *build, struct reporting *reporting,
	const struct report_spec *spec, bool reached_build, struct error *err)
{
	scoped(text_free) char *name = NULL;

	if (strchr(spec->group, '$') && !build_evaluate(build, spec->group, false, &name, err))
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
		.output = options->reports ? options->reports : options->output,
		.secondary = options->secondary};
	scoped(reporting_free) struct reporting reporting = {0};

	reports_begin(&reporting, &place, &build->log.masker.secrets, build_say, &build->log,
		&build->result->reports);
	for (size_t i = 0; i < build->spec.report_count; i++)
		if (!collect_report(build, &reporting, &build->spec.reports[i], reached_build, err))
			return false;
	return reports_end(&reporting, err);
}

static bool upload(struct build *build, struct error *err)
{
	struct build_phase *phase = build_enter(build, "UPLOAD_ARTIFACTS");

	for (size_t i = 0; i < build->spec.artifact_count && !phase->failed; i++)
		if (!collect_one(build, &build->spec.artifacts[i], phase, err))
			return false;
	build_leave(build, phase);
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

/* A failed build may have left half of it. */
static void save_cache(struct build *build)
{
	struct error why = {0};

	if (!build->cache.has_key || !build->spec.cache.saves || build->failed)
		return;
	/* Nothing of the build may run while its files are taken. */
	shell_close(&build->shell);
	if (!keyed_cache_save(&build->cache.keyed, &why)) {
		build_log_line(&build->log, "warning: the cache could not be kept: %s",
			why.message);
		error_ignore(&why, "it is told");
	}
}

bool build_collect(struct build *build, bool reached_build, struct error *err)
{
	if (!collect_reports(build, reached_build, err))
		return false;
	if (reached_build && (!upload(build, err) || !export_variables(build, err)))
		return false;
	save_cache(build);
	return true;
}
