#include "buildspec/explain.h"

#include "base/memory.h"
#include "buildspec/batch.h"
#include "buildspec/report.h"

static void put_list(struct json_writer *w, const char *key, const struct texts *list)
{
	json_key(w, key);
	json_array_begin(w);
	for (size_t i = 0; i < list->count; i++)
		json_write_text(w, list->items[i]);
	json_array_end(w);
}

static void put_map(struct json_writer *w, const char *key, const struct variables *map)
{
	json_key(w, key);
	json_object_begin(w);
	for (size_t i = 0; i < map->count; i++)
		json_put_text(w, map->items[i].name, map->items[i].value);
	json_object_end(w);
}

static void write_environment(const struct environment *environment, struct json_writer *w)
{
	json_key(w, "environment");
	json_array_begin(w);
	for (size_t i = 0; i < environment->variables.count; i++) {
		struct str value = str_of(environment->variables.items[i]);
		struct str name = str_cut(&value, '=');

		json_object_begin(w);
		json_put_str(w, "name", name);
		json_put_str(w, "value", value);
		json_put_text(w, "origin", environment->origins.items[i]);
		json_object_end(w);
	}
	json_array_end(w);
}

static void write_phase(const struct buildspec *spec, enum phase which, struct json_writer *w)
{
	const struct phase_spec *phase = &spec->phases[which];
	scoped(text_free) char *on_failure = explanation_on_failure(phase);

	json_object_begin(w);
	json_put_text(w, "name", phase_key(which));
	json_put_text(w, "run_as", phase->run_as ? phase->run_as : spec->run_as);
	json_put_text(w, "on_failure", on_failure[0] ? on_failure : NULL);
	put_map(w, "runtime_versions", &phase->runtimes);
	put_list(w, "commands", &phase->commands);
	put_list(w, "finally", &phase->finally);
	json_object_end(w);
}

static void write_artifact(const struct artifact_spec *artifact, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "identifier", artifact->identifier);
	json_put_text(w, "name", artifact->name);
	json_put_text(w, "base_directory", artifact->base_directory);
	put_list(w, "files", &artifact->files);
	put_list(w, "exclude_paths", &artifact->exclude_paths);
	json_put_bool(w, "discard_paths", artifact->discard_paths);
	json_put_bool(w, "enable_symlinks", artifact->enable_symlinks);
	json_put_text(w, "s3_prefix", artifact->s3_prefix);
	json_object_end(w);
}

static void write_reports(const struct buildspec *spec, struct json_writer *w)
{
	json_key(w, "reports");
	json_array_begin(w);
	for (size_t i = 0; i < spec->report_count; i++) {
		const struct report_spec *report = &spec->reports[i];

		json_object_begin(w);
		json_put_text(w, "group", report->group);
		json_put_text(w, "format", report->format->name);
		json_put_text(w, "base_directory", report->base_directory);
		put_list(w, "files", &report->files);
		json_put_bool(w, "discard_paths", report->discard_paths);
		json_object_end(w);
	}
	json_array_end(w);
}

static void write_cache(const struct cache_spec *cache, struct json_writer *w)
{
	json_key(w, "cache");
	json_object_begin(w);
	put_list(w, "paths", &cache->paths);
	json_put_text(w, "key", cache->key);
	put_list(w, "fallback_keys", &cache->fallback_keys);
	json_put_bool(w, "restore", cache->restores);
	json_put_bool(w, "save", cache->saves);
	json_object_end(w);
}

static void write_batch(const struct batch_spec *spec, struct json_writer *w)
{
	scoped(arena_free) struct arena arena = {0};
	struct batch_plan plan;

	json_key(w, "batch");
	if (!spec->kind) {
		json_write_null(w);
		return;
	}
	batch_make_plan(spec, &arena, &plan);
	batch_plan_write(&plan, spec->kind, w);
}

void explanation_write(const struct explanation *explanation, struct json_writer *w)
{
	const struct buildspec *spec = explanation->spec;

	json_object_begin(w);
	json_put_text(w, "file", explanation->file);
	json_put_text(w, "version", spec->minor == 1 ? "0.1" : "0.2");
	json_put_text(w, "shell", spec->minor == 1 ? "/bin/sh" : spec->shell);
	write_environment(explanation->environment, w);
	json_key(w, "phases");
	json_array_begin(w);
	for (int i = 0; i < PHASE_COUNT; i++)
		write_phase(spec, (enum phase)i, w);
	json_array_end(w);
	put_list(w, "exported_variables", &spec->exported);
	json_key(w, "artifacts");
	json_array_begin(w);
	for (size_t i = 0; i < spec->artifact_count; i++)
		write_artifact(&spec->artifacts[i], w);
	json_array_end(w);
	write_reports(spec, w);
	write_cache(&spec->cache, w);
	json_key(w, "proxy");
	json_object_begin(w);
	json_put_bool(w, "upload_artifacts", spec->proxy_artifacts);
	json_put_bool(w, "logs", spec->proxy_logs);
	json_object_end(w);
	write_batch(&spec->batch, w);
	json_object_end(w);
}
