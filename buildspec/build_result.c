#include "buildspec/build.h"

#include "base/memory.h"

static void write_phase(const struct build_phase *phase, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "name", phase->name);
	json_put_text(w, "status", phase->failed ? "FAILED" : "SUCCEEDED");
	json_put_int(w, "exit_code", phase->exit_code);
	json_put_int(w, "duration_ms", phase->duration_ms);
	if (phase->failed) {
		json_put_text(w, "context_code", phase->context_code);
		json_put_text(w, "context_message", phase->context_message);
	}
	json_object_end(w);
}

void build_result_write_phases(const struct build_result *result, struct json_writer *w)
{
	json_key(w, "phases");
	json_array_begin(w);
	for (size_t i = 0; i < result->phase_count; i++)
		write_phase(&result->phases[i], w);
	json_array_end(w);
}

void build_result_write_exported(const struct build_result *result, struct json_writer *w)
{
	json_key(w, "exported_variables");
	json_object_begin(w);
	for (size_t i = 0; i < result->exported.count; i++) {
		struct str value = str_of(result->exported.items[i]);
		scoped(text_free) char *name = str_copy(str_cut(&value, '='));

		json_put_str(w, name, value);
	}
	json_object_end(w);
}

static void write_artifact(const struct artifact *artifact, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "identifier", artifact->identifier);
	json_put_text(w, "name", artifact->name);
	json_put_text(w, "dir", artifact->folder);
	json_put_strings(w, "files", &artifact->files);
	json_object_end(w);
}

static void write_problem(const struct build_result *result, struct json_writer *w)
{
	json_key(w, "error");
	json_object_begin(w);
	json_put_text(w, "code", "YAML_FILE_ERROR");
	json_put_text(w, "message", result->problem.message);
	json_put_text(w, "path", result->problem.path);
	json_put_int(w, "line", result->problem.line);
	json_put_int(w, "column", result->problem.column);
	json_object_end(w);
}

void build_result_write_members(const struct build_result *result, struct json_writer *w)
{
	json_put_text(w, "status", result->succeeded ? "SUCCEEDED" : "FAILED");
	json_put_time(w, "started_at", result->started_at);
	json_put_int(w, "duration_ms", result->duration_ms);
	build_result_write_phases(result, w);
	build_result_write_exported(result, w);
	secret_names_write(&result->asked, w);
	json_key(w, "artifacts");
	json_array_begin(w);
	for (size_t i = 0; i < result->artifact_count; i++)
		write_artifact(&result->artifacts[i], w);
	json_array_end(w);
	reports_write(&result->reports, w);
	if (result->problem.given)
		write_problem(result, w);
}

void build_result_write(const struct build_result *result, struct json_writer *w)
{
	json_object_begin(w);
	build_result_write_members(result, w);
	json_object_end(w);
}
