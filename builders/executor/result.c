#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"

#include <sys/utsname.h>

enum { OS_RELEASE_LIMIT = 64 * 1024 };

static bool write_file(const struct executor_request *request, const struct artifact *artifact,
	const char *name, struct json_writer *w, struct error *err)
{
	scoped(text_free) char *folder = path_join(request->output, artifact->folder);
	scoped(text_free) char *path = path_join(folder, name);
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	int64_t size_bytes;

	if (!digest_of_file(path, &digest, &size_bytes, err))
		return false;
	digest_to_text(&digest, text);
	json_object_begin(w);
	json_put_text(w, "path", name);
	if (artifact->identifier)
		json_put_text(w, "identifier", artifact->identifier);
	json_put_int(w, "size", size_bytes);
	json_put_text(w, "digest", text);
	json_object_end(w);
	return true;
}

static bool write_artifacts(const struct executor_request *request,
	const struct build_result *result, struct json_writer *w, struct error *err)
{
	json_key(w, "artifacts");
	json_array_begin(w);
	for (size_t i = 0; i < result->artifact_count; i++)
		for (size_t f = 0; f < result->artifacts[i].files.count; f++)
			if (!write_file(request, &result->artifacts[i],
				    result->artifacts[i].files.items[f], w, err))
				return false;
	json_array_end(w);
	return true;
}

/* The first phase that failed says why the build did. */
static const struct build_phase *failed_phase(const struct build_result *result)
{
	for (size_t i = 0; i < result->phase_count; i++)
		if (result->phases[i].failed)
			return &result->phases[i];
	return NULL;
}

static void write_cause(const struct build_result *result, struct json_writer *w)
{
	const struct build_phase *failed = result->succeeded ? NULL : failed_phase(result);

	if (!failed)
		return;
	json_key(w, "error");
	json_object_begin(w);
	json_put_text(w, "kind", result->problem.given ? "invalid" : "failed");
	json_put_text(w, "phase", failed->name);
	json_put_text(w, "code", failed->context_code);
	json_put_text(w, "message", failed->context_message);
	if (result->problem.given) {
		json_put_text(w, "path", result->problem.path);
		json_put_int(w, "line", result->problem.line);
		json_put_int(w, "column", result->problem.column);
	}
	json_object_end(w);
}

/* PRETTY_NAME of os-release(5). */
static void put_system(struct json_writer *w)
{
	scoped(buf_free) struct buf text = {0};
	struct error ignored = {0};

	if (!file_read("/etc/os-release", OS_RELEASE_LIMIT, &text, &ignored))
		error_ignore(&ignored, "not every system says what it is");
	for (struct str rest = buf_str(&text); rest.data;) {
		struct str line = str_cut(&rest, '\n');
		struct str value = line;

		if (!str_equal_text(str_cut(&value, '='), "PRETTY_NAME"))
			continue;
		while (value.size && strchr("\"'", value.data[0]))
			value = (struct str){value.data + 1, value.size - 1};
		while (value.size && strchr("\"'\r", value.data[value.size - 1]))
			value.size--;
		scoped(text_free) char *name = str_copy(value);

		json_put_text(w, "system", name);
		return;
	}
}

/* What the build ran in: with what is the same here it can be repeated. */
static void write_environment(const struct executor_request *request, struct json_writer *w)
{
	struct utsname machine;

	json_key(w, "environment");
	json_object_begin(w);
	json_put_text(w, "executor", request->executor);
	json_put_bool(w, "sandbox", request->sandbox);
	json_put_bool(w, "network", request->network || !request->sandbox);
	put_system(w);
	if (uname(&machine) == 0) {
		scoped(text_free) char *kernel =
			memory_format("%s %s", machine.sysname, machine.release);

		json_put_text(w, "kernel", kernel);
		json_put_text(w, "machine", machine.machine);
	}
	if (request->toolchain)
		json_put_text(w, "toolchain", request->toolchain);
	json_object_end(w);
}

bool executor_write_result(const struct executor_request *request,
	const struct build_result *result, struct buf *out, struct error *err)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "stage", "build");
	json_put_text(&w, "status", result->succeeded ? "passed" : "failed");
	json_put_text(&w, "service", request->service);
	json_put_text(&w, "commit", request->commit);
	json_put_time(&w, "started_at", result->started_at);
	json_put_int(&w, "duration_ms", result->duration_ms);
	write_environment(request, &w);
	build_result_write_phases(result, &w);
	if (!write_artifacts(request, result, &w, err))
		return false;
	reports_write(&result->reports, &w);
	build_result_write_exported(result, &w);
	secret_names_write(&result->asked, &w);
	write_cause(result, &w);
	json_object_end(&w);
	return true;
}
