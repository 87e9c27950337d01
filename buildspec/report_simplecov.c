#include "base/memory.h"
#include "buildspec/report_json.h"
#include "buildspec/report_text.h"

/*
 * SimpleCov's .resultset.json: {COMMAND: {"coverage": {FILE: {"lines": [null, 0, 3], "branches": {…}}}}},
 * before version 0.18 with the list itself in place of {"lines"}. A line counts as covered when one of
 * the commands (RSpec, Minitest, …) came there; null is no code.
 */

static const struct json *lines_of(const struct json *file)
{
	return json_is_array(file) ? file : json_get(file, "lines");
}

static const struct json *coverage_of(const struct json *command)
{
	return json_get(command, "coverage");
}

static bool is_code(const struct json *hits)
{
	return json_kind(hits) == JSON_INT || json_kind(hits) == JSON_REAL;
}

/* Does a command before this one have the file? Then it is counted already. */
static bool is_known(const struct json *root, const char *command, const char *path)
{
	for (json_each(other, root)) {
		if (strcmp(other.key, command) == 0)
			return false;
		if (json_get(coverage_of(other.value), path))
			return true;
	}
	return false;
}

static void count_lines(const struct json *root, const char *path, const struct json *lines,
	struct report_coverage *out)
{
	for (size_t i = 0; i < json_count(lines); i++) {
		bool covered = false;

		if (!is_code(json_at(lines, i)))
			continue;
		out->lines_valid++;
		for (json_each(other, root)) {
			const struct json *same =
				lines_of(json_get(coverage_of(other.value), path));

			covered = covered || json_int(json_at(same, i), 0) > 0;
		}
		out->lines_covered += covered;
	}
}

/* {CONDITION: {BRANCH: hits}} */
static void count_branches(const struct json *root, const char *path, const struct json *file,
	struct report_coverage *out)
{
	for (json_each(condition, json_get(file, "branches")))
		for (json_each(branch, condition.value)) {
			bool covered = false;

			for (json_each(other, root)) {
				const struct json *same =
					json_get(json_get(coverage_of(other.value), path),
						"branches");

				covered = covered || json_get_int(json_get(same, condition.key),
							     branch.key, 0) > 0;
			}
			out->branches_valid++;
			out->branches_covered += covered;
		}
}

static void read_command(const struct json *root, const char *command, const struct json *coverage,
	const struct report_sink *sink)
{
	for (json_each(file, coverage)) {
		scoped(buf_free) struct buf name = {0};
		struct report_coverage found = {0};

		if (is_known(root, command, file.key))
			continue;
		report_cut(&name, file.key, REPORT_NAME_BYTES);
		found.file = buf_text(&name);
		count_lines(root, file.key, lines_of(file.value), &found);
		count_branches(root, file.key, file.value, &found);
		sink->take_coverage(sink->self, &found);
	}
}

static bool read_document(const struct json *root, const struct report_sink *sink,
	struct error *err)
{
	enum { COMMANDS_MAX = 64 };
	bool found = false;

	if (json_count(root) > COMMANDS_MAX)
		return error_raise(err, ERROR_LIMIT, "it holds more than %d commands",
			COMMANDS_MAX);
	for (json_each(command, root)) {
		const struct json *coverage = coverage_of(command.value);

		if (!json_is_object(coverage))
			continue;
		found = true;
		read_command(root, command.key, coverage, sink);
	}
	return found ||
	       error_raise(err, ERROR_INVALID, "expected the coverage of at least one command");
}

const struct report_document report_simplecov = {read_document};
